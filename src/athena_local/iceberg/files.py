"""PyIceberg's FileIO over our ObjectStore: whole objects in memory, for metadata, manifests and small delete files.

Data files never pass through here: DuckDB reads them by ranges, and the spool uploads them. What was written is
remembered, so that a statement that fails can take its files away again.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pyiceberg.io import FileIO, InputFile, OutputFile

if TYPE_CHECKING:
    from athena_local.objects import ObjectStore


class ObjectFileIO(FileIO):
    """`written` lists every object this instance has put, in order."""

    def __init__(self, objects: ObjectStore) -> None:
        super().__init__()
        self.objects = objects
        self.written: list[str] = []

    @property
    def endpoint(self) -> str:
        """Which S3 this is: paths are the same on each."""
        return str(self.objects.client.meta.endpoint_url)

    def new_input(self, location: str) -> InputFile:
        return _ObjectInput(self, location)

    def new_output(self, location: str) -> OutputFile:
        return _ObjectOutput(self, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        path = location if isinstance(location, str) else location.location
        self.objects.delete([path])


class _ObjectInput(InputFile):
    def __init__(self, files: ObjectFileIO, location: str) -> None:
        super().__init__(location)
        self._files = files
        self._body: bytes | None = None

    def _read(self) -> bytes:
        if self._body is None:
            self._body = self._files.objects.read(self.location)
        return self._body

    def __len__(self) -> int:
        return len(self._read())

    def exists(self) -> bool:
        return any(item.path == self.location for item in self._files.objects.list(self.location))

    def open(self, seekable: bool = True) -> Any:  # noqa: ARG002 - the interface's own argument
        return io.BytesIO(self._read())


class _ObjectOutput(OutputFile):
    def __init__(self, files: ObjectFileIO, location: str) -> None:
        super().__init__(location)
        self._files = files
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def exists(self) -> bool:
        return self.to_input_file().exists()

    def to_input_file(self) -> InputFile:
        return self._files.new_input(self.location)

    def create(self, overwrite: bool = False) -> Any:  # noqa: ARG002 - every name we write carries a fresh uuid
        return _Upload(self)

    def put(self, body: bytes) -> None:
        self._files.objects.write(self.location, body)
        self._files.written.append(self.location)
        self._size = len(body)


class _Upload(io.BytesIO):
    """A buffer that is put when it is closed."""

    def __init__(self, output: _ObjectOutput) -> None:
        super().__init__()
        self._output = output

    def close(self) -> None:
        if not self.closed:
            self._output.put(self.getvalue())
        super().close()
