"""Conditional functions: coalesce, nullif, try, greatest, least; and typeof."""

from __future__ import annotations

from athena_local.sql.functions.signatures import Function, common, first, scalar
from athena_local.types import (
    VARCHAR,
)

FUNCTIONS: dict[str, Function] = {
    "coalesce": scalar("coalesce({*})", common, 2, None),
    "nullif": scalar("nullif({0}, {1})", first, 2),
    "try": scalar("TRY({0})", first),
    "greatest": scalar("CASE WHEN {null} THEN NULL ELSE greatest({*}) END", common, 1, None),
    "least": scalar("CASE WHEN {null} THEN NULL ELSE least({*}) END", common, 1, None),
    "typeof": scalar("typeof({0})", VARCHAR),
}
