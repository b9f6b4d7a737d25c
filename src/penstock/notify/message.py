"""What is told of a sync run, and in which words: one message a run, with every table of it.

Text for e-mail and SNS, blocks for Slack and what speaks its format. A message is made of a run's outcomes alone, which
hold no secret; what channels are set up with never enters it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.sync.report import SyncReport, ago, counted

# The name under which a run's failure is told that came before any table: no manifest, no database URL.
WHOLE_RUN = "the sync itself"

# Slack refuses a section of more than 3,000 characters, a header of more than 150 and a message of more than 50 blocks.
SECTION_CHARACTERS = 2_900
HEADER_CHARACTERS = 150
MOST_SECTIONS = 40
# Discord, by its URL for Slack's format, takes 2,000.
TEXT_CHARACTERS = 1_900


@dataclass(frozen=True)
class Outcome:
    """How one table's sync ended. `error` is empty where it ended well."""

    table: str
    lake: str = ""
    error: str = ""
    hint: str = ""
    step: str = ""
    rows_written: int = 0

    @classmethod
    def of(cls, report: SyncReport) -> Outcome:
        error = report.error
        return cls(
            report.table,
            report.lake,
            error=error.message if error else "",
            hint=error.hint if error else "",
            step=report.step if error else "",
            rows_written=report.rows_written,
        )


@dataclass(frozen=True)
class Told:
    """What people know of a failing table: since when, with which error, and when they were told last. Times in UTC."""

    error: str
    since: datetime
    told_at: datetime


@dataclass(frozen=True)
class News:
    """What of a run is worth telling: tables that began to fail, that fail still, that work again."""

    failed: tuple[Outcome, ...] = ()
    still: tuple[Outcome, ...] = ()
    recovered: tuple[Outcome, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.failed or self.still or self.recovered)


@dataclass(frozen=True)
class Message:
    """A subject of one line, the text below it, and both as Slack's blocks."""

    subject: str
    text: str
    blocks: tuple[dict[str, Any], ...]

    @property
    def slack(self) -> dict[str, Any]:
        """The JSON that Slack's incoming webhooks take.

        Slack shows the blocks, and `text` in its notifications; others who take this JSON know no blocks and show `text`.
        """
        whole = f"{self.subject}\n\n{self.text}".rstrip()
        return {
            "text": _cut(_escaped(_cut(whole, TEXT_CHARACTERS)), TEXT_CHARACTERS),
            "blocks": list(self.blocks),
        }


def news(
    outcomes: Sequence[Outcome], told: dict[str, Told], *, now: datetime, repeat: timedelta | None = None
) -> News:
    """Return what changed against what was told; `repeat` tells of a table that still fails again after so long."""
    failing = [outcome for outcome in outcomes if outcome.error]
    return News(
        failed=tuple(outcome for outcome in failing if outcome.table not in told),
        still=tuple(
            outcome
            for outcome in failing
            if repeat and outcome.table in told and now - told[outcome.table].told_at >= repeat
        ),
        recovered=tuple(outcome for outcome in outcomes if not outcome.error and outcome.table in told),
    )


def message(
    place: str,
    outcomes: Sequence[Outcome],
    happened: News,
    told: dict[str, Told],
    *,
    now: datetime,
    host: str,
) -> Message:
    """Return the one message of a run: the subject names what changed, the text every table. `place`: the target's name."""
    parts = [
        f"{word}: {', '.join(outcome.table for outcome in found)}"
        for word, found in (
            ("failed", happened.failed),
            ("still failing", happened.still),
            ("recovered", happened.recovered),
        )
        if found
    ]
    subject = f"[penstock {place}] sync {'; '.join(parts)}"
    new = {outcome.table for outcome in (*happened.failed, *happened.still, *happened.recovered)}
    shown = [outcome for outcome in outcomes if outcome.table in new or outcome.table != WHOLE_RUN]
    # what changed comes first, the rest of the run after it
    ordered = sorted(shown, key=lambda outcome: (outcome.table not in new, not outcome.error))
    sections = [_section(outcome, told.get(outcome.table), now) for outcome in ordered]
    return _assembled(subject, sections, f"{now:%Y-%m-%d %H:%M:%S} UTC, from {host}")


def trial_message(place: str, *, now: datetime, host: str) -> Message:
    """Return the message by which a channel is tried."""
    text = "This is a test: messages of failing and of recovered syncs arrive here."
    return _assembled(
        f"[penstock {place}] test message", [("Test", text)], f"{now:%Y-%m-%d %H:%M:%S} UTC, from {host}"
    )


def _section(outcome: Outcome, told: Told | None, now: datetime) -> tuple[str, str]:
    """Return a table's heading and what is to be said of it."""
    source = f", from {outcome.lake}" if outcome.lake else ""
    if outcome.error:
        where = f" at {outcome.step}" if outcome.step else ""
        since = f", failing for {ago((now - told.since).total_seconds())}" if told else ""
        lines = [outcome.error] + ([f"Next: {outcome.hint}"] if outcome.hint else [])
        return f"{outcome.table}{source}: failed{where}{since}", "\n".join(lines)
    if told:
        lines = [f"It had failed for {ago((now - told.since).total_seconds())} with: {told.error}"]
        if outcome.table != WHOLE_RUN:
            lines.append(f"This run wrote {counted(outcome.rows_written, 'row')}.")
        return f"{outcome.table}{source}: works again", "\n".join(lines)
    return f"{outcome.table}{source}: synced, {counted(outcome.rows_written, 'row')} written", ""


def _assembled(subject: str, sections: Sequence[tuple[str, str]], footer: str) -> Message:
    texts = ["\n".join([heading, *(f"  {line}" for line in body.splitlines())]) for heading, body in sections]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(subject, HEADER_CHARACTERS)}}
    ]
    for heading, body in sections[:MOST_SECTIONS]:
        shown = _cut("\n".join(part for part in (heading, body) if part), SECTION_CHARACTERS // 2)
        first, _, rest = shown.partition("\n")
        marked = f"*{_escaped(first)}*" + (f"\n{_escaped(rest)}" if rest else "")
        blocks.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut(marked, SECTION_CHARACTERS)}}
        )
    more = len(sections) - MOST_SECTIONS
    if more > 0:
        footer = f"and {counted(more, 'more table')}; {footer}"
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": footer}]})
    return Message(_one_line(subject), "\n\n".join([*texts, footer]) + "\n", tuple(blocks))


def _escaped(text: str) -> str:
    """The three characters that Slack's markup takes for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def utc_now() -> datetime:
    return datetime.now(UTC)
