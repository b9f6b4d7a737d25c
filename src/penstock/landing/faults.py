"""What is wrong with a file, as data and in words. Only the first faults are kept; all are counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.errors import BadInputError

SHOWN = 10  # faults a refusal names; the rest is a number
_VALUE_SHOWN = 60  # characters of a value


@dataclass(frozen=True, order=True)
class Fault:
    """One fault.

    line: counts the file's own lines from 1, the header's included; or rows, if that is the unit. 0: the fault is the
    file's. column: empty where the fault is the whole line's; several, joined by ", ", where it lies between them.
    """

    file: str
    line: int
    column: str
    value: str
    problem: str
    unit: str = "line"

    def __str__(self) -> str:
        where = f"{self.file} {self.unit} {self.line}" if self.line else self.file
        if self.column:
            where += f", column{'s' if ', ' in self.column else ''} {self.column}"
        value = self.value if len(self.value) <= _VALUE_SHOWN else self.value[:_VALUE_SHOWN] + "…"
        shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
        return f"{where}: '{shown}' {self.problem}" if shown else f"{where}: {self.problem}"


@dataclass
class Faults:
    """The faults of one file, added in any order; the first `SHOWN` by line are kept."""

    count: int = 0
    first: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(fault)
        elif fault.line < self.first[-1].line:
            self.first[-1] = fault
        else:
            return
        self.first.sort(key=lambda kept: kept.line)


def refusal(files: list[Faults]) -> BadInputError:
    """Return the error that refuses a whole call for the faults in any of its files."""
    count = sum(faults.count for faults in files)
    shown = [fault for faults in files for fault in faults.first][:SHOWN]
    lines = [f"{count:,} fault{'s' if count != 1 else ''} in the input; nothing was uploaded."]
    lines += [f"  {fault}" for fault in shown]
    if count > len(shown):
        lines.append(f"  … and {count - len(shown):,} more")
    return BadInputError(
        "\n".join(lines),
        faults=shown,
        count=count,
        hint="Correct the input and seed it again; docs/landing.md lists what is checked.",
    )
