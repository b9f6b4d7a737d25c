"""Named queries and prepared statements on the wire: stored texts, kept by workgroup."""

from __future__ import annotations

import time
import uuid

from athena_local.protocol.athena_errors import INVALID_INPUT, MAX_LISTED, invalid, malformed_token
from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
from athena_local.protocol.wire import Record, ServiceError, operation, page, without
from athena_local.queries.documents import NAMED_QUERY, PREPARED, Documents

NOT_FOUND = "ResourceNotFoundException"
_STORED_ONLY = ("Key", "Token")
_NAMED_BODY = ("Name", "Database", "QueryString", "Description")


class AthenaSavedQueryService:
    def __init__(self, documents: Documents, workgroups: AthenaWorkgroupService) -> None:
        self._documents = documents
        self._workgroups = workgroups

    @operation("CreateNamedQuery")
    def create_named_query(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        body = {name: request[name] for name in _NAMED_BODY if request.get(name)} | {"WorkGroup": workgroup}
        token = request.get("ClientRequestToken")
        for known in self._documents.all(NAMED_QUERY) if token else ():
            if known.get("Token") == token:
                if without(known, [*_STORED_ONLY, "NamedQueryId"]) != body:
                    raise invalid("Idempotent parameters do not match", "IDEMPOTENT_PARAMETER_MISMATCH")
                return {"NamedQueryId": known["NamedQueryId"]}
        query_id = str(uuid.uuid4())
        body |= {"NamedQueryId": query_id, "Key": query_id, "Token": token}
        self._documents.put(NAMED_QUERY, query_id, body)
        return {"NamedQueryId": query_id}

    @operation("GetNamedQuery")
    def get_named_query(self, request: Record) -> Record:
        return {"NamedQuery": without(self._named(request["NamedQueryId"]), _STORED_ONLY)}

    @operation("BatchGetNamedQuery")
    def batch_get_named_query(self, request: Record) -> Record:
        found: list[Record] = []
        missing: list[Record] = []
        for query_id in request["NamedQueryIds"]:
            body = self._documents.get(NAMED_QUERY, query_id)
            if body is not None:
                found.append(without(body, _STORED_ONLY))
            else:
                message = f"NamedQuery {query_id} was not found"
                missing.append(
                    {"NamedQueryId": query_id, "ErrorCode": INVALID_INPUT, "ErrorMessage": message}
                )
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    @operation("ListNamedQueries")
    def list_named_queries(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        ids = [one["Key"] for one in self._documents.all(NAMED_QUERY) if one["WorkGroup"] == workgroup]
        found, more = page(ids, request, key=str, limit=MAX_LISTED, malformed=malformed_token)
        return {"NamedQueryIds": found, **more}

    @operation("UpdateNamedQuery")
    def update_named_query(self, request: Record) -> Record:
        query_id = request["NamedQueryId"]
        changes = {name: request[name] for name in ("Name", "Description", "QueryString") if name in request}
        self._documents.put(NAMED_QUERY, query_id, {**self._named(query_id), **changes})
        return {}

    @operation("DeleteNamedQuery")
    def delete_named_query(self, request: Record) -> Record:
        self._named(request["NamedQueryId"])
        self._documents.delete(NAMED_QUERY, request["NamedQueryId"])
        return {}

    def _named(self, query_id: str) -> Record:
        body = self._documents.get(NAMED_QUERY, query_id)
        if body is None:
            raise invalid(f"NamedQuery {query_id} was not found")
        return body

    # prepared statements

    @operation("CreatePreparedStatement")
    def create_prepared_statement(self, request: Record) -> Record:
        key, body = self._prepared_input(request)
        if not self._documents.create(PREPARED, key, body):
            raise invalid(f"PreparedStatement {body['StatementName']} already exists")
        return {}

    @operation("UpdatePreparedStatement")
    def update_prepared_statement(self, request: Record) -> Record:
        key, body = self._prepared_input(request)
        self._prepared(request)
        self._documents.put(PREPARED, key, body)
        return {}

    @operation("GetPreparedStatement")
    def get_prepared_statement(self, request: Record) -> Record:
        return {"PreparedStatement": self._prepared(request)}

    @operation("BatchGetPreparedStatement")
    def batch_get_prepared_statement(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request["WorkGroup"])["Name"]
        found: list[Record] = []
        missing: list[Record] = []
        for name in request["PreparedStatementNames"]:
            body = self._documents.get(PREPARED, _key(workgroup, name))
            if body is not None:
                found.append(_shown(body))
            else:
                missing.append(
                    {
                        "StatementName": name,
                        "ErrorCode": "STATEMENT_NOT_FOUND",
                        "ErrorMessage": _prepared_missing(name),
                    }
                )
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    @operation("ListPreparedStatements")
    def list_prepared_statements(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request["WorkGroup"])["Name"]
        found, more = page(
            self._documents.all(PREPARED, _key(workgroup, "")),
            request,
            key=lambda one: str(one["StatementName"]),
            limit=MAX_LISTED,
            malformed=malformed_token,
        )
        shown = [{name: one[name] for name in ("StatementName", "LastModifiedTime")} for one in found]
        return {"PreparedStatements": shown, **more}

    @operation("DeletePreparedStatement")
    def delete_prepared_statement(self, request: Record) -> Record:
        self._prepared(request)
        self._documents.delete(PREPARED, _key(request["WorkGroup"], request["StatementName"]))
        return {}

    def _prepared_input(self, request: Record) -> tuple[str, Record]:
        workgroup = self._workgroups.get(request["WorkGroup"])["Name"]
        key = _key(workgroup, request["StatementName"])
        return key, {
            "StatementName": request["StatementName"],
            "QueryStatement": request["QueryStatement"],
            "WorkGroupName": workgroup,
            "Description": request.get("Description") or "",
            "LastModifiedTime": round(time.time(), 3),
            "WorkGroup": workgroup,
            "Key": key,
        }

    def _prepared(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request["WorkGroup"])["Name"]
        name = request["StatementName"]
        body = self._documents.get(PREPARED, _key(workgroup, name))
        if body is None:
            raise ServiceError(NOT_FOUND, _prepared_missing(name), ResourceName=name)
        return _shown(body)


def _key(workgroup: str, name: str) -> str:
    return f"{workgroup}/{name}"


def _shown(body: Record) -> Record:
    hidden = ["WorkGroup", "Key", *(() if body.get("Description") else ("Description",))]
    return without(body, hidden)


def _prepared_missing(name: str) -> str:
    return f"PreparedStatement {name} was not found"
