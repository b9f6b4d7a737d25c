"""Which values may be assigned to which columns without a cast: Trino's implicit coercions for INSERT, UPDATE and MERGE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from athena_local.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from athena_local.types import AthenaType

_WIDER = {
    "tinyint": {"smallint", "integer", "bigint", "decimal", "real", "double"},
    "smallint": {"integer", "bigint", "decimal", "real", "double"},
    "integer": {"bigint", "decimal", "real", "double"},
    "bigint": {"decimal", "real", "double"},
    "decimal": {"real", "double"},
    "real": {"double"},
    "double": {
        "decimal",
        "real",
    },  # not Trino's: the engine types a literal like 1.5, a decimal to Trino, as double
    "char": {"varchar"},
    "date": {"timestamp", "timestamp with time zone"},
    "timestamp": {"timestamp with time zone"},
}


def coercible(given: AthenaType, wanted: AthenaType) -> bool:
    """Decimals pass whatever their scale: the engine's own arithmetic gives scales that are not always Trino's."""
    if given.base == "unknown":
        return True
    if given.base == wanted.base:
        if len(given.fields) != len(wanted.fields):
            return False
        return all(
            coercible(left[1], right[1]) for left, right in zip(given.fields, wanted.fields, strict=True)
        )
    return wanted.base in _WIDER.get(given.base, ())


def check_assignable(
    given: Sequence[AthenaType], wanted: Sequence[AthenaType], what: str, source: str
) -> None:
    """Raise TYPE_MISMATCH in Trino's words unless every value may be assigned to its column."""
    if len(given) == len(wanted) and all(coercible(a, b) for a, b in zip(given, wanted, strict=True)):
        return
    raise QueryError("TYPE_MISMATCH", f"{what}: Table: {_listed(wanted)}, {source}: {_listed(given)}")


def _listed(kinds: Sequence[AthenaType]) -> str:
    return f"[{', '.join(kind.trino() for kind in kinds)}]"
