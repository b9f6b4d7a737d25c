"""Conditional functions: coalesce, nullif, try, greatest, least; and typeof."""

from __future__ import annotations

from athena_local.sql.dialect import Text
from athena_local.sql.functions.signatures import Call, Function, scalar, table
from athena_local.sql.scope import Typed
from athena_local.types import AthenaType

_NULLS = "CASE WHEN {null} THEN NULL ELSE {name}({*}) END"


def _typeof(call: Call) -> str | Typed:
    kind = call.types[0]
    if kind is None:
        return "lower(typeof({0}))"
    text = kind.trino().replace("'", "''")
    return Typed(Text(this=f"'{text}'"), AthenaType("varchar", len(kind.trino())))


FUNCTIONS: dict[str, Function] = table(
    {
        "coalesce": scalar("T, T... -> T", "coalesce({*})"),
        "nullif": scalar("T, U -> T", "nullif({0}, {1})"),
        "try": scalar("T -> T", "TRY({0})"),
        "greatest": scalar("T... -> T", _NULLS.replace("{name}", "greatest")),
        "least": scalar("T... -> T", _NULLS.replace("{name}", "least")),
        "typeof": scalar("T -> varchar", _typeof),
    },
    orderable="greatest least",
)
