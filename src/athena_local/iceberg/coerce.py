"""Which values may be assigned to which columns without a cast: Trino's implicit coercions for INSERT, UPDATE and MERGE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from athena_local.errors import QueryError
from athena_local.sql.coercion import assignable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from athena_local.types import AthenaType


def check_assignable(
    given: Sequence[AthenaType],
    wanted: Sequence[AthenaType],
    what: str,
    source: str,
    position: tuple[int, int] | None = None,
) -> None:
    """Raise TYPE_MISMATCH in Trino's words unless every value may be assigned to its column."""
    if len(given) == len(wanted) and all(assignable(a, b) for a, b in zip(given, wanted, strict=True)):
        return
    text = f"{what}: Table: {_listed(wanted)}, {source}: {_listed(given)}"
    raise QueryError("TYPE_MISMATCH", text, position=position)


def _listed(kinds: Sequence[AthenaType]) -> str:
    return f"[{', '.join(kind.trino() for kind in kinds)}]"
