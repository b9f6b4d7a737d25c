"""ministack, the local S3 and the other AWS services but Athena and Glue: how it is started, and where its data lies.

Objects and their versions are files that survive kill -9; buckets' settings survive only a clean stop, so
`penstock.lake.buckets` puts them back after each start. It must be told to bind loopback, or it binds every interface.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from penstock.local.process import HOST, Command, http_status

ACCESS_KEY = "test"  # no signature is checked; any key that is not 12 digits means the account 000000000000
SECRET_KEY = "test"


class Ministack:
    name = "ministack"
    start_seconds = 60.0

    def __init__(self, folder: Path, region: str) -> None:
        self.folder = folder
        self.region = region
        self.data = (folder / "s3", folder / "ministack")
        self.marker = (f"penstock={folder}", "ministack")

    def prepare(self) -> None:
        for path in (*self.data, self.folder / "ministack" / "tmp"):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def command(self, port: int) -> Command:
        objects, state = self.data
        return Command(
            # -P: a module lying in the caller's folder must not shadow a package; -X only marks the process as ours,
            # and makes another region another command line, so that it is started again
            argv=(
                sys.executable,
                "-P",
                "-X",
                self.marker[0],
                "-X",
                f"region={self.region}",
                "-m",
                "ministack",
            ),
            env={
                "BIND_HOST": HOST,
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": self.region,
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(objects),
                "PERSIST_STATE": "1",
                "STATE_DIR": str(state),
                "TMPDIR": str(state / "tmp"),
                "LOG_LEVEL": "WARNING",
            },
        )

    def answers(self, port: int) -> bool:
        return http_status(port, "/_ministack/health") == 200

    def address(self, port: int) -> str:
        return f"http://{HOST}:{port}"

    def version(self) -> str:
        return version("ministack")
