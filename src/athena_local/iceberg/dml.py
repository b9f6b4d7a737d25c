"""INSERT, DELETE, UPDATE and MERGE: one DuckDB pass finds what changes, one snapshot commits it.

Rows that change are marked by position deletes and written anew (merge-on-read, as Athena does); a data file of which no
row is left is dropped whole. Nothing is committed when nothing changes. Whatever fails takes its uploaded files with it.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.context import StatementResult
from athena_local.errors import QueryError
from athena_local.iceberg import planning, scans
from athena_local.iceberg.coerce import check_assignable
from athena_local.iceberg.commit import Changes, check_writable, commit_changes
from athena_local.iceberg.scans import scalar
from athena_local.iceberg.schema import duckdb_type, text
from athena_local.iceberg.table import clean_on_failure, pinned
from athena_local.iceberg.write import write_data, write_deletes
from athena_local.sql.casts import stored
from athena_local.sql.dialect import AthenaSQL
from athena_local.types import from_iceberg, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.manifest import DataFile

    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record
    from athena_local.sql.statements import Delete, Insert, Merge, MergeClause, Update
    from athena_local.types import AthenaType, Column

_PATH, _POSITION, _CLAUSE = "__path", "__pos", "__clause"
Assignment = tuple[str, exp.Expression]


def insert(session: Session, statement: Insert, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    translated = session.translate(statement.query)
    names = _insert_columns(loaded, statement.columns)
    wanted = [from_iceberg(loaded.schema.find_field(name).field_type) for name in names]
    given = [column.type for column in translated.columns]
    check_assignable(given, wanted, "Insert query has mismatched column types", "Query")
    with clean_on_failure(session.context, loaded):
        files = write_data(session, loaded, assigned(translated.sql, translated.columns, names, loaded))
        commit_changes(session.context, loaded, Changes(added=files), independent=True)
    return _counted(sum(item.record_count for item in files), files)


def _insert_columns(table: IcebergTable, listed: Sequence[str]) -> list[str]:
    columns = {field.name.lower(): field.name for field in table.schema.fields}
    if not listed:
        return list(columns.values())
    for name in listed:
        if name.lower() not in columns:
            raise QueryError("COLUMN_NOT_FOUND", f"Insert column name does not exist in target table: {name}")
    if len({name.lower() for name in listed}) != len(listed):
        twice = next(name for name in listed if [other.lower() for other in listed].count(name.lower()) > 1)
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Insert column name is specified more than once: {twice}")
    return [columns[name.lower()] for name in listed]


def assigned(sql: str, given: Sequence[Column], names: Sequence[str], table: IcebergTable) -> str:
    """Return the query with its columns, by position, cast to the table's of those names; the others are NULL."""
    aliases = [f"__{number}" for number in range(len(given))]
    sources = dict(zip(names, zip(aliases, (column.type for column in given), strict=True), strict=True))
    columns = ", ".join(
        f"CAST({stored(*sources[field.name], from_iceberg(field.field_type)) if field.name in sources else 'NULL'}"
        f" AS {duckdb_type(field.field_type)}) AS {quote(field.name)}"
        for field in table.schema.fields
    )
    return f"SELECT {columns} FROM ({sql}) AS q({', '.join(aliases)})"


def _counted(count: int, files: Sequence[DataFile] = ()) -> StatementResult:
    return StatementResult(update_count=count, manifest=[item.file_path for item in files])


# DELETE and UPDATE


def delete(session: Session, statement: Delete, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    if statement.where is None:
        return _delete_all(session, loaded)
    query = _select(
        [_hidden(loaded.name, scans.PATH, _PATH), _hidden(loaded.name, scans.POSITION, _POSITION)]
    )
    query = query.from_(_target(loaded, None)).where(statement.where.copy())
    name = _materialize(session, query)
    return _apply(session, loaded, name, None)


def _delete_all(session: Session, table: IcebergTable) -> StatementResult:
    planned = planning.plan(table)
    deletes = {item.file_path: item for _, applied in planned.files for item in applied}
    if deletes:
        count = scalar(session, f"SELECT count(*) FROM {scans.to_sql(session, planned)}")
    else:
        count = sum(item.record_count for item, _ in planned.files)
    removed = [*planned.by_path.values(), *deletes.values()]
    with clean_on_failure(session.context, table):
        commit_changes(session.context, table, Changes(removed=removed))
    return _counted(count)


def update(session: Session, statement: Update, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    assignments = _resolved(loaded, statement.assignments)
    target = _target(loaded, None)
    _check_types(
        session,
        loaded,
        assignments,
        lambda query: _where(query.from_(target.copy()), statement.where),
        "UPDATE",
    )
    values = dict(assignments)
    columns = [_hidden(loaded.name, scans.PATH, _PATH), _hidden(loaded.name, scans.POSITION, _POSITION)]
    for field in loaded.schema.fields:
        value = values.get(field.name, _column(loaded.name, field.name))
        columns.append(_alias(_cast(value, from_iceberg(field.field_type)), field.name))
    name = _materialize(session, _where(_select(columns).from_(target), statement.where))
    return _apply(session, loaded, name, "TRUE")


def _where(query: exp.Select, condition: exp.Expression | None) -> exp.Select:
    return query if condition is None else query.where(condition.copy())


# MERGE


def merge(session: Session, statement: Merge, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    alias = statement.alias or loaded.name
    clauses = [(clause, _clause_assignments(loaded, clause)) for clause in statement.clauses]

    def joined(query: exp.Select) -> exp.Select:
        side = "inner" if all(clause.matched for clause, _ in clauses) else "left"
        source = query.from_(statement.source.copy())
        return source.join(_target(loaded, alias), on=exp.paren(statement.on.copy()), join_type=side)

    for number, (clause, assignments) in enumerate(clauses):
        _check_types(session, loaded, assignments, joined, f"MERGE case {number} {clause.action.upper()}")
    conditions = [_clause_condition(alias, clause) for clause, _ in clauses]
    columns = [_hidden(alias, scans.PATH, _PATH), _hidden(alias, scans.POSITION, _POSITION)]
    numbers = [exp.Literal.number(number) for number in range(len(clauses))]
    columns.append(_alias(_case(conditions, numbers), _CLAUSE))
    for field in loaded.schema.fields:
        kind = from_iceberg(field.field_type)
        cases = []
        for (clause, assignments), condition in zip(clauses, conditions, strict=True):
            unchanged = _column(alias, field.name) if clause.action == "update" else exp.Null()
            cases.append((condition, _cast(dict(assignments).get(field.name, unchanged), kind)))
        columns.append(_alias(_case([c for c, _ in cases], [v for _, v in cases]), field.name))
    name = _materialize(session, joined(_select(columns)))
    _refuse_multiple_matches(session, name)
    written = [number for number, (clause, _) in enumerate(clauses) if clause.action != "delete"]
    rows = f"{_CLAUSE} IN ({', '.join(map(str, written))})" if written else None
    return _apply(session, loaded, name, rows, f"{_CLAUSE} IS NOT NULL")


def _clause_assignments(table: IcebergTable, clause: MergeClause) -> list[Assignment]:
    if clause.action == "insert":
        names = _insert_columns(table, clause.columns)
        if len(names) != len(clause.values):
            raise QueryError(
                "SYNTAX_ERROR",
                f"Insert query has {len(clause.values)} expression(s) but expected {len(names)} target column(s)",
            )
        return list(zip(names, clause.values, strict=True))
    return _resolved(table, clause.assignments)


def _clause_condition(alias: str, clause: MergeClause) -> exp.Expression:
    absent = exp.Is(this=_column(alias, scans.POSITION), expression=exp.Null())
    condition: exp.Expression = exp.Not(this=absent) if clause.matched else absent
    if clause.condition is None:
        return condition
    return exp.And(this=condition, expression=exp.Paren(this=clause.condition.copy()))


def _refuse_multiple_matches(session: Session, name: str) -> None:
    sql = f"SELECT 1 FROM {name} WHERE {_PATH} IS NOT NULL GROUP BY {_PATH}, {_POSITION} HAVING count(*) > 1 LIMIT 1"
    if session.execute(sql).fetchall():
        raise QueryError(
            "MERGE_TARGET_ROW_MULTIPLE_MATCHES", "One MERGE target table row matched more than one source row"
        )


# what they share


def _resolved(table: IcebergTable, assignments: Sequence[Assignment]) -> list[Assignment]:
    columns = {field.name.lower(): field.name for field in table.schema.fields}
    found: dict[str, exp.Expression] = {}
    for name, value in assignments:
        if name.lower() not in columns:
            raise QueryError("COLUMN_NOT_FOUND", f"The UPDATE SET target column {name} doesn't exist")
        if columns[name.lower()] in found:
            raise QueryError("SYNTAX_ERROR", f"The SET clause assigns the column {name} twice")
        found[columns[name.lower()]] = value
    return list(found.items())


def _check_types(
    session: Session, table: IcebergTable, assignments: Sequence[Assignment], source: Any, what: str
) -> None:
    if not assignments:
        return
    query = source(_select([_alias(value, f"c{number}") for number, (_, value) in enumerate(assignments)]))
    given = [column.type for column in session.translate(query).columns]
    wanted = [from_iceberg(table.schema.find_field(name).field_type) for name, _ in assignments]
    check_assignable(given, wanted, f"{what} table column types don't match SET expressions", "Expressions")


def _materialize(session: Session, query: exp.Select) -> str:
    name = f"changes_{uuid.uuid4().hex}"
    session.execute(f"CREATE TEMP TABLE {name} AS {session.translate(query).sql}")
    return name


def _apply(
    session: Session, table: IcebergTable, name: str, written: str | None, changed: str = "TRUE"
) -> StatementResult:
    """Commit what a temporary table lists: rows with a path are deleted, those that `written` selects are added."""
    count = scalar(session, f"SELECT count(*) FROM {name} WHERE {changed}")
    if not count:
        return _counted(0)
    positions = _positions(
        session,
        f"SELECT {_PATH} AS file_path, {_POSITION} AS pos FROM {name} "
        f"WHERE {_PATH} IS NOT NULL AND {changed} ORDER BY {_PATH}, {_POSITION}",
    )
    with clean_on_failure(session.context, table):
        changes = Changes()
        if written is not None:
            columns = ", ".join(quote(field.name) for field in table.schema.fields)
            changes.added = write_data(session, table, f"SELECT {columns} FROM {name} WHERE {written}")
        if positions.num_rows:
            _mark_deleted(session, table, positions, changes)
        commit_changes(session.context, table, changes)
    return _counted(count, changes.added)


def _positions(session: Session, sql: str) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([("file_path", pa.string()), ("pos", pa.int64())])
    return pa.Table.from_batches((batch.cast(schema) for batch in session.batches(sql)), schema)


def _mark_deleted(session: Session, table: IcebergTable, positions: pa.Table, changes: Changes) -> None:
    """Add to the changes a delete file for each partition touched, or the removal of files that lose their last row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    planned = planning.plan(table)
    deletes_of = {item.file_path: deletes for item, deletes in planned.files}
    counts = {
        row["values"]: row["counts"] for row in pc.value_counts(positions.column("file_path")).to_pylist()
    }
    emptied = _emptied(session, planned, counts)
    changes.removed = [planned.by_path[path] for path in sorted(emptied)]
    changes.removed += _spent_deletes(deletes_of, emptied)
    groups: dict[Any, list[str]] = defaultdict(list)
    for path in sorted(counts):
        if path not in emptied:
            data_file = planned.by_path[path]
            groups[data_file.spec_id, data_file.partition].append(path)
    specs = table.metadata.specs()
    for (spec_id, partition), paths in groups.items():
        mine = pc.is_in(positions.column("file_path"), pa.array(paths, pa.string()))
        part = positions.filter(mine).combine_chunks()
        changes.deletes.append(write_deletes(session, table, part, partition, specs[spec_id]))


def _emptied(session: Session, planned: planning.Plan, counts: dict[str, int]) -> set[str]:
    """Return the paths of files of which every row is now deleted."""
    emptied = set()
    for data_file, deletes in planned.files:
        count = counts.get(data_file.file_path, 0)
        if not count:
            continue
        if count == data_file.record_count:
            emptied.add(data_file.file_path)
        elif any(scans.is_equality(item) for item in deletes):
            continue  # how many rows they hit is not known without reading the file
        elif count + sum(item.record_count for item in deletes) >= data_file.record_count:
            paths = ", ".join(text(item.file_path) for item in deletes)
            where = f"file_path = {text(data_file.file_path)}"
            known = scalar(session, f"SELECT count(DISTINCT pos) FROM read_parquet([{paths}]) WHERE {where}")
            if known + count == data_file.record_count:
                emptied.add(data_file.file_path)
    return emptied


def _spent_deletes(deletes_of: dict[str, list[DataFile]], emptied: set[str]) -> list[DataFile]:
    """Return delete files that applied to nothing but the emptied data files."""
    if not emptied:
        return []
    alive = {
        item.file_path for path, deletes in deletes_of.items() if path not in emptied for item in deletes
    }
    spent = {
        item.file_path: item for path in emptied for item in deletes_of[path] if item.file_path not in alive
    }
    return [spent[path] for path in sorted(spent)]


def _select(columns: Sequence[exp.Expression]) -> exp.Select:
    return exp.Select(expressions=list(columns))


def _target(table: IcebergTable, alias: str | None) -> exp.Table:
    found = exp.Table(
        this=exp.to_identifier(table.name, quoted=True), db=exp.to_identifier(table.database, quoted=True)
    )
    if alias:
        found.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return found


def _column(relation: str, name: str) -> exp.Column:
    return exp.Column(
        this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(relation, quoted=True)
    )


def _hidden(relation: str, name: str, alias: str) -> exp.Expression:
    return _alias(_column(relation, name), alias)


def _alias(value: exp.Expression, name: str) -> exp.Expression:
    return exp.Alias(this=value.copy(), alias=exp.to_identifier(name, quoted=True))


def _cast(value: exp.Expression, kind: AthenaType) -> exp.Expression:
    return exp.Cast(this=value.copy(), to=exp.DataType.build(kind.trino(), dialect=AthenaSQL))


def _case(conditions: Sequence[exp.Expression], values: Sequence[exp.Expression]) -> exp.Expression:
    return exp.Case(
        ifs=[
            exp.If(this=condition.copy(), true=value.copy())
            for condition, value in zip(conditions, values, strict=True)
        ]
    )
