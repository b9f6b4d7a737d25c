"""Whole syncs: after each, Postgres equals the lake row for row, and rows that did not change were not written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from penstock.connections import Connections
from penstock.errors import ChecksumMismatchError, PlanError, SchemaDriftError, SyncError
from penstock.sync import lake as lake_module
from penstock.sync.declaration import Declaration
from penstock.sync.report import SyncReport
from penstock.sync.run import sync

pytestmark = pytest.mark.stack

Row = dict[str, Any]
COLUMNS = [
    "restaurant_id",
    "inventory_item_id",
    "business_date",
    "dma_id",
    "dc_id",
    "state",
    "y_05",
    "y_50",
    "y_95",
]


def rows(month: int, count: int = 40, start: int = 1) -> list[Row]:
    """Forecast rows of a month of 2025, with nulls among them."""
    return [
        {
            "restaurant_id": start + i,
            "inventory_item_id": 385,
            "business_date": date(2025, month, 1) + timedelta(i % 28),
            "dma_id": None if i % 7 == 0 else f"D{i % 5}",
            "dc_id": None if i % 11 == 0 else i % 60,
            "state": "CA" if i % 2 else "TX",
            "y_05": None if i % 13 == 0 else i / 8,
            "y_50": i / 4,
            "y_95": i / 2 + 0.005,
        }
        for i in range(count)
    ]


def part(month: int) -> int:
    """The month's Iceberg partition value."""
    return (2025 - 1970) * 12 + month - 1


def query(lake: Connections, statement: str) -> list[Any]:
    with psycopg.connect(lake.database_url) as connection:
        return connection.execute(statement.encode()).fetchall()


def table(lake: Connections) -> list[Row]:
    with psycopg.connect(lake.database_url, row_factory=dict_row) as connection:
        names = ", ".join(COLUMNS)
        return connection.execute(f"select {names} from forecast_data order by 1, 2, 3".encode()).fetchall()


def as_synced(*parts: list[Row]) -> list[Row]:
    """Return the rows as Postgres is to hold them: quantiles to two places, halves away from zero."""
    found = []
    for row in (row for rows_ in parts for row in rows_):
        with_decimals = {
            name: None if row[name] is None else _two_places(row[name]) for name in ("y_05", "y_50", "y_95")
        }
        found.append(row | with_decimals)
    return sorted(found, key=lambda row: tuple(row[name] for name in COLUMNS[:3]))


def _two_places(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def run(lake: Connections, declared: Declaration, **options: Any) -> SyncReport:
    (report,) = sync(lake, [declared], **options)
    return report


def counts(report: SyncReport) -> tuple[int, int, int, int]:
    return report.inserted, report.updated, report.deleted, report.unchanged


# -- first load ----------------------------------------------------------------------------------------------------------


def test_sync_first_load_makes_the_declared_table(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    snapshot = forecast.commit()

    report = run(lake, declared)

    assert (report.mode, report.snapshot_id, report.partitions) == ("load", snapshot, ["2025-01", "2025-02"])
    assert counts(report) == (80, 0, 0, 0)
    assert table(lake) == as_synced(rows(1), rows(2))
    shape = query(
        lake,
        "select column_name, data_type, is_nullable from information_schema.columns"
        " where table_name = 'forecast_data' order by ordinal_position",
    )
    assert shape == [
        ("id", "integer", "NO"),
        ("restaurant_id", "integer", "NO"),
        ("inventory_item_id", "integer", "NO"),
        ("business_date", "date", "NO"),
        ("dma_id", "character varying", "YES"),
        ("dc_id", "integer", "YES"),
        ("state", "character varying", "NO"),
        ("y_05", "numeric", "YES"),
        ("y_50", "numeric", "NO"),
        ("y_95", "numeric", "YES"),
        ("created_at", "timestamp without time zone", "YES"),
        ("updated_at", "timestamp without time zone", "YES"),
    ]
    indexes = [
        row[0].split(" USING ")[1]
        for row in query(lake, "select indexdef from pg_indexes where tablename = 'forecast_data'")
    ]
    assert sorted(indexes) == [
        "btree (business_date)",
        "btree (dc_id) WHERE (dc_id IS NOT NULL)",
        "btree (dma_id) WHERE (dma_id IS NOT NULL)",
        "btree (id)",
        "btree (restaurant_id, inventory_item_id, business_date)",
        "btree (state)",
        "btree (state, business_date)",
        "btree (state, dma_id, dc_id, business_date)",
    ]


def test_sync_success_is_recorded_with_its_data(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    snapshot = forecast.commit()
    run(lake, declared)

    status = query(
        lake,
        "select sync_type, records_synced, status, error_message, last_sync_date = current_date from forecast_sync_status",
    )
    assert status == [("forecast_data", 40, "success", None, True)]
    assert query(lake, "select target, snapshot_id from penstock.sync_state") == [
        ("public.forecast_data", snapshot)
    ]
    assert query(lake, "select status, mode, inserted from penstock.sync_runs") == [("success", "load", 40)]


def test_sync_of_an_empty_table_makes_an_empty_table(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    report = run(lake, declared)
    assert (report.mode, report.snapshot_id, counts(report)) == ("load", None, (0, 0, 0, 0))
    assert table(lake) == []
    assert run(lake, declared).mode == "nothing"


def test_sync_of_an_unpartitioned_table_equals_the_lake(
    lake: Connections, database: str, declared: Declaration, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_forecast", partition_by=None)
    first = writer.add(rows(1))
    writer.add(rows(2))
    writer.commit()
    assert run(lake, declared).partitions == ["whole table"]
    writer.add(rows(1, 30))
    writer.commit(remove=[first])
    assert counts(run(lake, declared)) == (0, 0, 10, 70)
    assert table(lake) == as_synced(rows(1, 30), rows(2))


# -- nothing changed -----------------------------------------------------------------------------------------------------


def test_sync_with_nothing_new_asks_glue_once_and_reads_nothing(
    lake: Connections, forecast: Any, declared: Declaration, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    asked: list[str] = []
    monkeypatch.setattr(
        "penstock.sync.table.locate", lambda *given: asked.append(given[-1]) or lake_module.locate(*given)
    )
    # no S3 answers at this address: a sync that read anything would fail
    without_s3 = replace(lake, endpoint_urls=lake.endpoint_urls | {"s3": "http://127.0.0.1:9"})

    report = run(without_s3, declared)

    assert (report.mode, report.requests, report.bytes_read) == ("nothing", [], 0)
    assert asked == ["fct_forecast"]
    assert query(lake, "select count(*) from penstock.sync_runs") == [(2,)]


def test_sync_with_new_metadata_of_the_same_snapshot_reads_no_data(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    forecast.touch()

    report = run(lake, declared)
    assert (report.mode, report.files) == ("nothing", 0)
    assert not [location for location in report.requests if "/data/" in location]
    assert run(lake, declared).requests == []  # the new metadata is remembered


# -- changes -------------------------------------------------------------------------------------------------------------


def test_sync_of_changed_month_writes_only_rows_that_differ(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    before = dict(query(lake, "select id, updated_at from forecast_data"))

    changed = [row | {"y_50": 999.5} if row["restaurant_id"] <= 3 else row for row in rows(1)][:-2]
    changed += rows(1, 5, start=1001)
    replacement = forecast.add(changed, part(1))
    forecast.commit(remove=[january])
    report = run(lake, declared)

    assert (report.mode, report.partitions) == ("changes", ["2025-01"])
    assert report.path == "delta"
    assert {location for location in report.requests if "/data/" in location} == {january, replacement}
    assert counts(report) == (5, 3, 2, 35)
    assert table(lake) == as_synced(changed, rows(2))
    after = query(
        lake, "select id, restaurant_id, updated_at, business_date < '2025-02-01' from forecast_data"
    )
    touched = {restaurant for id_, restaurant, updated, _ in after if before.get(id_) != updated}
    assert touched == {1, 2, 3, *range(1001, 1006)}


def test_sync_of_position_deletes_deletes_those_rows(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1, 500), part(1), row_group=64)
    february = forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)

    forecast.delete({january: [0, 63, 64, 499]}, part(1))
    forecast.commit()
    report = run(lake, declared)
    assert (report.partitions, counts(report)) == (["2025-01"], (0, 0, 4, 496))

    forecast.delete({january: [63, 65], february: []}, part(1))  # one of them again
    forecast.commit()
    assert counts(run(lake, declared)) == (0, 0, 1, 495)
    gone = {0, 63, 64, 499, 65}
    assert table(lake) == as_synced([row for i, row in enumerate(rows(1, 500)) if i not in gone], rows(2))


def test_sync_of_first_load_applies_position_deletes(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.delete({january: list(range(40))}, part(1))
    february = forecast.add(rows(2), part(2))
    forecast.commit()
    forecast.delete({february: [5]}, part(2))
    forecast.commit()
    assert counts(run(lake, declared)) == (39, 0, 0, 0)
    assert table(lake) == as_synced([row for i, row in enumerate(rows(2)) if i != 5])


def test_sync_delete_file_older_than_the_data_does_not_apply(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.delete({january: [0]}, part(1))
    forecast.commit()
    # the same file committed anew, after the delete: Iceberg's sequence numbers say the delete is not for it
    entry = forecast._entry(january, part(1), 40, 0)
    forecast._uncommitted.append(entry)
    forecast.commit(remove=[january])
    assert run(lake, declared).inserted == 40


def test_sync_of_a_month_that_vanished_empties_it(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    forecast.commit(remove=[january])
    report = run(lake, declared)
    assert (report.files, counts(report)) == (0, (0, 0, 40, 0))
    assert table(lake) == as_synced(rows(2))


def test_sync_of_a_compaction_writes_no_row(lake: Connections, forecast: Any, declared: Declaration) -> None:
    old = [forecast.add(rows(1, 20), part(1)), forecast.add(rows(1, 20, start=500), part(1))]
    forecast.commit()
    run(lake, declared)
    forecast.add(rows(1, 20, start=500) + rows(1, 20), part(1))
    forecast.commit(remove=old)
    before = query(lake, "select id, updated_at, ctid::text from forecast_data order by id")
    assert counts(run(lake, declared)) == (0, 0, 0, 40)
    assert query(lake, "select id, updated_at, ctid::text from forecast_data order by id") == before


def test_sync_after_a_rollback_holds_the_older_snapshot(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    first = forecast.commit()
    forecast.add(rows(2), part(2))
    forecast.commit()
    run(lake, declared)
    forecast.rollback(first)
    report = run(lake, declared)
    assert (report.snapshot_id, report.partitions, counts(report)) == (first, ["2025-02"], (0, 0, 40, 0))
    assert table(lake) == as_synced(rows(1))


def test_sync_when_a_row_moves_to_another_partition_updates_it(
    lake: Connections, database: str, declared: Declaration, lake_writer: Any
) -> None:
    writer = lake_writer(lake, database, "fct_forecast", partition_by=("state", "identity"))
    california = writer.add([row for row in rows(1) if row["state"] == "CA"], "CA")
    texas = writer.add([row for row in rows(1) if row["state"] == "TX"], "TX")
    writer.add([row | {"state": "NY"} for row in rows(2)], "NY")
    writer.commit()
    run(lake, declared)
    moved = [row | {"state": "CA"} if row["restaurant_id"] in (1, 3) else row for row in rows(1)]
    writer.add([row for row in moved if row["state"] == "CA"], "CA")
    writer.add([row for row in moved if row["state"] == "TX"], "TX")
    writer.commit(remove=[california, texas])
    report = run(lake, declared)
    assert (report.partitions, counts(report)) == (["state=CA", "state=TX"], (0, 2, 0, 38))
    assert table(lake) == as_synced(moved, [row | {"state": "NY"} for row in rows(2)])


# -- everything ----------------------------------------------------------------------------------------------------------


def test_sync_full_mends_what_another_hand_changed(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("update forecast_data set y_50 = 0.01 where restaurant_id in (4, 5)")
        connection.execute("delete from forecast_data where restaurant_id = 6")
        connection.execute(
            "insert into forecast_data (restaurant_id, inventory_item_id, business_date, state, y_50)"
            " values (1, 1, '2031-01-01', 'CA', 1)"
        )
    assert run(lake, declared).mode == "nothing"
    report = run(lake, declared, full=True)
    assert (report.mode, counts(report)) == ("everything", (1, 2, 1, 37))
    assert table(lake) == as_synced(rows(1))


@pytest.mark.parametrize("how", ["expired", "made again", "state lost"])
def test_sync_without_a_snapshot_to_compare_with_compares_everything(
    lake: Connections, database: str, forecast: Any, declared: Declaration, lake_writer: Any, how: str
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.add(rows(2), part(2))
    first = forecast.commit()
    run(lake, declared)
    if how == "made again":
        forecast = lake_writer(lake, database, "fct_forecast")
        forecast.add(rows(2), part(2))
        forecast.add(rows(3), part(3))
        forecast.commit()
    else:
        forecast.add(rows(3), part(3))
        forecast.commit(remove=[january])
    if how == "expired":
        forecast.expire(first)
    if how == "state lost":
        with psycopg.connect(lake.database_url) as connection:
            connection.execute("delete from penstock.sync_state")
    report = run(lake, declared)
    # expired: February's files are the committed ones; made again, its rows are; state lost: its rows in Postgres are
    expected = {
        "expired": ("changes", ["2025-01", "2025-03"], (40, 0, 40, 0)),
        "made again": ("changes", ["2025-01", "2025-02", "2025-03"], (40, 0, 40, 40)),
        "state lost": ("everything", ["2025-02", "2025-03"], (40, 0, 40, 40)),
    }
    assert (report.mode, report.partitions, counts(report)) == expected[how]
    assert table(lake) == as_synced(rows(2), rows(3))


def test_sync_after_the_table_was_dropped_loads_it_again(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("drop table forecast_data")
    assert run(lake, declared).mode == "load"
    assert table(lake) == as_synced(rows(1))


# -- schema --------------------------------------------------------------------------------------------------------------


def test_sync_adds_a_new_column_and_reads_only_what_changed(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    forecast.evolve(add=[("note", "string"), ("price", "decimal(10, 2)"), ("seen", "timestamptz")])
    forecast.add([row | {"note": "new"} for row in rows(2)], part(2))
    forecast.commit()
    report = run(lake, declared)
    assert (report.mode, report.partitions, counts(report)) == ("changes", ["2025-02"], (40, 0, 0, 0))
    assert query(lake, "select note, count(*), count(price) from forecast_data group by 1 order by 1") == [
        ("new", 40, 0),
        (None, 40, 0),
    ]


def test_sync_of_files_older_than_a_column_reads_nulls(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.evolve(
        add=[("note", "string"), ("price", "decimal(10, 2)"), ("seen", "timestamp"), ("flag", "boolean")]
    )
    forecast.commit()
    assert run(lake, declared).inserted == 40
    assert query(lake, "select count(note), count(price), count(seen), count(flag) from forecast_data") == [
        (0, 0, 0, 0)
    ]


def test_sync_of_a_declaration_that_grew_converges_the_table(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(
        lake,
        replace(
            declared, indexes=(), columns=declared.columns | {"y_05": "decimal(8,2)", "dma_id": "varchar(5)"}
        ),
    )
    report = run(lake, declared)
    assert counts(report)[:3] == (0, 0, 0)
    assert query(lake, "select count(*) from pg_indexes where tablename = 'forecast_data'") == [(8,)]
    assert query(
        lake,
        "select format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'forecast_data'::regclass and attname = 'y_05'",
    ) == [("numeric(10,2)",)]


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"drop": ["dc_id"]}, "column 'dc_id' is gone, and public.forecast_data still has it."),
        (
            {"rename": {"dc_id": "centre_id"}},
            "column 'dc_id' was renamed to 'centre_id', and public.forecast_data still has it.",
        ),
    ],
)
def test_sync_of_a_lost_column_is_refused_by_name(
    lake: Connections, forecast: Any, declared: Declaration, drift: dict[str, Any], said: str
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    declared = replace(declared, indexes=())
    run(lake, declared)
    forecast.evolve(**drift)
    with pytest.raises(SchemaDriftError) as caught:
        run(lake, declared)
    assert caught.value.message == f"{declared.lake}: {said}"
    assert table(lake) == as_synced(rows(1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"columns": {"y_50": "decimal(6,2) not null"}},
            "column 'y_50' is numeric(10,2) and cannot become numeric(6,2)",
        ),
        (
            {"columns": {"state": "varchar(1) not null"}},
            "column 'state' is character varying(2) and cannot become character varying(1)",
        ),
        (
            {"key": ("restaurant_id", "business_date")},
            "the key was (restaurant_id, inventory_item_id, business_date) and is now (restaurant_id, business_date)",
        ),
    ],
)
def test_sync_of_a_narrowed_declaration_is_refused_by_name(
    lake: Connections, forecast: Any, declared: Declaration, change: dict[str, Any], said: str
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    if "columns" in change:
        change = {"columns": declared.columns | change["columns"]}
    with pytest.raises(SchemaDriftError) as caught:
        run(lake, replace(declared, **change))
    assert said in caught.value.message
    assert query(lake, "select status, error_message is null from forecast_sync_status order by id") == [
        ("success", True),
        ("failed", False),
    ]


def test_sync_of_a_column_with_the_tables_own_name_is_refused(
    lake: Connections, database: str, declared: Declaration, lake_writer: Any
) -> None:
    lake_writer(lake, database, "fct_forecast", fields=[("id", "int"), ("a", "int")], partition_by=None)
    with pytest.raises(PlanError, match="column 'id' is the synced table's own"):
        run(lake, Declaration("m", database, "fct_forecast", "t", ("a",)))


# -- what must not be written --------------------------------------------------------------------------------------------


def test_sync_of_duplicate_keys_at_first_load_names_the_key(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add([*rows(1), rows(1)[7]], part(1))
    forecast.commit()
    with pytest.raises(SyncError) as caught:
        run(lake, declared)
    assert "the key (restaurant_id, inventory_item_id, business_date) is not unique" in caught.value.message
    assert "(8, 385, 2025-01-08)" in caught.value.message
    assert query(lake, "select to_regclass('forecast_data')") == [(None,)]
    assert query(lake, "select status from forecast_sync_status") == [("failed",)]


@pytest.mark.parametrize("second", [{}, {"y_50": 77.0}], ids=["identical", "different"])
@pytest.mark.parametrize("known", [True, False], ids=["in Postgres", "new"])
def test_sync_of_duplicate_keys_later_names_the_key(
    lake: Connections, forecast: Any, declared: Declaration, second: Row, known: bool
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    twice = rows(1)[7] if known else rows(1, 1, start=5000)[0] | {"y_05": 3.0}
    forecast.add(
        [
            *rows(1),
            *([] if known else [twice]),
            twice | second,
            *([twice | {"y_95": 66.0}] if known and second else []),
        ],
        part(1),
    )
    forecast.commit(remove=[january])
    with pytest.raises(SyncError) as caught:
        run(lake, declared)
    assert f"restaurant_id={twice['restaurant_id']}, inventory_item_id=385" in caught.value.message
    assert table(lake) == as_synced(rows(1))


def test_sync_of_a_value_the_declaration_cannot_hold_changes_nothing(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    january = forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    forecast.add([row | {"y_50": None} for row in rows(1)], part(1))
    forecast.commit(remove=[january])
    with pytest.raises(
        SyncError, match="Column 'y_50' is declared not null and the lake holds 40 nulls in it"
    ):
        run(lake, declared)
    assert table(lake) == as_synced(rows(1))


def test_sync_of_a_row_that_breaks_a_constraint_names_it(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    run(lake, declared)
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("alter table forecast_data add constraint cheap check (y_50 < 100)")
    forecast.add([rows(2)[0] | {"y_50": 100.5}], part(2))
    forecast.commit()
    with pytest.raises(SyncError) as caught:
        run(lake, declared)
    assert (
        'public.forecast_data partition 2025-02: new row for relation "forecast_data" violates check constraint "cheap";'
        " key restaurant_id=1, inventory_item_id=385, business_date=2025-02-01" in caught.value.message
    )
    assert "100.50" in caught.value.message
    assert table(lake) == as_synced(rows(1))


def test_sync_that_would_not_equal_the_lake_is_rolled_back(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    first = forecast.commit()
    run(lake, declared)
    with psycopg.connect(lake.database_url) as connection:  # a hand that alters what is written
        connection.execute(
            "create function meddle() returns trigger language plpgsql as"
            " $$ begin new.y_50 := new.y_50 + 0.01; return new; end $$"
        )
        connection.execute(
            "create trigger meddle before insert on forecast_data for each row execute function meddle()"
        )
    forecast.add(rows(2), part(2))
    forecast.commit()
    with pytest.raises(ChecksumMismatchError) as caught:
        run(lake, declared)
    assert "2025-02 (lake 40 rows, Postgres 40)" in caught.value.message
    assert table(lake) == as_synced(rows(1))
    assert query(lake, "select snapshot_id from penstock.sync_state") == [(first,)]
    assert query(lake, "select status from forecast_sync_status order by id") == [("success",), ("failed",)]


def test_sync_of_a_table_that_is_not_iceberg_is_refused_by_name(
    lake: Connections, database: str, declared: Declaration
) -> None:
    lake.client("glue").create_table(
        DatabaseName=database,
        TableInput={"Name": "fct_forecast", "Parameters": {}, "StorageDescriptor": {"Columns": []}},
    )
    with pytest.raises(PlanError) as caught:
        run(lake, declared)
    assert (
        caught.value.message
        == f"{database}.fct_forecast is not an Iceberg table; only Iceberg tables are synced."
    )


def test_sync_of_a_table_that_is_not_there_says_what_builds_it(
    lake: Connections, declared: Declaration
) -> None:
    with pytest.raises(PlanError, match="is not in the lake") as caught:
        run(lake, declared)
    assert "invoke build" in caught.value.hint


def test_sync_of_two_tables_syncs_the_second_when_the_first_fails(
    lake: Connections, forecast: Any, declared: Declaration
) -> None:
    forecast.add(rows(1), part(1))
    forecast.commit()
    with pytest.raises(PlanError, match="fct_missing is not in the lake"):
        sync(lake, [replace(declared, lake_table="fct_missing", table="other"), declared])
    assert table(lake) == as_synced(rows(1))


def test_sync_of_every_type_equals_the_lake(lake: Connections, database: str, lake_writer: Any) -> None:
    fields = [
        ("k", "long"),
        ("b", "boolean"),
        ("t", "timestamp"),
        ("z", "timestamptz"),
        ("d", "decimal(12, 3)"),
        ("s", "string"),
    ]
    writer = lake_writer(lake, database, "t", fields=fields, partition_by=("t", "day"))
    moment = datetime(2025, 1, 1, 23, 59, 59, 999999)
    data = [
        {
            "k": 2**40,
            "b": True,
            "t": moment,
            "z": moment.replace(tzinfo=UTC),
            "d": Decimal("-1.500"),
            "s": "ñ☃",
        },
        {"k": 1, "t": moment},
    ]
    writer.add(data, 20089)
    writer.commit()
    report = run(lake, Declaration("m", database, "t", "t", ("k",), schema="marts"))
    assert (report.table, report.partitions) == ("marts.t", ["2025-01-01"])
    assert query(lake, "select k, b, t, z, d, s from marts.t order by k desc") == [
        tuple(data[0].values()),
        (1, None, moment, None, None, None),
    ]
