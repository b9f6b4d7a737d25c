"""Repartitioning: rows, layout and readers while it runs; killed at each step; changed underneath; undone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from penstock.errors import LakeConflictError, LakeError
from penstock.lake import migrations
from penstock.lake.athena import Athena
from penstock.lake.layouts import layout_of
from penstock.lake.repartition import abort, finish, repartition, standing

pytestmark = pytest.mark.stack

BY = "tenant_id,year,month"


def layout(sales: Any) -> list[str]:
    return [term.text for term in layout_of(sales.version()) if term]


class Reader:
    """Asks Athena for the table's rows again and again while the block runs; each answer must be the whole table."""

    def __init__(self, sales: Any, rows: int, tenants: int = 3) -> None:
        self._sales, self._expected = sales, [(str(rows), str(tenants))]
        self._stop, self.answers = threading.Event(), 0
        self._thread = threading.Thread(target=self._read)
        self.fault: BaseException | None = None

    def _read(self) -> None:
        athena = Athena(self._sales.connections)
        try:
            while not self._stop.is_set():
                rows = athena.run(
                    f"select count(*), count(distinct tenant_id) from {self._sales.name.sql}"
                ).rows
                assert rows == self._expected, rows
                self.answers += 1
        except BaseException as error:
            self.fault = error

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.fault is None, self.fault
        assert self.answers


def test_repartition_keeps_every_row_and_every_reader_whole_and_the_sync_writes_nothing(sales: Any) -> None:
    sales.sync()
    before, old = sales.rows(), sales.version()
    with Reader(sales, len(before)):
        done = repartition(sales.connections, sales.name, BY)
    # 12 partitions of the new layout, each proved by tenant and month
    assert (done.groups, done.cost.rows) == (12, len(before))
    assert layout(sales) == ["tenant_id", "year", "month"]
    assert sales.rows() == before
    now = sales.version()
    assert now.uuid != old.uuid
    assert now.properties["write.parquet.compression-codec"].lower() == "snappy"
    assert done.kept is not None
    assert sales.names() == {"sales_history", done.kept.table}
    assert sales.rows(done.kept.table) == before

    report = sales.sync()
    assert (report.rows_written, report.rows_read) == (0, len(before))
    sales.assert_synced()
    assert sales.sync().mode == "nothing"

    freed = finish(sales.connections, sales.name)
    assert freed > 0
    assert sales.names() == {"sales_history"}
    assert not [key for key in sales.objects() if key.startswith(f"{sales.name.database}/sales_history/")]
    assert standing(sales.connections, sales.name) is None
    assert sales.rows() == before


def test_repartition_of_more_partitions_than_a_statement_takes_is_done_in_batches(empty: Any) -> None:
    empty.create(
        "select cast(p as varchar) as product_id, concat('t', cast(t as varchar)) as tenant_id, cast(1 as decimal(10,2)) as"
        " price, timestamp '2024-01-01 00:00:00.000000' as sold_date, array[1e0] as embedding, cast(2024 as integer) as"
        " year, cast(1 as integer) as month from unnest(sequence(1, 2)) as a(p) cross join unnest(sequence(1, 230)) as b(t)"
    )
    before = empty.rows()
    steps: list[str] = []
    done = repartition(empty.connections, empty.name, "tenant_id", checkpoint=steps.append)
    assert steps.count("created") + steps.count("copied") == 3
    assert (done.groups, layout(empty), empty.rows()) == (230, ["tenant_id"], before)


def test_repartition_handles_nulls_quotes_dates_and_transforms(empty: Any) -> None:
    empty.create(
        "select * from (values ('a', 'it''s', decimal '1.00', timestamp '2024-01-31 23:59:59.999999', array[1e0], 2024, 1),"
        " ('b', null, null, null, null, null, null), ('c', '', decimal '2.00', timestamp '1969-12-31 00:00:00.000000',"
        " array[2e0, null], 1969, 12), ('c', '', decimal '2.00', timestamp '1969-12-31 00:00:00.000000', array[2e0, null],"
        " 1969, 12)) as t(product_id, tenant_id, price, sold_date, embedding, year, month)",
        "'month'",
    )
    before = empty.rows()
    for by in (
        "tenant_id, month(sold_date)",
        "price,day(sold_date)",
        "hour(sold_date)",
        "year(sold_date),month",
    ):
        repartition(empty.connections, empty.name, by)
        assert empty.rows() == before
        assert layout(empty) == [part.strip() for part in by.split(",")]
        finish(empty.connections, empty.name)


def test_repartition_of_an_empty_table_makes_an_empty_one(empty: Any) -> None:
    empty.run(
        "create table sales_history (product_id string, tenant_id string, price decimal(10,2), sold_date timestamp,"
        f" embedding array<double>, year int, month int) partitioned by (year, month) location '{empty.base}/'"
        " tblproperties ('table_type' = 'ICEBERG')"
    )
    done = repartition(empty.connections, empty.name, BY)
    assert (done.groups, layout(empty), empty.rows()) == (0, ["tenant_id", "year", "month"], [])


def test_repartition_of_a_rolled_back_and_changed_schema_keeps_today_s_columns(sales: Any) -> None:
    sales.run("alter table sales_history add columns (note string)")
    sales.sync()
    before = sales.rows()
    repartition(sales.connections, sales.name, BY)
    assert sales.rows() == before
    assert [field["name"] for field in sales.version().fields()][-1] == "note"
    assert sales.sync().rows_written == 0


CHANGE = (
    "update sales_history set price = price + 1 where tenant_id = 'tenant_002' and year = 2025 and month = 2",
    "delete from sales_history where tenant_id = 'tenant_003' and year = 2025 and month = 1",
    "insert into sales_history values ('PX', 'tenant_009', decimal '9.00', timestamp '2025-06-01 00:00:00.000000',"
    " array[9e0], 2025, 6)",
)


@pytest.mark.parametrize("step", ["created", "validated", "written"])
def test_repartition_catches_up_with_what_is_committed_meanwhile(sales: Any, step: str) -> None:
    changed: list[str] = []

    def checkpoint(name: str) -> None:
        if name == step and not changed:
            changed.extend(CHANGE)
            sales.run(*CHANGE)

    repartition(sales.connections, sales.name, BY, checkpoint=checkpoint)
    rows = sales.rows()
    assert len(rows) == 24 - 2 + 1
    assert {row[2] for row in rows if row[:2] == ("P1", "tenant_002")} == {"1.20", "2.20"}
    assert layout(sales) == ["tenant_id", "year", "month"]


def test_repartition_of_a_table_that_never_rests_stops_and_leaves_it_as_it_is(
    sales: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.lake.repartition.ROUNDS", 3)
    number = iter(range(100))

    def checkpoint(name: str) -> None:
        if name == "validated":
            sales.run(
                f"update sales_history set price = {next(number)} where product_id = 'P1' and month = 1"
            )

    with pytest.raises(LakeError, match="was changed during each of 3 rounds"):
        repartition(sales.connections, sales.name, BY, checkpoint=checkpoint)
    assert layout(sales) == ["year", "month"]
    repartition(sales.connections, sales.name, BY)
    assert layout(sales) == ["tenant_id", "year", "month"]


def test_repartition_mends_what_a_statement_of_a_killed_run_wrote_late(sales: Any, victims: Any) -> None:
    before = sales.rows()
    victims.kill_at("penstock.lake.repartition:repartition", (sales.connections, sales.name, BY), "created")
    state = migrations.find(sales.connections, sales.name)
    assert state is not None
    sales.run(f"insert into {state.staging.sql} select * from sales_history where year = 2025")
    repartition(sales.connections, sales.name, BY)
    assert sales.rows() == before


def test_repartition_moves_the_name_to_what_was_proved_and_nothing_later(sales: Any) -> None:
    before = sales.rows()

    def checkpoint(name: str) -> None:
        if name == "validated":
            state = migrations.find(sales.connections, sales.name)
            assert state is not None
            sales.run(f"insert into {state.staging.sql} select * from sales_history where year = 2025")

    repartition(sales.connections, sales.name, BY, checkpoint=checkpoint)
    assert sales.rows() == before


STEPS = ("begun", "created", "validated", "written", "moved", "registered", "settled")


def test_repartition_killed_at_every_step_in_turn_is_whole_for_readers_and_goes_on(
    sales: Any, victims: Any
) -> None:
    before = sales.rows()
    for step in STEPS:
        # by the same command, or without naming the partitioning again
        by = "" if step in ("written", "settled") else BY
        victims.kill_at("penstock.lake.repartition:repartition", (sales.connections, sales.name, by), step)
        assert sales.rows() == before, step
        moved = STEPS.index(step) >= STEPS.index("moved")
        assert layout(sales) == (["tenant_id", "year", "month"] if moved else ["year", "month"])
    done = repartition(sales.connections, sales.name, BY)
    assert sales.rows() == before
    assert done.kept is not None
    assert sales.names() == {"sales_history", done.kept.table}
    assert sales.rows(done.kept.table) == before

    for step in ("finishing", "forgotten", "deleted"):
        victims.kill_at("penstock.lake.repartition:finish", (sales.connections, sales.name), step)
        with pytest.raises(LakeError, match="no way back"):
            abort(sales.connections, sales.name)
    finish(sales.connections, sales.name)
    assert (sales.rows(), sales.names()) == (before, {"sales_history"})
    assert standing(sales.connections, sales.name) is None


def test_abort_killed_at_every_step_in_turn_is_whole_and_ends(sales: Any, victims: Any) -> None:
    before = sales.rows()
    repartition(sales.connections, sales.name, BY)
    steps = ("aborting", "settled", "validated", "written", "moved", "forgotten", "deleted")
    for step in steps:
        victims.kill_at("penstock.lake.repartition:abort", (sales.connections, sales.name), step)
        assert sales.rows() == before, step
        moved = steps.index(step) >= steps.index("moved")
        assert layout(sales) == (["year", "month"] if moved else ["tenant_id", "year", "month"])
    abort(sales.connections, sales.name)
    assert (sales.rows(), layout(sales), sales.names()) == (before, ["year", "month"], {"sales_history"})
    assert standing(sales.connections, sales.name) is None


def test_repartition_after_a_killed_abort_stays_or_begins_anew(sales: Any, victims: Any) -> None:
    before = sales.rows()
    first = repartition(sales.connections, sales.name, BY).kept
    victims.kill_at("penstock.lake.repartition:abort", (sales.connections, sales.name), "written")
    assert repartition(sales.connections, sales.name, BY).kept == first
    for step in ("moved", "deleted"):
        victims.kill_at("penstock.lake.repartition:abort", (sales.connections, sales.name), step)
        done = repartition(sales.connections, sales.name, BY)
        assert done.kept is not None
        assert done.kept != first
        assert sales.names() == {"sales_history", done.kept.table}
        assert (sales.rows(), layout(sales)) == (before, ["tenant_id", "year", "month"])


def test_abort_before_the_move_leaves_nothing(sales: Any, victims: Any) -> None:
    keys = sales.objects()
    victims.kill_at("penstock.lake.repartition:repartition", (sales.connections, sales.name, BY), "created")
    assert len(sales.objects()) > len(keys)
    abort(sales.connections, sales.name)
    assert (sales.objects(), sales.names()) == (keys, {"sales_history"})


def test_abort_after_the_move_brings_what_was_built_since_back_to_the_old_layout(sales: Any) -> None:
    sales.sync()
    old = sales.version()
    repartition(sales.connections, sales.name, BY)
    sales.run(*CHANGE)
    after = sales.rows()
    with Reader(sales, len(after), tenants=4):
        abort(sales.connections, sales.name)
    assert sales.version().uuid == old.uuid
    assert (layout(sales), sales.rows(), sales.names()) == (["year", "month"], after, {"sales_history"})
    report = sales.sync()
    assert (report.inserted, report.updated, report.deleted) == (1, 2, 2)
    sales.assert_synced()


def test_abort_after_columns_changed_is_refused(sales: Any) -> None:
    repartition(sales.connections, sales.name, BY)
    sales.run("alter table sales_history add columns (note string)")
    with pytest.raises(LakeError, match=r"The columns of .*sales_history have changed"):
        abort(sales.connections, sales.name)
    assert layout(sales) == ["tenant_id", "year", "month"]


def test_a_second_repartition_takes_over_and_the_first_stops(sales: Any) -> None:
    before = sales.rows()

    def overtaken(name: str) -> None:
        if name == "created":
            repartition(sales.connections, sales.name, BY)

    with pytest.raises(LakeConflictError, match="Another run has taken the repartition"):
        repartition(sales.connections, sales.name, BY, checkpoint=overtaken)
    assert (sales.rows(), layout(sales)) == (before, ["tenant_id", "year", "month"])


def test_repartition_of_a_table_made_anew_meanwhile_is_refused_and_cleaned_by_finish(
    sales: Any, victims: Any
) -> None:
    victims.kill_at("penstock.lake.repartition:repartition", (sales.connections, sales.name, BY), "created")
    sales.connections.client("glue").delete_table(DatabaseName=sales.name.database, Name="sales_history")
    sales.run(
        f"create table sales_history with (table_type = 'ICEBERG', is_external = false, location = '{sales.base}_again/')"
        " as select 1 as n"
    )
    for work in (
        lambda: repartition(sales.connections, sales.name, BY),
        lambda: abort(sales.connections, sales.name),
    ):
        with pytest.raises(LakeError, match="was made anew"):
            work()
    finish(sales.connections, sales.name)
    assert sales.names() == {"sales_history"}
    assert all("sales_history_again/" in key for key in sales.objects())


REFUSED = [
    ("", "No partitioning is given"),
    ("year, month", "is partitioned by year, month already"),
    ("tenant", "names the column 'tenant', which the table does not have"),
    ("bucket(4, tenant_id)", "which is no partition"),
    ("truncate(tenant_id)", "cannot be partitioned so"),
    ("month(tenant_id)", "'month\\(tenant_id\\)': string cannot be partitioned so"),
    ("embedding", "list cannot be partitioned so"),
    ("month(sold_date", "which is no partition"),
    ("year,year", "names 'year' twice"),
    ("year,", "has '', which is no partition"),
]


def test_repartition_by_what_cannot_be_is_refused_and_begins_nothing(sales: Any) -> None:
    for by, said in REFUSED:
        with pytest.raises(LakeError, match=said):
            repartition(sales.connections, sales.name, by)
    assert standing(sales.connections, sales.name) is None


def test_repartition_by_something_else_while_one_is_unfinished_is_refused(sales: Any) -> None:
    repartition(sales.connections, sales.name, BY)
    with pytest.raises(LakeError, match="by tenant_id, year, month is not finished"):
        repartition(sales.connections, sales.name, "tenant_id")


def test_finish_and_abort_of_nothing_are_refused(sales: Any, victims: Any) -> None:
    for work in (finish, abort):
        with pytest.raises(LakeError, match=r"No repartition of .* is under way"):
            work(sales.connections, sales.name)
    victims.kill_at("penstock.lake.repartition:repartition", (sales.connections, sales.name, BY), "created")
    with pytest.raises(LakeError, match="still has its old layout"):
        finish(sales.connections, sales.name)
