"""Failures of the world around, said as Penstock's own errors: AWS, Postgres and the disk, each with a next step.

Code below raises PenstockErrors where it knows more; this is the last resort, at a task's edge. An error that is none of
these is a defect of Penstock's, and returns None: its stack trace is what a report of it needs.
"""

from __future__ import annotations

import errno

from penstock.errors import LakeError, PenstockError, StackError, SyncError

_CREDENTIALS = ("Credential", "Token", "SSO", "ProfileNotFound", "UnauthorizedSSO")
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SIGN_IN = "Set AWS_PROFILE, or any other way by which boto3 finds credentials (docs/aws.md)."


def explained(error: BaseException) -> PenstockError | None:
    """Return the failure as an error to show; None when it is a defect."""
    if isinstance(error, PenstockError):
        return error
    library = type(error).__module__.partition(".")[0]
    if library == "botocore":
        return _aws(error)
    if library == "psycopg":
        return SyncError(
            f"Postgres failed: {' '.join(str(error).split())}",
            hint="Check DATABASE_URL, or `invoke status` locally; every task can be run again.",
        )
    return _disk(error) if isinstance(error, OSError) else None


def _disk(error: OSError) -> PenstockError | None:
    where = f"{error.filename}: " if error.filename is not None else ""
    if error.errno in _FULL:
        hint = "Make room on the disk, then run this again: what was there before is untouched."
        return StackError(f"{where}{error.strerror}.", hint=hint)
    if not where:
        return None
    return StackError(f"{where}{error.strerror}.", hint="Is it yours to read and write?")


def _aws(error: BaseException) -> LakeError:
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    text = " ".join(str(error).split())
    hint = "Every task can be run again; locally `invoke status` shows whether the stack answers."
    if (
        code in _EXPIRED
        or type(error).__name__.startswith(_CREDENTIALS)
        or "Credentials" in type(error).__name__
    ):
        hint = _SIGN_IN
    elif code in _DENIED:
        hint = "docs/aws.md lists the permissions it needs."
    return LakeError(f"AWS refused or did not answer: {text}", code=code, hint=hint)
