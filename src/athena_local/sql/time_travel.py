"""FOR TIMESTAMP AS OF and FOR VERSION AS OF: what they point at, with Trino's checks of the pointer."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.iceberg import AsOf
from athena_local.sql.dialect import DuckDBText
from athena_local.sql.lexer import tokenize
from athena_local.sql.scope import Scope, position_of
from athena_local.sql.statements import Position

if TYPE_CHECKING:
    from athena_local.sql.queries.dispatch import Queries
    from athena_local.types import AthenaType

_TEMPORAL = {"date", "timestamp", "timestamp with time zone"}


def as_of(queries: Queries, table: exp.Table) -> AsOf | None:
    """Return the version that a table is read at; None for the current one. Timestamps without a zone are in UTC."""
    version = table.args.get("version")
    if version is None:
        return None
    position = _position(table)
    value = queries.expressions.translate(version.expression, Scope())
    text = value.node.sql(dialect=DuckDBText)
    found = queries.session.execute(f"SELECT {text}").fetchall()[0][0]
    if version.name.upper() == "VERSION":
        if found is None:
            raise QueryError("INVALID_ARGUMENTS", "Pointer value cannot be NULL", position=position)
        return AsOf(version=_target(found, value.type))
    kind = _temporal(version.expression, value.type, position)
    if found is None:
        raise QueryError("INVALID_ARGUMENTS", "Pointer value cannot be NULL", position=position)
    later = f"SELECT CAST({text} AS TIMESTAMPTZ) >= date_trunc('millisecond', now())"
    if queries.session.execute(later).fetchall()[0][0]:
        text = f"Pointer value '{_shown(found, kind)}' is not in the past"
        raise QueryError("INVALID_ARGUMENTS", text, position=position)
    return AsOf(timestamp_ms=_milliseconds(found))


def _position(table: exp.Table) -> Position | None:
    """Return the place of FOR, which the tree does not keep."""
    text = table.root().meta.get("text")
    end = max(
        (item.meta["end"] for item in table.find_all(exp.Identifier) if "end" in item.meta), default=None
    )
    if text is None or end is None:
        return position_of(table)
    start = table.this.meta.get("end", end)
    for token in tokenize(text):
        if token.start > start and token.upper == "FOR":
            before = text[: token.start]
            return before.count("\n") + 1, token.start - before.rfind("\n")
    return position_of(table)


def _target(found: Any, kind: AthenaType | None) -> int | str:
    if isinstance(found, str):
        return found
    if kind is not None and kind.base == "bigint":
        return int(found)
    shown = kind.trino() if kind is not None else type(found).__name__
    raise QueryError("NOT_SUPPORTED", f"Unsupported type for table version: {shown}")


def _temporal(node: exp.Expression, kind: AthenaType | None, position: Position | None) -> AthenaType | None:
    if kind is None or kind.base in _TEMPORAL or kind.base == "unknown":
        return kind
    shown = f"varchar({len(node.this)})" if isinstance(node, exp.Literal) and node.is_string else kind.trino()
    text = f"Type {shown} invalid. Temporal pointers must be of type Timestamp, Timestamp with Time Zone, or Date."
    raise QueryError("TYPE_MISMATCH", text, position=position)


def _milliseconds(found: Any) -> int:
    if not isinstance(found, datetime.datetime):
        found = datetime.datetime(found.year, found.month, found.day)
    moment = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp() * 1000)


def _shown(found: Any, kind: AthenaType | None) -> str:
    if not isinstance(found, datetime.datetime):
        return str(found)
    digits = kind.precision or 0 if kind is not None else 3
    fraction = f".{found.microsecond:06d}"[: digits + 1] if digits else ""
    zone = " UTC" if found.tzinfo else ""
    return f"{found:%Y-%m-%d %H:%M:%S}{fraction}{zone}"
