"""Seed, build, sync after every kind of change: lake and Postgres equal the landed files, and nothing else is touched."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from penstock.errors import SyncError

pytestmark = pytest.mark.stack

NOBODY = "http://127.0.0.1:9"  # discard's port: a request sent there fails


def key(line: list[str]) -> tuple[int, int, str]:
    return int(line[0]), int(line[1]), line[2]


def base(job: Any) -> list[list[str]]:
    return copy.deepcopy(job.landed["base.csv"])


def rewritten(before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]) -> set[str]:
    return {month for month in before.keys() | after.keys() if before.get(month) != after.get(month)}


def test_first_run_equals_the_landed_file(job: Any) -> None:
    job.assert_equal()
    assert len(job.expected()) == 9_100
    assert set(job.files_by_month()) == {"2025-01", "2025-02", "2025-03", "2025-04"}


def test_changed_added_and_deleted_rows_touch_only_their_months(job: Any) -> None:
    """1% of February's rows change, a day is added to April, rows are deleted from March; January is left alone."""
    lines = base(job)
    before, files, snapshots = job.stamps(), job.files_by_month(), job.snapshots()
    february = [line for line in lines if line[2].startswith("2025-02")]
    changed = february[:: len(february) // (len(february) // 100)][: len(february) // 100]
    for number, line in enumerate(changed):
        line[7:9] = ["150.25", "151.5"] if number % 2 else ["149", "149.01"]
    changed[0][3:5] = ["", ""]  # a market and a distribution centre are lost
    march = [line for line in lines if line[2].startswith("2025-03")]
    deleted = march[5::371][:8]
    gone = {key(line) for line in deleted}
    new = [[*line[:2], "2025-04-02", *line[3:]] for line in lines if line[2] == "2025-04-01"]
    assert (len(changed), len(deleted), len(new)) == (28, 8, 100)

    job.land(base=[line for line in lines if key(line) not in gone] + new)
    job.build()
    report = job.sync()

    job.assert_equal()
    assert (report.mode, report.inserted, report.updated, report.deleted) == ("changes", 100, 28, 8)
    assert len(job.snapshots()) == len(snapshots) + 1
    touched = {"2025-02", "2025-03", "2025-04"}
    after_files = job.files_by_month()
    assert rewritten(files, after_files) == touched
    assert set(report.partitions) == touched
    assert not after_files["2025-01"] & set(report.requests)
    read = {path for path in report.requests if "/data/" in path}
    # of April nothing changed but that a file came: the others are not read
    assert read == set().union(*(after_files[month] for month in touched)) - files["2025-04"]

    after = job.stamps()
    changed_keys, new_keys = {key(line) for line in changed}, {key(line) for line in new}
    assert after.keys() == (before.keys() - gone) | new_keys
    for row, (number, created, updated) in after.items():
        if row in new_keys:
            assert created == updated
        elif row in changed_keys:
            assert (number, created) == before[row][:2]
            assert updated > before[row][2]
        else:
            assert (number, created, updated) == before[row]


def test_nothing_new_sends_commits_and_reads_nothing(job: Any) -> None:
    stamps, location = job.stamps(), job.metadata_location()
    landed = job.land(base=base(job))
    assert [file.uploaded for file in landed.files] == [False]
    assert not landed.changed
    job.build()
    assert job.metadata_location() == location, "a build with nothing new committed"

    # an S3 address where nobody listens: the sync must not notice
    deaf = replace(
        job.connections,
        endpoint_urls=job.connections.endpoint_urls | {"s3": NOBODY},
        default_endpoint_url=NOBODY,
    )
    report = job.sync(deaf)
    assert report.mode == "nothing"
    assert (report.requests, report.bytes_read, report.rows_read) == ([], 0, 0)
    assert job.stamps() == stamps
    job.assert_equal()


def test_nothing_new_without_s3_is_no_accident(job: Any) -> None:
    """The counterpart: where there is something to read, the same deaf address fails the sync and changes nothing."""
    stamps = job.stamps()
    deaf = replace(job.connections, endpoint_urls=job.connections.endpoint_urls | {"s3": NOBODY})
    with pytest.raises(SyncError, match=r"127\.0\.0\.1:9"):
        job.sync(deaf, full=True)
    assert job.stamps() == stamps


def test_daily_drop_wins_over_an_older_file_until_it_is_removed(job: Any) -> None:
    """A later file whose name sorts first restates a day and adds a month; without it the older rows are in force again."""
    before, stamps = job.expected(), job.stamps()
    day = [copy.copy(line) for line in job.landed["base.csv"] if line[2] == "2025-02-14"]
    for line in day[:40]:
        line[8] = "777.77"
    drop = day + [[*line[:2], "2025-05-01", *line[3:]] for line in day]
    job.land(**{"0-drop": drop})
    job.build()
    report = job.sync()
    job.assert_equal()
    restated = [row for row, values in job.postgres().items() if values[5] == Decimal("777.77")]
    assert sum(row[2] == "2025-02-14" for row in restated) == 40
    assert (report.inserted, report.updated, report.deleted) == (100, 40, 0)

    job.land(**{"0-drop": None})
    job.build()
    report = job.sync()
    job.assert_equal()
    assert job.expected() == before
    assert (report.inserted, report.updated, report.deleted) == (0, 40, 100)
    assert {row[:2] for row in job.stamps().values()} == {row[:2] for row in stamps.values()}


def test_month_deleted_from_the_file_is_emptied(job: Any) -> None:
    lines, files, stamps = base(job), job.files_by_month(), job.stamps()
    kept = [line for line in lines if not line[2].startswith("2025-03")]
    assert len(lines) - len(kept) > 2_500
    job.land(base=kept)
    job.build()
    report = job.sync()
    job.assert_equal()
    assert (report.inserted, report.updated, report.deleted) == (0, 0, len(lines) - len(kept))
    assert rewritten(files, job.files_by_month()) == {"2025-03"}
    assert job.query(
        "select count(*) from forecast_data where business_date between '2025-03-01' and '2025-03-31'"
    ) == [(0,)]
    assert job.stamps() == {row: stamp for row, stamp in stamps.items() if not row[2].startswith("2025-03")}


def test_replaced_file_leaves_nothing_of_the_old_one(job: Any, generate: Any) -> None:
    """Another file of the same name, half of it other restaurants: as if the old one had never been."""
    old = base(job)
    restaurants = sorted({int(line[0]) for line in old})
    kept = set(restaurants[:10])
    lines = [line for line in old if int(line[0]) in kept]
    lines += [[str(int(line[0]) + 100_000), *line[1:]] for line in old if int(line[0]) not in kept]
    lines.sort(key=lambda line: (line[2], int(line[0])))  # and in another order
    job.land(base=lines)
    job.build()
    report = job.sync()
    job.assert_equal()
    moved = sum(int(line[0]) > 100_000 for line in lines)
    assert (report.inserted, report.updated, report.deleted) == (moved, 0, moved)


def test_removed_file_takes_its_rows_along(job: Any) -> None:
    """Two files that share no key; one is removed whole."""
    lines = base(job)
    half = {line[0] for line in lines[: len(lines) // 2]}
    other = [[str(int(line[0]) + 500_000), *line[1:]] for line in lines if line[0] in half]
    job.land(other=other)
    job.build()
    job.sync()
    job.assert_equal()
    stamps = job.stamps()

    job.land(base=None)
    job.build()
    report = job.sync()
    job.assert_equal()
    assert report.deleted == len(lines)
    assert job.stamps() == {row: stamp for row, stamp in stamps.items() if row[0] > 500_000}
