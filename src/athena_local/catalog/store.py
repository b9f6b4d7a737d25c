"""The catalog's tables in SQLite, and every read and write of them."""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from athena_local.catalog.errors import (
    AlreadyExistsError,
    ConcurrentModificationError,
    EntityNotFoundError,
    InvalidInputError,
)
from athena_local.catalog.expressions import compile_expression
from athena_local.catalog.patterns import matching
from athena_local.catalog.schema import SCHEMA
from athena_local.storage import SqliteFile

Record = dict[str, Any]


class Catalog:
    """Thread-safe. Every write is one SQLite transaction; every read sees the last committed one."""

    def __init__(self, path: Path, account_id: str = "000000000000") -> None:
        self.file = SqliteFile(path, SCHEMA)  # for this package only
        self.account_id = account_id

    def close(self) -> None:
        self.file.close()

    # databases

    def create_database(self, database_input: Record) -> None:
        name = _name(database_input)
        body = {**database_input, "Name": name}
        try:
            with self.file.write() as connection:
                connection.execute(
                    "insert into databases values (?, ?, ?)", (name, time.time(), json.dumps(body))
                )
        except sqlite3.IntegrityError as error:
            raise AlreadyExistsError("Database already exists.") from error

    def get_database(self, name: str) -> Record:
        with self.file.read() as connection:
            row = connection.execute(
                "select created, body from databases where name = ?", (name.lower(),)
            ).fetchone()
        if row is None:
            raise EntityNotFoundError(f"Database {name.lower()} not found.")
        return self._database(*row)

    def get_databases(self) -> list[Record]:
        with self.file.read() as connection:
            rows = connection.execute("select created, body from databases order by name").fetchall()
        return [self._database(*row) for row in rows]

    def update_database(self, name: str, database_input: Record) -> None:
        body = {**database_input, "Name": name.lower()}  # Glue cannot rename a database
        with self.file.write() as connection:
            done = connection.execute(
                "update databases set body = ? where name = ?", (json.dumps(body), name.lower())
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Database {name.lower()} not found.")

    def delete_database(self, name: str) -> None:
        """Delete a database with its tables, as Glue does."""
        with self.file.write() as connection:
            if connection.execute("delete from databases where name = ?", (name.lower(),)).rowcount == 0:
                raise EntityNotFoundError(f"Database {name.lower()} not found.")

    # tables

    def create_table(self, database: str, table_input: Record) -> None:
        name, now = _name(table_input), time.time()
        body = json.dumps({**table_input, "Name": name})
        with self.file.write() as connection:
            self.require_database(connection, database)
            try:
                created = connection.execute(
                    "insert into tables (database, name, version, created, updated, body)"
                    " values (?, ?, 0, ?, ?, ?)",
                    (database.lower(), name, now, now, body),
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError("Table already exists.") from error
            connection.execute(
                "insert into table_versions values (?, 0, ?, ?)", (created.lastrowid, now, body)
            )

    def get_table(self, database: str, name: str) -> Record:
        with self.file.read() as connection:
            return self._table(self.table_row(connection, database, name))

    def get_tables(self, database: str, expression: str | None = None) -> list[Record]:
        """Return a database's tables by name; `expression` is a pattern (`patterns.matching`) of the whole name."""
        with self.file.read() as connection:
            self.require_database(connection, database)
            rows = connection.execute(
                "select * from tables where database = ? order by name", (database.lower(),)
            ).fetchall()
        if expression:
            kept = matching([row[2] for row in rows], expression)
            rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
        return [self._table(row) for row in rows]

    def update_table(
        self, database: str, table_input: Record, *, version_id: str | None = None, skip_archive: bool = False
    ) -> None:
        """Replace a table's definition; `version_id`, when given, must be the current one.

        Raises ConcurrentModificationError when it is stale: of two writers that read the same version one wins.
        """
        name, now = _name(table_input), time.time()
        body = json.dumps({**table_input, "Name": name})
        with self.file.write() as connection:
            table_id, _, _, version, *_ = self.table_row(connection, database, name)
            if version_id is not None and version_id != str(version):
                raise ConcurrentModificationError("Update table failed due to concurrent modifications.")
            connection.execute(
                "update tables set version = ?, updated = ?, body = ? where id = ?",
                (version + 1, now, body, table_id),
            )
            if skip_archive:
                connection.execute(
                    "delete from table_versions where table_id = ? and version = ?", (table_id, version)
                )
            connection.execute(
                "insert into table_versions values (?, ?, ?, ?)", (table_id, version + 1, now, body)
            )

    def rename_table(self, database: str, name: str, new_name: str, new_database: str | None = None) -> None:
        target = (new_database or database).lower()
        with self.file.write() as connection:
            table_id, *_, body = self.table_row(connection, database, name)
            self.require_database(connection, target)
            renamed = json.dumps({**json.loads(body), "Name": new_name.lower()})
            try:
                connection.execute(
                    "update tables set database = ?, name = ?, updated = ?, body = ? where id = ?",
                    (target, new_name.lower(), time.time(), renamed, table_id),
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError("Table already exists.") from error

    def delete_table(self, database: str, name: str) -> None:
        with self.file.write() as connection:
            self.require_database(connection, database)
            done = connection.execute(
                "delete from tables where database = ? and name = ?", (database.lower(), name.lower())
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Table {name.lower()} not found.")

    def get_table_versions(self, database: str, name: str) -> list[Record]:
        """Return every archived version and the current one, newest first."""
        with self.file.read() as connection:
            row = self.table_row(connection, database, name)
            versions = connection.execute(
                "select version, updated, body from table_versions where table_id = ? order by version desc",
                (row[0],),
            ).fetchall()
        return [
            self._table((row[0], row[1], row[2], version, row[4], updated, body))
            for version, updated, body in versions
        ]

    def delete_table_version(self, database: str, name: str, version_id: str) -> None:
        with self.file.write() as connection:
            table_id, _, _, version, *_ = self.table_row(connection, database, name)
            if version_id == str(version):
                raise InvalidInputError("Cannot delete the current version of a table.")
            done = connection.execute(
                "delete from table_versions where table_id = ? and version = ?", (table_id, version_id)
            )
            if done.rowcount == 0:
                raise EntityNotFoundError(f"Table version {version_id} not found.")

    # partitions; `values` are strings in the order of the table's PartitionKeys

    def create_partitions(
        self, database: str, table: str, inputs: list[Record], *, ignore_existing: bool = False
    ) -> list[Record]:
        """Create all or none, and return those created.

        `ignore_existing` leaves out of both what is there already; else it raises AlreadyExistsError.
        """
        now, created = time.time(), []
        with self.file.write() as connection:
            row = self.table_row(connection, database, table)
            keys = json.loads(row[6]).get("PartitionKeys") or []
            for partition_input in inputs:
                values = _values(partition_input, len(keys))
                done = connection.execute(
                    "insert into partitions values (?, ?, ?, ?) on conflict do nothing",
                    (row[0], json.dumps(values), now, json.dumps(partition_input)),
                )
                if done.rowcount:
                    created.append(self._partition(row, now, json.dumps(partition_input)))
                elif not ignore_existing:
                    raise AlreadyExistsError("Partition already exists.")
        return created

    def get_partition(self, database: str, table: str, values: list[str]) -> Record:
        with self.file.read() as connection:
            row = self.table_row(connection, database, table)
            found = connection.execute(
                "select created, body from partitions where table_id = ? and partition_values = ?",
                (row[0], json.dumps(values)),
            ).fetchone()
        if found is None:
            raise EntityNotFoundError("Cannot find partition.")
        return self._partition(row, *found)

    def get_partitions(self, database: str, table: str, expression: str | None = None) -> list[Record]:
        """Return the partitions that `expression` (catalog/expressions.py) keeps, by values; all without one."""
        with self.file.read() as connection:
            row = self.table_row(connection, database, table)
            found = connection.execute(
                "select partition_values, created, body from partitions where table_id = ?"
                " order by partition_values",
                (row[0],),
            ).fetchall()
        if keeps := _filter(row, expression):
            found = [item for item in found if keeps(json.loads(item[0]))]
        return [self._partition(row, created, body) for _, created, body in found]

    def get_partition_page(
        self,
        database: str,
        table: str,
        expression: str | None,
        *,
        after: str = "",
        limit: int,
        segment: tuple[int, int] = (0, 1),
    ) -> tuple[list[Record], str | None]:
        """Return up to `limit` partitions and, when more follow, the last one's place, to give as `after`.

        `segment` is (number, of how many): every partition is in one segment. Only the bodies of the page are read.
        """
        number, total = segment
        with self.file.read() as connection:
            row = self.table_row(connection, database, table)
            keeps = _filter(row, expression)
            places = connection.execute(
                "select partition_values from partitions where table_id = ? and partition_values > ?"
                " order by partition_values",
                (row[0], after),
            )
            chosen: list[str] = []
            for (place,) in places:
                if total > 1 and zlib.crc32(place.encode()) % total != number:
                    continue
                if keeps is None or keeps(json.loads(place)):
                    chosen.append(place)
                if len(chosen) > limit:
                    break
            bodies = [
                connection.execute(
                    "select created, body from partitions where table_id = ? and partition_values = ?",
                    (row[0], place),
                ).fetchone()
                for place in chosen[:limit]
            ]
        following = chosen[limit - 1] if len(chosen) > limit else None
        return [self._partition(row, created, body) for created, body in bodies], following

    def update_partition(self, database: str, table: str, values: list[str], partition_input: Record) -> None:
        """Replace one partition's definition; other `Values` in the input move it."""
        with self.file.write() as connection:
            row = self.table_row(connection, database, table)
            keys = json.loads(row[6]).get("PartitionKeys") or []
            body = {"Values": values, **partition_input}
            try:
                done = connection.execute(
                    "update partitions set partition_values = ?, body = ?"
                    " where table_id = ? and partition_values = ?",
                    (json.dumps(_values(body, len(keys))), json.dumps(body), row[0], json.dumps(values)),
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError("Partition already exists.") from error
            if done.rowcount == 0:
                raise EntityNotFoundError("Cannot find partition.")
            connection.execute(
                "update or replace column_statistics set partition_values = ?"
                " where table_id = ? and partition_values = ?",
                (json.dumps(_values(body, len(keys))), row[0], json.dumps(values)),
            )

    def delete_partition(self, database: str, table: str, values: list[str]) -> None:
        with self.file.write() as connection:
            row = self.table_row(connection, database, table)
            done = connection.execute(
                "delete from partitions where table_id = ? and partition_values = ?",
                (row[0], json.dumps(values)),
            )
            if done.rowcount == 0:
                raise EntityNotFoundError("Cannot find partition.")
            connection.execute(
                "delete from column_statistics where table_id = ? and partition_values = ?",
                (row[0], json.dumps(values)),
            )

    # rows to wire records

    @staticmethod
    def require_database(connection: sqlite3.Connection, name: str) -> None:
        if not connection.execute("select 1 from databases where name = ?", (name.lower(),)).fetchone():
            raise EntityNotFoundError(f"Database {name.lower()} not found.")

    def table_row(self, connection: sqlite3.Connection, database: str, name: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = connection.execute(
            "select * from tables where database = ? and name = ?", (database.lower(), name.lower())
        ).fetchone()
        if row is None:
            self.require_database(connection, database)
            raise EntityNotFoundError("Entity Not Found")
        return row

    def _database(self, created: float, body: str) -> Record:
        return {**json.loads(body), "CreateTime": created, "CatalogId": self.account_id}

    def _table(self, row: tuple[Any, ...]) -> Record:
        _, database, name, version, created, updated, body = row
        return {
            **json.loads(body),
            "Name": name,
            "DatabaseName": database,
            "CreateTime": created,
            "UpdateTime": updated,
            "CatalogId": self.account_id,
            "VersionId": str(version),
            "IsRegisteredWithLakeFormation": False,
        }

    def _partition(self, table: tuple[Any, ...], created: float, body: str) -> Record:
        return {
            **json.loads(body),
            "DatabaseName": table[1],
            "TableName": table[2],
            "CreationTime": created,
            "CatalogId": self.account_id,
        }


def _filter(table: tuple[Any, ...], expression: str | None) -> Callable[[list[str]], bool] | None:
    if not expression or not expression.strip():
        return None
    keys = json.loads(table[6]).get("PartitionKeys") or []
    return compile_expression(expression, {key["Name"]: key.get("Type", "string") for key in keys})


def _name(record: Record) -> str:
    name = record.get("Name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidInputError("Name must not be empty.")
    return name.lower()


def _values(partition_input: Record, key_count: int) -> list[str]:
    values = partition_input.get("Values") or []
    if len(values) != key_count:
        raise InvalidInputError(
            f"The number of partition keys do not match the number of partition values:"
            f" {key_count} keys, {len(values)} values."
        )
    return [str(value) for value in values]
