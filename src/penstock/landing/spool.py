"""A temporary file without a name: what is to land, written while it is checked. It goes with its object, or the process.

Killed or not, nothing is left in the folder for temporary files.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator

from penstock.errors import LandingError

_CHUNK_BYTES = 4 * 1024**2


class Spool:
    """Write-only until it is read; counts and digests what is written. Fit for Arrow as a file object."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        descriptor, path = tempfile.mkstemp(prefix="penstock-")
        os.unlink(path)  # noqa: PTH108  # the descriptor keeps the content
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self.closed = False

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._digest.update(view)
        left = view
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise LandingError(
                f"What is to land does not fit the temporary folder {tempfile.gettempdir()}: {error.strerror}.",
                hint="It takes about as much as the landed file; TMPDIR names another folder.",
            ) from error
        self.size += len(view)
        return len(view)

    def flush(self) -> None: ...

    def tell(self) -> int:
        return self.size

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def chunks(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""
        at = 0
        while data := os.pread(self._descriptor, _CHUNK_BYTES, at):
            yield data
            at += len(data)

    def close(self) -> None:
        """Arrow closes what it has written; the content stays until `drop`."""

    def drop(self) -> None:
        """Give the disk's space back."""
        self._close()
