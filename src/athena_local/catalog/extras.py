"""What hangs on databases and tables besides partitions: column statistics, partition indexes, functions, tags, the policy.

Kept as clients put it and given back; no query reads it. It goes with the table or database it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from typing import Any

from athena_local.catalog.errors import (
    AlreadyExistsError,
    ConditionCheckFailureError,
    EntityNotFoundError,
    InvalidInputError,
    LimitExceededError,
)
from athena_local.catalog.patterns import matching
from athena_local.catalog.store import Catalog, Record

MAX_INDEXES = 3  # https://docs.aws.amazon.com/glue/latest/dg/partition-indexes.html
TAGS, POLICY = "tags", "policy"
_STATISTICS_OF_TABLE = ""  # in place of a partition's values


class CatalogExtras:
    """Thread-safe; shares the catalog's database."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._file = catalog.file

    # column statistics; `values` are a partition's, None means the table's own

    def put_statistics(
        self, database: str, table: str, values: list[str] | None, statistics: list[Record]
    ) -> list[Record]:
        """Store statistics by column and return an error entry for each column that the table does not have."""
        errors = []
        with self._file.write() as connection:
            table_id, place, columns = self._owner(connection, database, table, values)
            for one in statistics:
                name = one["ColumnName"].lower()
                if name not in columns:
                    errors.append({"ColumnStatistics": one, "Error": _missing_column(name)})
                    continue
                body = json.dumps({**one, "ColumnName": name})
                connection.execute(
                    "insert or replace into column_statistics values (?, ?, ?, ?)",
                    (table_id, place, name, body),
                )
        return errors

    def get_statistics(
        self, database: str, table: str, values: list[str] | None, names: list[str]
    ) -> tuple[list[Record], list[Record]]:
        """Return (statistics, errors) for the columns asked for: an error for each that has none."""
        with self._file.read() as connection:
            table_id, place, _ = self._owner(connection, database, table, values)
            found = dict(
                connection.execute(
                    "select column_name, body from column_statistics"
                    " where table_id = ? and partition_values = ?",
                    (table_id, place),
                ).fetchall()
            )
        wanted = [name.lower() for name in names]
        errors = [
            {"ColumnName": name, "Error": _missing_column(name)} for name in wanted if name not in found
        ]
        return [json.loads(found[name]) for name in wanted if name in found], errors

    def delete_statistics(self, database: str, table: str, values: list[str] | None, name: str) -> None:
        with self._file.write() as connection:
            table_id, place, _ = self._owner(connection, database, table, values)
            done = connection.execute(
                "delete from column_statistics where table_id = ? and partition_values = ? and column_name = ?",
                (table_id, place, name.lower()),
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(_missing_column(name.lower())["ErrorMessage"])

    def _owner(
        self, connection: sqlite3.Connection, database: str, table: str, values: list[str] | None
    ) -> tuple[int, str, set[str]]:
        row = self._catalog.table_row(connection, database, table)
        body = json.loads(row[6])
        columns = (body.get("StorageDescriptor") or {}).get("Columns") or []
        names = {column["Name"].lower() for column in columns}
        if values is None:
            return row[0], _STATISTICS_OF_TABLE, names
        place = json.dumps(values)
        known = connection.execute(
            "select 1 from partitions where table_id = ? and partition_values = ?", (row[0], place)
        ).fetchone()
        if known is None:
            raise EntityNotFoundError("Cannot find partition.")
        return row[0], place, names

    # partition indexes

    def create_index(self, database: str, table: str, index: Record) -> None:
        with self._file.write() as connection:
            row = self._catalog.table_row(connection, database, table)
            keys = {key["Name"].lower() for key in json.loads(row[6]).get("PartitionKeys") or []}
            wanted = [key.lower() for key in index["Keys"]]
            if not wanted or not set(wanted) <= keys:
                raise InvalidInputError("The index's keys must be partition keys of the table.")
            known = connection.execute(
                "select name from partition_indexes where table_id = ?", (row[0],)
            ).fetchall()
            if (index["IndexName"],) in known:
                raise AlreadyExistsError("Index already exists.")
            if len(known) >= MAX_INDEXES:
                raise LimitExceededError(f"A table has at most {MAX_INDEXES} partition indexes.")
            connection.execute(
                "insert into partition_indexes values (?, ?, ?)",
                (row[0], index["IndexName"], json.dumps(wanted)),
            )

    def get_indexes(self, database: str, table: str) -> list[Record]:
        with self._file.read() as connection:
            row = self._catalog.table_row(connection, database, table)
            found = connection.execute(
                "select name, keys from partition_indexes where table_id = ? order by name", (row[0],)
            ).fetchall()
        types = {
            key["Name"].lower(): key.get("Type", "string")
            for key in json.loads(row[6]).get("PartitionKeys") or []
        }
        return [
            {
                "IndexName": name,
                "Keys": [{"Name": key, "Type": types.get(key, "string")} for key in json.loads(keys)],
                "IndexStatus": "ACTIVE",
                "BackfillErrors": [],
            }
            for name, keys in found
        ]

    def delete_index(self, database: str, table: str, name: str) -> None:
        with self._file.write() as connection:
            row = self._catalog.table_row(connection, database, table)
            done = connection.execute(
                "delete from partition_indexes where table_id = ? and name = ?", (row[0], name)
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Index {name} not found.")

    # user-defined functions: entries of the catalog that other engines use

    def create_function(self, database: str, function: Record) -> None:
        name, body = _function(function)
        with self._file.write() as connection:
            self._catalog.require_database(connection, database)
            try:
                connection.execute(
                    "insert into functions values (?, ?, ?, ?)", (database.lower(), name, time.time(), body)
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError("Function already exists.") from error

    def update_function(self, database: str, name: str, function: Record) -> None:
        _, body = _function({**function, "FunctionName": name})
        with self._file.write() as connection:
            done = connection.execute(
                "update functions set body = ? where database = ? and name = ?",
                (body, database.lower(), name.lower()),
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Function {name} not found.")

    def delete_function(self, database: str, name: str) -> None:
        with self._file.write() as connection:
            done = connection.execute(
                "delete from functions where database = ? and name = ?", (database.lower(), name.lower())
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Function {name} not found.")

    def get_functions(self, database: str | None, pattern: str = ".*") -> list[Record]:
        """Return functions whose whole name matches a pattern (`patterns.matching`), of one database or of all."""
        with self._file.read() as connection:
            if database is not None:
                self._catalog.require_database(connection, database)
            rows = connection.execute(
                "select database, name, created, body from functions order by database, name"
            ).fetchall()
        kept = matching([row[1] for row in rows], pattern)
        return [
            {
                **json.loads(body),
                "DatabaseName": owner,
                "CreateTime": created,
                "CatalogId": self._catalog.account_id,
            }
            for (owner, _, created, body), keep in zip(rows, kept, strict=True)
            if keep and (database is None or owner == database.lower())
        ]

    # tags, by ARN

    def get_tags(self, arn: str) -> dict[str, str]:
        with self._file.read() as connection:
            found: dict[str, str] = _setting(connection, TAGS, arn) or {}
        return found

    def put_tags(self, arn: str, tags: dict[str, str]) -> None:
        with self._file.write() as connection:
            connection.execute(
                "insert or replace into settings values (?, ?, ?)", (TAGS, arn, json.dumps(tags))
            )

    # the resource policy: kept, not applied

    def get_policy(self) -> Record:
        with self._file.read() as connection:
            found: Record | None = _setting(connection, POLICY, "")
        if found is None:
            raise EntityNotFoundError("Policy not found")
        return found

    def put_policy(self, text: str, *, must_exist: bool | None = None, known_hash: str | None = None) -> str:
        """Store the policy and return its hash; the conditions are PutResourcePolicy's."""
        now = time.time()
        with self._file.write() as connection:
            found = _setting(connection, POLICY, "")
            if must_exist is not None and must_exist != (found is not None):
                state = "does not exist" if must_exist else "exists already"
                raise ConditionCheckFailureError(f"The policy {state}.")
            _check_hash(found, known_hash)
            policy = {
                "PolicyInJson": text,
                "PolicyHash": hashlib.sha256(text.encode()).hexdigest()[:32],
                "CreateTime": found["CreateTime"] if found else now,
                "UpdateTime": now,
            }
            connection.execute(
                "insert or replace into settings values (?, '', ?)", (POLICY, json.dumps(policy))
            )
        return str(policy["PolicyHash"])

    def delete_policy(self, known_hash: str | None = None) -> None:
        with self._file.write() as connection:
            found = _setting(connection, POLICY, "")
            if found is None:
                raise EntityNotFoundError("Policy not found")
            _check_hash(found, known_hash)
            connection.execute("delete from settings where kind = ?", (POLICY,))


def _setting(connection: sqlite3.Connection, kind: str, key: str) -> Any:
    row = connection.execute("select body from settings where kind = ? and key = ?", (kind, key)).fetchone()
    return json.loads(row[0]) if row else None


def _check_hash(policy: Record | None, known_hash: str | None) -> None:
    if known_hash is not None and (policy is None or policy["PolicyHash"] != known_hash):
        raise ConditionCheckFailureError("The policy's hash is another one.")


def _function(function: Record) -> tuple[str, str]:
    name = function.get("FunctionName")
    if not name:
        raise InvalidInputError("FunctionName must not be empty.")
    return name.lower(), json.dumps({**function, "FunctionName": name.lower()})


def _missing_column(name: str) -> dict[str, str]:
    return {"ErrorCode": EntityNotFoundError.code, "ErrorMessage": f"Column {name} not found."}
