"""How a table is partitioned, as SQL: what groups its rows, and which condition names one partition.

A layout is a list of terms: a column, or year, month, day or hour of one. Refuses bucket and truncate: a batch of
partitions has to be named by a condition that Athena can prune by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.errors import LakeError
from penstock.lake.tables import Version

TRANSFORMS = ("year", "month", "day", "hour")
_TERM = re.compile(r"(?:(?P<transform>[a-z]+)\s*\(\s*)?(?P<column>[a-z_][a-z0-9_]*)(?:\s*\))?")
_PLAIN = ("int", "long", "boolean", "string", "date", "timestamp", "timestamptz")
_TIMES = ("date", "timestamp", "timestamptz")

Value = str | None  # of a term, as Athena prints it
Partition = tuple[Value, ...]


@dataclass(frozen=True)
class Term:
    """One partition field: a column of Iceberg type `kind` by a transform, or as it is (identity)."""

    column: str
    transform: str
    kind: str

    @property
    def text(self) -> str:
        """As dbt's partitioned_by and Athena's partitioning say it."""
        return self.column if self.transform == "identity" else f"{self.transform}({self.column})"

    @property
    def sql(self) -> str:
        """The expression whose values tell the partitions apart."""
        name = f'"{self.column}"'
        return name if self.transform == "identity" else f"date_trunc('{self.transform}', {name})"

    def equals(self, value: Value) -> str:
        """Return the condition of the rows whose value this is."""
        return f"{self.sql} IS NULL" if value is None else f"{self.sql} = {self._literal(value)}"

    def _literal(self, value: str) -> str:
        if self.kind in ("int", "long", "boolean"):
            return value
        quoted = "'" + value.replace("'", "''") + "'"
        if self.kind == "string":
            return quoted
        if self.kind.startswith("decimal"):
            return f"decimal {quoted}"
        return f"{'date' if self.kind == 'date' else 'timestamp'} {quoted}"


def parse_layout(text: str, fields: Sequence[dict[str, Any]]) -> tuple[Term, ...]:
    """Return the terms of "tenant_id,year,month(sold_at)" over a table's columns (JSON fields), in their order.

    Raises: LakeError for a column that is not there, a transform that is not known, a term named twice, or none.
    """
    kinds = {field["name"]: field["type"] for field in fields}
    terms = []
    for part in (item.strip().lower() for item in re.split(r",(?![^(]*\))", text)):
        found = _TERM.fullmatch(part)
        if found is None or ("(" in part) != bool(found["transform"]) or part.endswith(")") != ("(" in part):
            raise LakeError(f"--by has '{part}', which is no partition.", hint=_HINT)
        column, transform = found["column"], found["transform"] or "identity"
        if column not in kinds:
            raise LakeError(
                f"--by names the column '{column}', which the table does not have.",
                hint=f"Its columns: {', '.join(kinds)}.",
            )
        term = _term(column, transform, kinds[column])
        if term is None:
            raise LakeError(
                f"--by has '{part}': {_kind(kinds[column])} cannot be partitioned so.", hint=_HINT
            )
        if term in terms:
            raise LakeError(f"--by names '{part}' twice.", hint=_HINT)
        terms.append(term)
    return tuple(terms)


_HINT = (
    "--by tenant_id,year,month: columns, or year, month, day, hour of a date or timestamp: month(sold_date)."
)


def layout_of(version: Version) -> tuple[Term | None, ...]:
    """Return the table's own layout; None stands for a term that is not one of ours (bucket, truncate)."""
    columns = {field["id"]: field for field in version.fields()}
    found = []
    for item in version.spec:
        if item["transform"] == "void":
            continue
        column = columns.get(item["source-id"])
        found.append(_term(column["name"], item["transform"], column["type"]) if column else None)
    return tuple(found)


def condition(terms: Sequence[Term], partitions: Sequence[Partition]) -> str:
    """Return the condition of the rows in any of these partitions; of all rows where there are no terms."""
    if not terms:
        return "true"
    each = (
        " AND ".join(term.equals(value) for term, value in zip(terms, values, strict=True))
        for values in partitions
    )
    return " OR ".join(f"({item})" for item in each) or "false"


def _term(column: str, transform: str, kind: Any) -> Term | None:
    plain = isinstance(kind, str) and (kind in _PLAIN or kind.startswith("decimal"))
    if transform == "identity" and plain:
        return Term(column, transform, kind)
    if transform in TRANSFORMS and kind in _TIMES and (transform, kind) != ("hour", "date"):
        return Term(column, transform, kind)
    return None


def _kind(kind: Any) -> str:
    return kind if isinstance(kind, str) else str(kind["type"])
