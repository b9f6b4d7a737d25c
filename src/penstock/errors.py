"""Every error Penstock raises for a person to read, one tree.

    PenstockError
    ├── SettingsError            a setting or environment variable that cannot be used
    │   └── CredentialsError     a secret is not where the settings say, or may not be read
    ├── BranchError              a database branch that is not there, or cannot be created, reset or deleted
    │   └── NeonError            Neon's API refused or did not answer; carries HTTP status, code and request id
    ├── StackError               the local stack: a part that does not start or answer
    ├── GenerateError            a synthetic file that cannot be made: arguments, folder, disk
    ├── LandingError             seed: input or landed files
    │   ├── DeclarationError     a source's declaration (sources/*.yml) cannot be used; file and line are named
    │   └── BadInputError        the file breaks its source's declaration; nothing was uploaded
    ├── LakeError                Athena or Glue refused a statement; carries its code
    │   └── LakeConflictError    the table was changed by somebody else meanwhile; nothing was done
    ├── VerificationError        the lake or Postgres is not as declared; the checks were shown
    ├── BuildError               dbt ended with failures
    ├── NotifyError              a channel did not take a message; a warning where a sync sends it
    └── SyncError                lake to Postgres
        ├── PlanError            the declaration or the table cannot be synced (named)
        ├── ValueRefusedError    a value of the lake that its Postgres column cannot hold; column, value and key are named
        ├── SchemaDriftError     a column was lost, retyped or narrowed
        ├── SyncBusyError        another sync holds the table's lock
        ├── SyncInterruptedError Ctrl-C or SIGTERM; rolled back
        └── ChecksumMismatchError  what was written is not what the lake holds; rolled back

Tasks print `message` and `hint` and exit with `exit_code`, 1; a stack trace is shown only with PENSTOCK_DEBUG=1.
"""

from __future__ import annotations

from collections.abc import Sequence


class PenstockError(Exception):
    """`message` says what is wrong (table, file, row, value); `hint` what to do next. A task exits with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(PenstockError): ...


class CredentialsError(SettingsError): ...


class BranchError(PenstockError): ...


class NeonError(BranchError):
    def __init__(
        self, message: str, *, status: int = 0, code: str = "", request_id: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.request_id = request_id

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later: no answer (status 0), a busy project, a limit, a server's fault."""
        return self.status in (0, 423, 429) or self.status >= 500

    @property
    def is_ambiguous(self) -> bool:
        """Whether the request may have been carried out all the same."""
        return self.status == 0 or (self.status >= 500 and self.status != 503)


class StackError(PenstockError): ...


class GenerateError(PenstockError): ...


class LandingError(PenstockError): ...


class DeclarationError(LandingError): ...


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


class LakeConflictError(LakeError): ...


class VerificationError(PenstockError): ...


class BuildError(PenstockError): ...


class NotifyError(PenstockError): ...


class SyncError(PenstockError): ...


class PlanError(SyncError): ...


class ValueRefusedError(SyncError):
    """`row` is its position in the batch that was converted; whoever has the batch adds the row's key."""

    def __init__(self, message: str, *, row: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.row = row


class SchemaDriftError(SyncError): ...


class SyncBusyError(SyncError): ...


class SyncInterruptedError(SyncError):
    """`exit_code` is 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, message: str, *, exit_code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ChecksumMismatchError(SyncError): ...
