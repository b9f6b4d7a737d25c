"""What a server instance may be told, and Athena's own limits with their sources.

Nothing here is read from the environment: `cli.py` turns flags into a `Config`, tests build one by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Athena quotas, https://docs.aws.amazon.com/athena/latest/ug/service-limits.html
MAX_QUERY_BYTES = 262_144
MAX_OPEN_PARTITIONS = 100  # new partitions one CTAS, INSERT or MERGE may write
MIN_BYTES_SCANNED_CUTOFF = 10_000_000

CATALOG_NAME = "AwsDataCatalog"  # answers to any spelling: Athena folds the name
DEFAULT_DATABASE = "default"
ENGINE_VERSION = "Athena engine version 3"


@dataclass(frozen=True)
class Config:
    """One server. Sizes in bytes.

    max_running_queries: valid 1..64. Athena's default DML quota is far higher; on a laptop more than the
    cores only share the same memory, and ten keeps dbt's usual thread counts from queueing.
    memory_limit_bytes: what all DuckDB instances of running queries share; above it they spill to data_dir.
    """

    data_dir: Path
    s3_endpoint: str
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "us-east-2"
    account_id: str = "000000000000"
    access_key: str = "test"
    secret_key: str = "test"  # the local S3 checks no signature; any non-empty pair does
    max_running_queries: int = 10
    memory_limit_bytes: int = 2 * 1024**3
    threads: int | None = None  # of one DuckDB instance; None: all cores

    @property
    def catalog_path(self) -> Path:
        return self.data_dir / "catalog.sqlite"

    @property
    def history_path(self) -> Path:
        """Queries, workgroups and what else Athena itself remembers."""
        return self.data_dir / "queries.sqlite"

    @property
    def spool_dir(self) -> Path:
        """Scratch: objects on their way to or from S3, and DuckDB's spill files. Emptied at start."""
        return self.data_dir / "spool"
