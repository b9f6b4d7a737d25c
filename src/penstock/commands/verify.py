"""invoke verify: whether the lake and Postgres are as declared, for a person or, as JSON, for a program."""

from __future__ import annotations

import json
from typing import get_args

from penstock import console
from penstock.connections import Connections
from penstock.errors import VerificationError
from penstock.lake.verify.report import Check, Report, State, listed

_MARKS = {"ok": "ok", "failed": "FAILED"}


def verify(connections: Connections, *, source: str, as_json: bool) -> None:
    """Print every check; raises VerificationError naming those that failed, at the end."""
    from penstock.lake.verify.run import verify as verify_lake

    with console.progress_bar() as bar:
        bar.start("verify")
        report = verify_lake(connections, source=source, on_check=lambda name: bar.describe(f"verify {name}"))
        bar.finish()
    if as_json:
        console.line(json.dumps(report.as_data(), indent=2))
    else:
        _show(report)
    if report.failed:
        names = listed(dict.fromkeys(f"{check.check} of {check.subject}" for check in report.failed))
        count = f"{len(report.failed):,} of {len(report.checks):,} checks"
        raise VerificationError(f"{count} failed: {names}.", hint=_hint(report))
    if not as_json:
        console.success("The lake is as declared." + ("" if _skipped(report) else " Nothing was left out."))


def _show(report: Report) -> None:
    """Print a table a source, then the next steps, each once."""
    for source in dict.fromkeys(check.source for check in report.checks):
        rows: list[tuple[str, ...]] = []
        before = ""
        for check in report.checks:
            if check.source == source:
                subject = (
                    "" if check.subject == before else check.subject
                )  # a table's name once, above its checks
                rows.append(
                    (subject, check.check, _MARKS.get(check.state, check.state), check.found, check.expected)
                )
                before = check.subject
        console.show_table(f"Source {source}", ["table", "check", "state", "found", "expected"], rows)
    for check in report.checks:
        if check.todo and check.state != "ok":
            console.note(f"{check.state}: {check.check} of {check.subject}: {check.todo}")
    counted = ", ".join(
        f"{report.count(state):,} {state}" for state in get_args(State) if report.count(state)
    )
    console.note(f"{counted}; {report.seconds:.1f} s, {console.size(report.bytes_scanned)} scanned by Athena")


def _skipped(report: Report) -> list[Check]:
    return [check for check in report.checks if check.state == "skipped"]


def _hint(report: Report) -> str:
    """Return what to do for the first failure; the others' steps stand above, or in the JSON."""
    return next(
        (check.todo for check in report.failed if check.todo), "docs/verify.md says what each check means."
    )
