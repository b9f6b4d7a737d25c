"""Keep a module out of a process that has no use for it and would wait for it.

Where pandas is installed, Arrow imports it at the first value it is given, only to ask whether that is one of pandas's own:
0.4 s and 40 MB. For processes of their own (a task); never for a library or a test, whose caller may want the module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _LeftOut(MetaPathFinder):
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        if fullname == self._name:
            raise ModuleNotFoundError(f"{fullname} is left out of this process.", name=fullname)


def leave_out(name: str) -> None:
    """Let every import of a module in this process fail as if it were not installed, unless it is there already."""
    sys.meta_path.insert(0, _LeftOut(name))
