"""One part of the local stack, seen by what starts and stops it. Each part's own module says how it does these things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from penstock.local.process import Command


class Part(Protocol):
    """A server of the stack. It never touches another part's data."""

    name: str
    start_seconds: float

    @property
    def data(self) -> tuple[Path, ...]:
        """Where its data lies."""

    @property
    def marker(self) -> tuple[str, ...]:
        """Words that only this part's command line holds, the state folder's path among them."""

    def prepare(self) -> None:
        """Make what the first start needs (folders, an empty cluster). Does nothing where it is there."""

    def command(self, port: int) -> Command:
        """Return how it is started. The command line names the state folder, so that it is recognised."""

    def answers(self, port: int) -> bool:
        """Return whether it serves requests now; asks it."""

    def address(self, port: int) -> str: ...

    def version(self) -> str: ...


@dataclass(frozen=True)
class PartStatus:
    """One part for `invoke status`. `running` means that it is ours and answered just now; size in bytes."""

    name: str
    running: bool
    address: str
    pid: int
    version: str
    data_bytes: int
    log: Path


def size_bytes(folders: tuple[Path, ...]) -> int:
    """Return the bytes of all files below the folders; files that vanish meanwhile count nothing."""
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                if path.is_file() and not path.is_symlink():
                    total += path.stat().st_size
            except OSError:
                continue
    return total
