"""What a file was found to be, whatever its format: what is wrong with it, and what lands of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.landing.faults import Faults
from penstock.landing.spool import Spool
from penstock.sources.declaration import Column, Table


@dataclass(frozen=True)
class Checked:
    """`size` and `sha256` are of the bytes that land.

    table: the declaration with the columns that this file has of it and beside it; found: those beside it.
    spool: the bytes that land; None for CSV, whose bytes are made once more as they are sent.
    """

    path: Path
    name: str
    rows: int
    size: int
    sha256: str
    notices: tuple[str, ...]
    faults: Faults
    table: Table
    found: tuple[Column, ...] = ()
    spool: Spool | None = None
