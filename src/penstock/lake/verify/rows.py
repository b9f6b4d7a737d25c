"""Rows landed = staged = modelled = synced, counted by month of the key's day, so that what differs can be named.

Only counts are compared: which row is in force is the models' tests to prove, and `invoke sync --verify` compares every
value of Postgres with the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from penstock.lake.archive import Landed
from penstock.lake.athena import Athena, QueryResult
from penstock.lake.verify.expected import Grain, Mart
from penstock.lake.verify.report import NAMED, Notes, State, listed
from penstock.sync.columns import quoted

Counts = dict[str, int]  # by month, 2026-01; under "" where the key has no day

MONTHS_SEARCHED = 3  # of those that differ, for the keys in which they do

Ask = Callable[[str], QueryResult]


@dataclass
class Counter:
    """Asks Athena and adds up what it scanned."""

    athena: Athena
    database: str
    bytes_scanned: int = field(default=0)

    def ask(self, sql: str) -> QueryResult:
        result = self.athena.run(sql, database=self.database)
        self.bytes_scanned += result.bytes_scanned
        return result


def month(column: str) -> str:
    """Return SQL for the month of a date or timestamp, 2026-01, that Athena and Postgres read alike."""
    return f"substr(cast(cast({quoted(column)} as date) as varchar), 1, 7)" if column else "''"


def counts(ask: Ask, relation: str, day: str) -> tuple[Counts, QueryResult]:
    """Return a relation's rows by month."""
    result = ask(f"select {month(day)}, count(*) from {relation} group by 1")
    return _counts(result.rows), result


def landed_counts(ask: Ask, relation: str, grain: Grain) -> tuple[int, Counts]:
    """Return how many rows Athena reads from the landed files, and how many keys they have by month."""
    key = ", ".join(quoted(name) for name in grain.table.key)
    result = ask(
        f"select {month(grain.day)}, count(*), sum(row_count) from"
        f" (select {key}, count(*) as row_count from {relation} group by {key}) as keyed group by 1"
    )
    return sum(int(row[2] or 0) for row in result.rows), _counts(result.rows)


def _counts(rows: Iterable[Sequence[str | None]]) -> Counts:
    return {row[0] if row[0] is not None else "no day": int(row[1] or 0) for row in rows}


def total(found: Counts) -> str:
    return f"{sum(found.values()):,}"


def staged(grain: Grain, landed: Counts, found: Counts, notes: Notes) -> None:
    """Note whether the staging view has one row a landed key."""
    wrong = _differing(landed, found)
    told = f"{total(found)}{_in_words(wrong, found, landed)}"
    todo = f"The staging view drops or doubles rows: read {grain.view}, and run its tests (invoke build --select …)"
    notes.add("staged rows", grain.view.replace('"', ""), told, f"{total(landed)}, one a landed key",
              "failed" if wrong else "ok", todo)  # fmt: skip


def partitions(mart: Mart, landed: Counts, found: Counts, notes: Notes) -> None:
    """Note the months that are staged and not in the mart."""
    missing = sorted(name for name, count in landed.items() if count and not found.get(name))
    there = f"{len(found):,} months, {min(found)} to {max(found)}" if found else "none"
    notes.add("partitions", mart.name, f"missing: {listed(missing)}" if missing else there,
              f"the {len(landed):,} months that are staged", "failed" if missing else "ok",
              "invoke build")  # fmt: skip


def modelled(
    mart: Mart,
    grain: Grain,
    due: Counts,
    found: Counts,
    files: Sequence[Landed],
    ask: Ask,
    notes: Notes,
    changed: bool,
) -> None:
    """Note whether the mart has the staged rows; more of them where files are archived is what it should have."""
    wrong = _differing(due, found)
    surplus = {name: found.get(name, 0) - due.get(name, 0) for name in wrong}
    away = [file for file in files if file.archived]
    room = sum(file.rows or 0 for file in away) if all(file.rows is not None for file in away) else None
    explained = bool(away) and all(more > 0 for more in surplus.values())
    explained = explained and (room is None or sum(surplus.values()) <= room)
    state: State = "ok" if not wrong else "archived" if explained else "warning" if changed else "failed"
    where = _in_words(wrong, found, due)
    if wrong and not explained:
        where += _keys(ask, grain, mart.quoted, [name for name in wrong if name][:MONTHS_SEARCHED])
    todo = "It was written while this was counted: verify again." if changed else "invoke build"
    if explained:
        todo = "Nothing: those rows are of archived files, and the mart keeps them."
    notes.add("modelled rows", mart.name, f"{total(found)}{where}", f"{total(due)} as staged", state, todo)


def _keys(ask: Ask, grain: Grain, mart: str, months: Sequence[str]) -> str:
    """Return which values of the key's first other column have another number of rows in these months."""
    if not grain.other or (grain.day and not months):
        return ""
    where = f" where {month(grain.day)} in ({', '.join(repr(name) for name in months)})" if grain.day else ""
    sql = f"select cast({quoted(grain.other)} as varchar), count(*) from {{}}{where} group by 1"
    sides = [_counts(ask(sql.format(relation)).rows) for relation in (grain.view, mart)]
    return f"; {grain.other}: {listed(_differing(*sides))}"


def synced(mart: Mart, due: Counts, found: Counts, notes: Notes, changed: bool) -> None:
    """Note whether Postgres has as many rows of each month as the mart."""
    assert mart.declaration is not None
    if set(found) == {""}:  # the day is not among the synced columns
        due = {"": sum(due.values())}
    wrong = _differing(due, found)
    todo = "It was written while this was counted: verify again." if changed else (
        f"invoke sync --verify --select {mart.model} names the rows, invoke sync --repair mends them"
    )  # fmt: skip
    state: State = "ok" if not wrong else "warning" if changed else "failed"
    told = f"{total(found)}{_in_words(wrong, found, due)}"
    notes.add("synced rows", mart.declaration.target, told, f"{total(due)} as modelled", state, todo)


def _differing(due: Counts, found: Counts) -> list[str]:
    return sorted(name for name in due.keys() | found.keys() if due.get(name, 0) != found.get(name, 0))


def _in_words(months: Sequence[str], found: Counts, due: Counts) -> str:
    if not any(months):
        return ""
    told = [f"{name} {found.get(name, 0):,} instead of {due.get(name, 0):,}" for name in months[:NAMED]]
    more = f" and {len(months) - NAMED:,} months more" if len(months) > NAMED else ""
    return f" ({', '.join(told)}{more})"
