"""Every error Penstock raises for a person to read, one tree.

    PenstockError
    ├── SettingsError            a setting or environment variable that cannot be used
    ├── StackError               the local stack: a part that does not start or answer
    ├── LandingError             seed: input or landed files
    │   └── BadInputError        the file breaks its source's declaration; nothing was uploaded
    ├── LakeError                Athena or Glue refused a statement; carries its code
    ├── BuildError               dbt ended with failures
    └── SyncError                lake to Postgres
        ├── PlanError            the declaration or the table cannot be synced (named)
        ├── SchemaDriftError     a column was lost, retyped or narrowed
        ├── SyncBusyError        another sync holds the table's lock
        └── ChecksumMismatchError  what was written is not what the lake holds; rolled back

Tasks print `message` and `hint` and exit with 1; a stack trace is shown only with PENSTOCK_DEBUG=1.
"""

from __future__ import annotations

from collections.abc import Sequence


class PenstockError(Exception):
    """`message` says what is wrong (table, file, row, value); `hint` what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(PenstockError): ...


class StackError(PenstockError): ...


class LandingError(PenstockError): ...


class BadInputError(LandingError):
    """`faults` are the first ones, in file order, as data (`penstock.landing.faults.Fault`); `count` counts all."""

    def __init__(
        self, message: str, *, faults: Sequence[object] = (), count: int = 0, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)
        self.count = count


class LakeError(PenstockError):
    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class BuildError(PenstockError): ...


class SyncError(PenstockError): ...


class PlanError(SyncError): ...


class SchemaDriftError(SyncError): ...


class SyncBusyError(SyncError): ...


class ChecksumMismatchError(SyncError): ...
