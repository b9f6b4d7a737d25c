"""Make one Iceberg table hold the rows of another's snapshot, partition by partition, and prove that it does.

Both sides are counted and checksummed by group (month and tenant, say) in Athena; partitions that differ are deleted from
the target and inserted again, at most 100 at a time, which is what Athena's writers take. Whatever a killed run left half
done is just another difference: nothing has to be remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.connections import Connections
from penstock.lake.athena import Athena, QueryResult
from penstock.lake.layouts import Partition, Term, condition
from penstock.lake.tables import TableName, Version

# https://docs.aws.amazon.com/athena/latest/ug/ctas-insert-into.html: more than 100 partitions a statement are refused
PARTITIONS_AT_ONCE = 100

# A property of the metadata -> what CTAS calls it; others are taken over in the metadata itself.
_CTAS_PROPERTIES = {
    "write.format.default": "format",
    "write.parquet.compression-codec": "write_compression",
    "write.target-file-size-bytes": "write_target_data_file_size_bytes",
}
_WORDS = frozenset({"format", "write_compression"})
# SQL's name of an Iceberg type, for a column that the snapshot has with another type or not at all
_SQL_TYPES = {
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "string": "varchar",
    "timestamp": "timestamp(6)",
    "timestamptz": "timestamp(6) with time zone",
    "binary": "varbinary",
}

Group = tuple[Any, ...]
Checkpoint = Callable[[str], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Proof:
    """Rows and checksum of one group."""

    rows: int
    checksum: str


@dataclass
class Cost:
    """What Athena was asked for: statements and bytes scanned, rows written."""

    statements: int = 0
    bytes_scanned: int = 0
    rows: int = 0

    def add(self, result: QueryResult) -> QueryResult:
        self.statements += 1
        self.bytes_scanned += result.bytes_scanned
        return result


@dataclass
class Copier:
    """Copies between versions of tables that have the same columns.

    terms: the target's layout. groups: by what rows are counted and checksummed, the target's terms among them.
    own: raises when this run is no longer the one that may write; asked before each statement.
    """

    connections: Connections
    terms: tuple[Term, ...]
    groups: tuple[Term, ...]
    own: Callable[[], None]
    checkpoint: Checkpoint
    say: Say
    cost: Cost = field(default_factory=Cost)

    def proofs(self, version: Version | None) -> dict[Group, Proof]:
        """Return rows and checksum of each group of the version's current snapshot; nothing for no table."""
        if version is None or version.snapshot_id is None:
            return {}
        columns = columns_at(version)
        keys = [term.sql for term in self.groups]
        numbers = ", ".join(str(number) for number in range(1, len(keys) + 1))
        values = ", ".join(f'"{name}"' for name in columns)
        every = [*keys, "count(*)", f"to_hex(checksum(ROW({values})))"]
        sql = f"SELECT {', '.join(every)} FROM {source_of(version)}" + (
            f" GROUP BY {numbers}" if keys else ""
        )
        rows = self._run(sql).rows
        return {tuple(row[:-2]): Proof(int(row[-2] or 0), row[-1] or "") for row in rows if int(row[-2] or 0)}

    def differing(
        self, source: Mapping[Group, Proof], target: Mapping[Group, Proof]
    ) -> tuple[list[Partition], list[Partition]]:
        """Return the target's partitions to delete from it, and those to insert into it, in an order that prunes."""
        wrong = {key for key in source.keys() | target.keys() if source.get(key) != target.get(key)}
        partitions = {self._partition(key) for key in wrong}
        delete = partitions & {self._partition(key) for key in target}
        insert = partitions & {self._partition(key) for key in source}
        return self._ordered(delete), self._ordered(insert)

    def copy(
        self,
        source: Version,
        target: TableName,
        delete: Sequence[Partition],
        insert: Sequence[Partition],
        create: Callable[[str], str] | None,
    ) -> None:
        """Delete and insert partitions of the target; `create`, where it does not exist yet, makes a CTAS of a query."""
        columns = columns_at(source)
        names = ", ".join(f'"{name}"' for name in columns)
        for batch in _batches(delete):
            self.own()
            self._run(f"DELETE FROM {target.sql} WHERE {condition(self.terms, batch)}")
            self.checkpoint("deleted")
        batches = list(_batches(insert))
        if create is not None and not batches:
            self.own()
            self._run(create(f"SELECT {names} FROM {source_of(source)}") + " WITH NO DATA")
            self.checkpoint("created")
        for number, batch in enumerate(batches, start=1):
            self.own()
            self.say(f"copying {len(batch)} partitions, batch {number} of {len(batches)}")
            query = f"SELECT {names} FROM {source_of(source)} WHERE {condition(self.terms, batch)}"
            making = create is not None and number == 1
            if create is not None and making:
                done = self._run(create(query))
            else:
                done = self._run(f"INSERT INTO {target.sql} ({names}) {query}")
            self.cost.rows += done.update_count or 0
            self.checkpoint("created" if making else "copied")

    def _run(self, sql: str) -> QueryResult:
        return self.cost.add(Athena(self.connections).run(sql))

    def _partition(self, group: Group) -> Partition:
        return tuple(group[self.groups.index(term)] for term in self.terms)

    def _ordered(self, partitions: set[Partition]) -> list[Partition]:
        """Order by the terms that the groups name first, the source's own: a batch then lies in few of its partitions."""
        places = sorted(range(len(self.terms)), key=lambda place: self.groups.index(self.terms[place]))
        return sorted(
            partitions,
            key=lambda values: [(values[place] is not None, values[place] or "") for place in places],
        )


def columns_at(version: Version) -> dict[str, str]:
    """Return the current columns, and what each is in the current snapshot's own schema, as SQL.

    Athena reads a snapshot with the schema it was written with: a column may be younger, or have had another name or type.
    """
    current = version.fields()
    snapshot = version.snapshot(version.snapshot_id) or {}
    then = {field["id"]: field for field in version.fields(snapshot.get("schema-id"))}
    found = {}
    for column in current:
        name, kind = column["name"], column["type"]
        old = then.get(column["id"])
        if old is None:
            found[name] = f"CAST(NULL AS {_sql_type(kind)})"
        elif old["type"] != kind and isinstance(kind, str):
            found[name] = f'CAST("{old["name"]}" AS {_sql_type(kind)})'
        else:
            found[name] = f'"{old["name"]}"'
    return found


def source_of(version: Version) -> str:
    """Return the version's current snapshot as a FROM item with today's columns; a table never written to as it is."""
    if version.snapshot_id is None:
        return version.name.sql
    pinned = f"{version.name.sql} FOR VERSION AS OF {version.snapshot_id}"
    columns = columns_at(version)
    if all(expression == f'"{name}"' for name, expression in columns.items()):
        return pinned
    listed = ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())
    return f"(SELECT {listed} FROM {pinned})"


def ctas(
    name: TableName, base: str, terms: Sequence[Term], properties: Mapping[str, str]
) -> Callable[[str], str]:
    """Return a function that makes a query the CTAS of an Iceberg table at a location, in a layout, stored by properties."""
    given = ["table_type = 'ICEBERG'", "is_external = false", f"location = '{base}/'"]
    stored = {"write.format.default": "PARQUET"} | dict(properties)
    for kept, key in _CTAS_PROPERTIES.items():
        if kept in stored:
            value = stored[kept]
            given.append(f"{key} = '{value}'" if key in _WORDS else f"{key} = {int(value)}")
    listed = ", ".join(f"'{term.text}'" for term in terms)
    given.append(f"partitioning = ARRAY[{listed}]")
    head = f"CREATE TABLE {name.sql} WITH ({', '.join(given)}) AS "
    return lambda query: head + query


def _sql_type(kind: Any) -> str:
    if isinstance(kind, str):
        return _SQL_TYPES.get(kind, kind)
    if kind["type"] == "list":
        return f"array({_sql_type(kind['element'])})"
    if kind["type"] == "map":
        return f"map({_sql_type(kind['key'])}, {_sql_type(kind['value'])})"
    fields = ", ".join(f'"{field["name"]}" {_sql_type(field["type"])}' for field in kind["fields"])
    return f"row({fields})"


def _batches(partitions: Sequence[Partition]) -> Iterator[Sequence[Partition]]:
    for start in range(0, len(partitions), PARTITIONS_AT_ONCE):
        yield partitions[start : start + PARTITIONS_AT_ONCE]
