"""athena_local, the local Athena with its Glue catalog: how it is started, and where its catalog lies.

It is told one address, that of S3, and is started again when that address or the region has changed.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from penstock.local.process import HOST, Command, http_status


class AthenaLocal:
    name = "athena_local"
    start_seconds = 60.0

    def __init__(self, folder: Path, s3_endpoint: str, region: str) -> None:
        self.folder = folder
        self.s3_endpoint = s3_endpoint
        self.region = region
        self.data = (folder / "athena",)
        self.marker = ("athena_local", str(folder / "athena"))

    def prepare(self) -> None:
        self.data[0].mkdir(parents=True, exist_ok=True, mode=0o700)

    def command(self, port: int) -> Command:
        return Command(
            argv=(
                *(sys.executable, "-P", "-m", "athena_local"),
                *("--s3-endpoint", self.s3_endpoint),
                *("--data-dir", str(self.data[0])),
                *("--host", HOST, "--port", str(port), "--region", self.region),
            ),
        )

    def answers(self, port: int) -> bool:
        return http_status(port, "/health") == 200

    def address(self, port: int) -> str:
        return f"http://{HOST}:{port}"

    def version(self) -> str:
        return version("penstock")
