"""What a check found: one line of the summary, and all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from penstock.errors import PenstockError

# archived: explained by what lies in S3's archive, and so neither lost nor as it would be without it
State = Literal["ok", "archived", "warning", "skipped", "failed"]

NAMED = 5  # of whatever is listed in a line: enough to see what it is, short enough for a table


@dataclass(frozen=True)
class Check:
    """One thing looked at. `subject` is the table or database, `todo` the next step where there is one."""

    source: str
    check: str
    subject: str
    found: str
    expected: str
    state: State = "ok"
    todo: str = ""


@dataclass
class Report:
    """The checks in the order in which they were made; `bytes_scanned` is what Athena read for them."""

    checks: list[Check] = field(default_factory=list)
    bytes_scanned: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.state == "failed"]

    def count(self, state: State) -> int:
        return sum(check.state == state for check in self.checks)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "ok": not self.failed,
            "checks": [asdict(check) for check in self.checks],
            "bytes_scanned": self.bytes_scanned,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Notes:
    """Where checks of one source are written down."""

    source: str
    report: Report

    def add(
        self, check: str, subject: str, found: object, expected: object, state: State = "ok", todo: str = ""
    ) -> State:
        self.report.checks.append(
            Check(
                self.source,
                check,
                subject,
                str(found),
                str(expected),
                state,
                "" if state == "ok" else todo,
            )
        )
        return state

    def equal(self, check: str, subject: str, found: object, expected: object, todo: str) -> State:
        """Note a comparison: failed when the two differ."""
        return self.add(check, subject, found, expected, "ok" if found == expected else "failed", todo)

    def skip(self, check: str, subject: str, reason: str) -> State:
        return self.add(check, subject, reason, "", "skipped")

    @contextmanager
    def failing(self, check: str, subject: str, expected: str, todo: str = "") -> Iterator[None]:
        """Note what stops the block, be it ours or AWS's answer, as that check's failure; what follows goes on."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except PenstockError as error:
            self.add(check, subject, error.message, expected, "failed", error.hint or todo)
        except (BotoCoreError, ClientError) as error:
            self.add(check, subject, " ".join(str(error).split())[:300], expected, "failed", todo)


def listed(names: Iterable[object]) -> str:
    """Return the first few, and how many more there are."""
    every = [str(name) for name in names]
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
