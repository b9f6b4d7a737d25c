"""MERGE: the source joined to the table once, the first clause that holds decides about each row.

A row of the table may be matched by one row of the source only, whether a clause applies to it or not; names and types of
every clause are checked before anything runs, in Trino's order and words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.iceberg import scans, trees
from athena_local.iceberg.changes import PATH, POSITION, apply
from athena_local.iceberg.coerce import check_assignable
from athena_local.iceberg.commit import check_writable
from athena_local.iceberg.dml import materialize, row_columns
from athena_local.iceberg.predicates import to_filter
from athena_local.iceberg.table import pinned
from athena_local.sql.lexer import tokenize
from athena_local.sql.scope import position_of
from athena_local.types import AthenaType, from_iceberg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from athena_local.context import StatementResult
    from athena_local.engine.session import Session
    from athena_local.iceberg.table import IcebergTable, Record
    from athena_local.sql.statements import Merge, MergeClause, Position

_CLAUSE = "__clause"


@dataclass(frozen=True)
class _Case:
    """A WHEN with its columns resolved. `position` is where it stands."""

    clause: MergeClause
    values: dict[str, exp.Expression]
    position: Position | None


def merge(session: Session, statement: Merge, table: Record) -> StatementResult:
    loaded = pinned(session, table)
    check_writable(loaded)
    alias = statement.alias or loaded.name
    start = trees.start(statement.on)
    cases = [
        _Case(clause, _values(loaded, clause, start), position)
        for clause, position in zip(statement.clauses, _whens(statement), strict=True)
    ]
    _check_types(session, statement, loaded, alias, cases)
    conditions = [_condition(alias, case.clause) for case in cases]
    numbers = [exp.Literal.number(number) for number in range(len(cases))]
    columns = [*row_columns(alias), trees.named(trees.case(conditions, numbers), _CLAUSE)]
    for field in loaded.schema.fields:
        kind = from_iceberg(field.field_type)
        values = []
        for case in cases:
            kept = trees.column(alias, field.name) if case.clause.action == "update" else exp.Null()
            values.append(trees.cast(case.values.get(field.name, kept), kind))
        columns.append(trees.named(trees.case(conditions, values), field.name))
    side = "inner" if all(case.clause.matched for case in cases) else "left"
    query = trees.select(columns).from_(statement.source.copy())
    own = _own_conditions(alias, statement.on)
    target = _target(loaded, alias, own)
    name = materialize(session, query.join(target, on=exp.paren(statement.on.copy()), join_type=side))
    _refuse_multiple_matches(session, name)
    written = [number for number, case in enumerate(cases) if case.clause.action != "delete"]
    rows = f"{_CLAUSE} IN ({', '.join(map(str, written))})" if written else None
    predicate: Any = exp.and_(*own) if own else None
    row_filter = to_filter(predicate, loaded.schema)
    return apply(session, loaded, name, rows, row_filter, f"{_CLAUSE} IS NOT NULL")


def _own_conditions(alias: str, on: exp.Expression) -> list[exp.Expression]:
    """Return the conditions of ON on the table alone."""
    parts: list[Any] = list(on.flatten()) if isinstance(on, exp.And) else [on]
    return [
        part.copy()
        for part in parts
        if not part.find(exp.Query, exp.Lambda)
        and (columns := list(part.find_all(exp.Column)))
        and all(column.table.lower() == alias and not column.db for column in columns)
    ]


def _target(table: IcebergTable, alias: str, own: Sequence[exp.Expression]) -> exp.Expression:
    """Return the table, reduced to the rows that its own conditions leave, so that files can be pruned."""
    if not own:
        return trees.target(table, alias)
    hidden = [trees.column(alias, name) for name in (scans.PATH, scans.POSITION)]
    everything = exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True))
    query = trees.select([everything, *hidden]).from_(trees.target(table, alias)).where(*own)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _whens(statement: Merge) -> list[Position | None]:
    """Return where each WHEN stands; the tree does not keep it."""
    unknown: list[Position | None] = [None] * len(statement.clauses)
    text = statement.on.root().meta.get("text")
    tokens = tokenize(text) if text else []
    found: list[Position | None] = []
    for index, token in enumerate(tokens):
        after = [item.upper for item in tokens[index + 1 : index + 3]]
        if token.upper == "WHEN" and (after[:1] == ["MATCHED"] or after == ["NOT", "MATCHED"]):
            found.append(trees.place(str(text), token.start))
    return found if len(found) == len(unknown) else unknown


def _values(table: IcebergTable, clause: MergeClause, start: Position | None) -> dict[str, exp.Expression]:
    """Return what a clause assigns, by the table's own names."""
    columns = {field.name.lower(): field.name for field in table.schema.fields}
    if clause.action == "insert":
        names, values = list(clause.columns or columns), list(clause.values)
    else:
        names = [name for name, _ in clause.assignments]
        values = [value for _, value in clause.assignments]
    if len(names) != len(values):
        text = f"Number of merge columns ({len(names)}) isn't equal to number of expressions ({len(values)})"
        raise QueryError("GENERIC_INTERNAL_ERROR", text)
    found: dict[str, exp.Expression] = {}
    for name, value in zip(names, values, strict=True):
        if name.lower() not in columns:
            text = f"Merge column name does not exist in target table: {name}"
            raise QueryError("COLUMN_NOT_FOUND", text, position=start)
        if columns[name.lower()] in found:
            text = f"Merge column name is specified more than once: {name}"
            raise QueryError("DUPLICATE_COLUMN_NAME", text, position=start)
        found[columns[name.lower()]] = value
    return found


def _check_types(
    session: Session, statement: Merge, table: IcebergTable, alias: str, cases: Sequence[_Case]
) -> None:
    expressions = [statement.on]
    for case in cases:
        expressions += [] if case.clause.condition is None else [case.clause.condition]
        expressions += case.values.values()
    listed = [trees.named(value, f"c{number}") for number, value in enumerate(expressions)]
    query = trees.select(listed).from_(statement.source.copy())
    query = query.join(trees.target(table, alias), join_type="cross")
    kinds = iter([column.type for column in session.translate(query).columns])
    _require_boolean(next(kinds), statement.on, "The MERGE predicate must evaluate to a boolean")
    for number, case in enumerate(cases):
        if case.clause.condition is not None:
            what = "WHERE clause predicate must evaluate to a boolean"
            _require_boolean(next(kinds), case.clause.condition, what)
        given = [next(kinds) for _ in case.values]
        wanted = [from_iceberg(table.schema.find_field(name).field_type) for name in case.values]
        what = f"MERGE table column types don't match for MERGE case {number}, SET expressions"
        check_assignable(given, wanted, what, "Expressions", case.position)


def _require_boolean(kind: AthenaType, node: exp.Expression, what: str) -> None:
    if kind.base not in {"boolean", "unknown"}:
        text = f"{what}: actual type {kind.trino()}"
        raise QueryError("TYPE_MISMATCH", text, position=position_of(node))


def _condition(alias: str, clause: MergeClause) -> exp.Expression:
    absent = exp.Is(this=trees.column(alias, scans.POSITION), expression=exp.Null())
    condition: exp.Expression = exp.Not(this=absent) if clause.matched else absent
    if clause.condition is None:
        return condition
    return exp.And(this=condition, expression=exp.Paren(this=clause.condition.copy()))


def _refuse_multiple_matches(session: Session, name: str) -> None:
    sql = f"SELECT 1 FROM {name} WHERE {PATH} IS NOT NULL GROUP BY {PATH}, {POSITION} HAVING count(*) > 1 LIMIT 1"
    if session.execute(sql).fetchall():
        text = "One MERGE target table row matched more than one source row"
        raise QueryError("MERGE_TARGET_ROW_MULTIPLE_MATCHES", text)
