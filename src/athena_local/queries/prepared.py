"""Prepared statements by workgroup and name: the same documents that the API writes (`protocol/athena_saved.py`)."""

from __future__ import annotations

import time

from athena_local.queries.documents import PREPARED, Documents, Record


class StoredStatements:
    """What `context.PreparedStatements` asks for. A name is found as written, else in any case, as SQL folds names."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, workgroup: str, name: str) -> str | None:
        found = self._find(workgroup, name)
        return str(found["QueryStatement"]) if found else None

    def put(self, workgroup: str, name: str, text: str) -> None:
        """Store a statement; one of this name is replaced."""
        found = self._find(workgroup, name) or {
            "StatementName": name,
            "WorkGroupName": workgroup,
            "Description": "",
            "WorkGroup": workgroup,
            "Key": f"{workgroup}/{name}",
        }
        body = {**found, "QueryStatement": text, "LastModifiedTime": time.time()}
        self._documents.put(PREPARED, str(body["Key"]), body)

    def delete(self, workgroup: str, name: str) -> bool:
        """Delete a statement; False when there is none."""
        found = self._find(workgroup, name)
        return found is not None and self._documents.delete(PREPARED, str(found["Key"]))

    def _find(self, workgroup: str, name: str) -> Record | None:
        exact = self._documents.get(PREPARED, f"{workgroup}/{name}")
        if exact is not None:
            return exact
        for body in self._documents.all(PREPARED, f"{workgroup}/"):
            if str(body["StatementName"]).lower() == name.lower():
                return body
        return None
