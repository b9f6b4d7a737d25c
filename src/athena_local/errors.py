"""Every error a query can end in, as Athena words and numbers it.

A statement either succeeds or raises `QueryError`; whatever else escapes is a defect of ours and is reported as
GENERIC_INTERNAL_ERROR, never as a made-up user error. `position` is one-based line and column of the *submitted* text.
The message format follows what Athena puts in StateChangeReason: `CODE: line L:C: text`.
ErrorCategory (1 system, 2 user, 3 other) and ErrorType numbers: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
"""

from __future__ import annotations

SYSTEM, USER, OTHER = 1, 2, 3

# code -> AthenaError.ErrorType. Codes that are not listed answer with GENERIC_USER_ERROR_TYPE.
ERROR_TYPES: dict[str, int] = {
    "HIVE_BAD_DATA": 1003,
    "HIVE_CURSOR_ERROR": 1003,
    "SYNTAX_ERROR": 1006,
    "ICEBERG_COMMIT_ERROR": 233,
    "GENERIC_INTERNAL_ERROR": 100,
}
GENERIC_USER_ERROR_TYPE = 1006


class QueryError(Exception):
    """A query ends FAILED with this. `str()` is the StateChangeReason.

    Athena's own checks before the engine (DDL of Iceberg tables) have no code: theirs is "", the reason is the text alone.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        position: tuple[int, int] | None = None,
        category: int = USER,
        retryable: bool = False,
        error_type: int | None = None,
    ) -> None:
        self.code = code
        self.text = text
        self.position = position
        self.category = category
        self.retryable = retryable
        where = f"line {position[0]}:{position[1]}: " if position else ""
        self._error_type = error_type
        super().__init__(f"{code}: {where}{text}" if code else f"{where}{text}")

    @property
    def error_type(self) -> int:
        """AthenaError.ErrorType: the one given, else its code's."""
        return self._error_type or ERROR_TYPES.get(self.code, GENERIC_USER_ERROR_TYPE)


class QueryCancelledError(Exception):
    """StopQueryExecution reached a running statement; the query ends CANCELLED."""
