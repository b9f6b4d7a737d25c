"""Plans: which files are read and why, and how little metadata that takes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.python.penstock.sync.test_sync_tables import as_synced, counts, part, rows, run, table

from penstock.connections import Connections
from penstock.sync.columns import Column, SqlType
from penstock.sync.declaration import Declaration
from penstock.sync.fingerprints import files_digest
from penstock.sync.lake import may_hold
from penstock.sync.manifests import LakeFile
from penstock.sync.partitions import Bound, Bounds
from penstock.sync.plan import FileRead, Plan

STATE = Bound(Column("state", 1, "string", SqlType("text"), False), "identity", 0)
MONTH = Bound(Column("d", 2, "date", SqlType("date"), False), "month", 1)
BOTH = Bounds((STATE, MONTH))


def file(name: str, rows_: int = 10, *, deletes: bool = False) -> LakeFile:
    return LakeFile(f"s3://b/{name}", 100, rows_, 0, ("CA", 660), 1, deletes)


def summary(lower: bytes | None, upper: bytes | None, *, null: bool = False) -> Any:
    return SimpleNamespace(lower_bound=lower, upper_bound=upper, contains_null=null)


def number(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


@pytest.mark.parametrize(
    ("region", "held"),
    [
        (("CA", 660), True),
        (("TX", 661), True),
        (("CO", 660), True),  # between the bounds
        (("AL", 660), False),
        (("CA", 659), False),
        (("CA", 662), False),
        (("CA", None), True),
        ((None, 660), False),
    ],
)
def test_may_hold_by_a_manifests_bounds(region: tuple[Any, ...], held: bool) -> None:
    manifest: Any = SimpleNamespace(
        partitions=[summary(b"CA", b"TX"), summary(number(660), number(661), null=True)]
    )
    assert may_hold(manifest, BOTH, [region]) is held


def test_may_hold_without_bounds_is_possible() -> None:
    manifest: Any = SimpleNamespace(partitions=[summary(None, None), summary(None, None)])
    assert may_hold(manifest, BOTH, [("CA", 1)])
    assert may_hold(SimpleNamespace(partitions=None), BOTH, [("CA", 1)])  # type: ignore[arg-type]
    assert not may_hold(manifest, BOTH, [])


def test_digest_of_files_is_that_of_their_live_rows() -> None:
    one, other, dead = FileRead(file("1"), ()), FileRead(file("2"), ()), file("d", deletes=True)
    assert files_digest([one, other]) == files_digest([other, one])
    digests = {
        files_digest(reads) for reads in ([one], [other], [one, other], [replace(one, deletes=(dead,))])
    }
    assert len(digests) == 4


def test_restricted_plan_has_only_its_regions() -> None:
    reads = tuple(FileRead(file(name), (name,)) for name in "abc")
    whole = Plan("changes", "", 1, BOTH, frozenset({("a",), ("b",), ("c",)}), reads, reads[:2], reads[2:])
    half = whole.restricted([("b",), ("c",)])
    assert (half.scope, half.reads, half.before, half.after) == (
        frozenset({("b",), ("c",)}),
        reads[1:],
        reads[1:2],
        reads[2:],
    )
    assert (half.rows, half.files) == (20, 2)


def test_regions_are_disjoint_only_where_the_key_tells_them() -> None:
    plan = Plan("changes", "", bounds=BOTH)
    assert plan.disjoint(["state", "d", "x"])
    assert not plan.disjoint(["d"])
    assert not Plan("changes", "").disjoint(["d"])


@pytest.mark.stack
def test_plan_reads_only_the_manifests_of_touched_partitions(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    files = {}
    for month in range(1, 13):
        files[month] = forecast.add(rows(month), part(month))
        forecast.commit()  # a manifest each
    run(lake, declared)
    again = forecast.add(rows(7, 39), part(7))
    forecast.commit(remove=[files[7]])
    report = run(lake, declared)
    assert (report.path, report.partitions, counts(report)) == ("delta", ["2025-07"], (0, 0, 1, 39))
    metadata = [location for location in report.requests if location.endswith("-m0.avro")]
    assert (
        len(metadata) == 2
    )  # July's, then and now; the eleven others are in both snapshots and hold no July
    forecast.delete({again: [0]}, part(7))
    forecast.commit()
    report = run(lake, declared)
    assert (report.path, counts(report)) == ("delta", (0, 0, 1, 38))
    metadata = [location for location in report.requests if location.endswith("-m0.avro")]
    assert len(metadata) == 2  # the delete's, and July's, which both snapshots have
    assert table(lake) == as_synced(*(rows(month) for month in files if month != 7), rows(7, 39)[1:])
