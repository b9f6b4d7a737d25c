"""Named queries and prepared statements on the wire: stored texts, kept by workgroup."""

from __future__ import annotations

import time
import uuid

from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
from athena_local.protocol.wire import Record, ServiceError, operation, page, required, without
from athena_local.queries.documents import NAMED_QUERY, PREPARED, Documents

INVALID = "InvalidRequestException"
NOT_FOUND = "ResourceNotFoundException"
PAGE_SIZE = 50


class AthenaSavedQueryService:
    def __init__(self, documents: Documents, workgroups: AthenaWorkgroupService) -> None:
        self._documents = documents
        self._workgroups = workgroups

    @operation("CreateNamedQuery")
    def create_named_query(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        query_id = str(uuid.uuid4())
        body = {name: required(request, name) for name in ("Name", "Database", "QueryString")}
        if request.get("Description"):
            body["Description"] = request["Description"]
        body |= {"NamedQueryId": query_id, "WorkGroup": workgroup, "Key": query_id}
        self._documents.put(NAMED_QUERY, query_id, body)
        return {"NamedQueryId": query_id}

    @operation("GetNamedQuery")
    def get_named_query(self, request: Record) -> Record:
        return {"NamedQuery": self._named(required(request, "NamedQueryId"))}

    @operation("BatchGetNamedQuery")
    def batch_get_named_query(self, request: Record) -> Record:
        found: list[Record] = []
        missing: list[Record] = []
        for query_id in required(request, "NamedQueryIds"):
            body = self._documents.get(NAMED_QUERY, query_id)
            if body is not None:
                found.append(without(body, ["Key"]))
            else:
                missing.append({"NamedQueryId": query_id, "ErrorCode": "INVALID_INPUT"})
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    @operation("ListNamedQueries")
    def list_named_queries(self, request: Record) -> Record:
        workgroup = self._workgroups.get(request.get("WorkGroup") or "primary")["Name"]
        ids = [one["Key"] for one in self._documents.all(NAMED_QUERY) if one["WorkGroup"] == workgroup]
        found, more = page(ids, request, key=str, limit=PAGE_SIZE, error=INVALID)
        return {"NamedQueryIds": found, **more}

    @operation("UpdateNamedQuery")
    def update_named_query(self, request: Record) -> Record:
        query_id = required(request, "NamedQueryId")
        changes = {name: request[name] for name in ("Name", "Description", "QueryString") if name in request}
        self._documents.put(NAMED_QUERY, query_id, {**self._named(query_id), **changes, "Key": query_id})
        return {}

    @operation("DeleteNamedQuery")
    def delete_named_query(self, request: Record) -> Record:
        self._named(required(request, "NamedQueryId"))
        self._documents.delete(NAMED_QUERY, request["NamedQueryId"])
        return {}

    def _named(self, query_id: str) -> Record:
        body = self._documents.get(NAMED_QUERY, query_id)
        if body is None:
            raise ServiceError(INVALID, f"NamedQuery {query_id} was not found")
        return without(body, ["Key"])

    # prepared statements

    @operation("CreatePreparedStatement")
    def create_prepared_statement(self, request: Record) -> Record:
        key, body = self._prepared_input(request)
        if not self._documents.create(PREPARED, key, body):
            raise ServiceError(INVALID, f"PreparedStatement {body['StatementName']} already exists")
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

    @operation("ListPreparedStatements")
    def list_prepared_statements(self, request: Record) -> Record:
        workgroup = self._workgroups.get(required(request, "WorkGroup"))["Name"]
        found, more = page(
            [one for one in self._documents.all(PREPARED) if one["WorkGroup"] == workgroup],
            request,
            key=lambda one: str(one["StatementName"]),
            limit=PAGE_SIZE,
            error=INVALID,
        )
        shown = [{name: one[name] for name in ("StatementName", "LastModifiedTime")} for one in found]
        return {"PreparedStatements": shown, **more}

    @operation("DeletePreparedStatement")
    def delete_prepared_statement(self, request: Record) -> Record:
        self._prepared(request)
        self._documents.delete(PREPARED, _prepared_key(request))
        return {}

    def _prepared_input(self, request: Record) -> tuple[str, Record]:
        workgroup = self._workgroups.get(required(request, "WorkGroup"))["Name"]
        key = _prepared_key(request)
        return key, {
            "StatementName": required(request, "StatementName"),
            "QueryStatement": required(request, "QueryStatement"),
            "WorkGroupName": workgroup,
            "Description": request.get("Description") or "",
            "LastModifiedTime": time.time(),
            "WorkGroup": workgroup,
            "Key": key,
        }

    def _prepared(self, request: Record) -> Record:
        body = self._documents.get(PREPARED, _prepared_key(request))
        if body is None:
            raise ServiceError(NOT_FOUND, f"PreparedStatement {request.get('StatementName')} was not found")
        return without(body, ["WorkGroup", "Key"])


def _prepared_key(request: Record) -> str:
    return f"{required(request, 'WorkGroup')}/{required(request, 'StatementName')}"
