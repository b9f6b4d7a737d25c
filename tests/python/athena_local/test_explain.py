"""EXPLAIN and EXPLAIN ANALYZE: plans in Trino's shape, told without reading anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from athena_local.errors import QueryError

Rows = Callable[..., list[tuple[Any, ...]]]
Execute = Callable[..., Any]


@pytest.fixture
def plan(rows: Rows, execute: Execute, lake: str) -> Callable[[str], str]:
    """`plan(sql)`: the whole text that a statement answers. The tables t (partitioned), u and the view v are there."""
    execute(
        "create external table t (a int, b string, c double) partitioned by (d date, k int)"
        f" stored as parquet location '{lake}t/'"
    )
    execute(f"create external table u (a int, n string) stored as parquet location '{lake}u/'")
    execute("create view v as select a, count(*) n from t group by a")
    execute("insert into u values (1, 'x'), (2, 'y'), (3, 'z')")
    return lambda sql: "\n".join(row[0] for row in rows(sql))


def test_explain_constant_is_word_for_word_athena_s(plan: Callable[[str], str]) -> None:
    assert plan("EXPLAIN SELECT 1") == (
        "Fragment 0 [SINGLE]\n"
        "    Output layout: [expr]\n"
        "    Output partitioning: SINGLE []\n"
        "    Output[columnNames = [_col0]]\n"
        "    │   Layout: [expr:integer]\n"
        "    │   Estimates: {rows: 1 (5B), cpu: 0, memory: 0B, network: 0B}\n"
        "    │   _col0 := expr\n"
        "    └─ Values[]\n"
        "           Layout: [expr:integer]\n"
        "           Estimates: {rows: 1 (5B), cpu: 0, memory: 0B, network: 0B}\n"
        "           (1)\n"
        "\n"
        "\n"
    )


def test_explain_union_of_constants_is_one_local_exchange(plan: Callable[[str], str]) -> None:
    lines = plan("explain select 1 union all select 2 union all select 3").splitlines()
    assert lines[5:11] == [
        "    │   Estimates: {rows: 3 (15B), cpu: 0, memory: 0B, network: 0B}",
        "    │   _col0 := field",
        "    └─ LocalExchange[partitioning = ROUND_ROBIN]",
        "       │   Layout: [field:integer]",
        "       │   Estimates: {rows: 3 (15B), cpu: 15, memory: 0B, network: 0B}",
        "       ├─ Values[]",
    ]
    assert [line.strip("│ ") for line in lines if line.endswith(("(1)", "(2)", "(3)"))] == [
        "(1)",
        "(2)",
        "(3)",
    ]


def test_explain_scan_shows_columns_filter_and_partitions(plan: Callable[[str], str]) -> None:
    text = plan("explain select a, upper(b) ub from t where d = date '2025-01-01' and k in (1, 2) and a > 1")
    assert text == (
        "Fragment 0 [SOURCE]\n"
        "    Output layout: [a, upper]\n"
        "    Output partitioning: SINGLE []\n"
        "    Output[columnNames = [a, ub]]\n"
        "    │   Layout: [a:integer, upper:varchar]\n"
        "    │   Estimates: {rows: ? (?), cpu: ?, memory: ?, network: ?}\n"
        "    │   ub := upper\n"
        '    └─ ScanFilterProject[table = awsdatacatalog:default:t, filterPredicate = ("a" > 1)]\n'
        "           Layout: [a:integer, upper:varchar]\n"
        "           Estimates: {rows: ? (?), cpu: ?, memory: ?, network: ?}\n"
        '           upper := upper("b")\n'
        "           a := a:int:REGULAR\n"
        "           b := b:string:REGULAR\n"
        "           d:date:PARTITION_KEY\n"
        "               :: [[2025-01-01]]\n"
        "           k:int:PARTITION_KEY\n"
        "               :: [[1], [2]]\n"
        "\n"
        "\n"
    )


def test_explain_aggregation_has_two_steps_in_three_fragments(plan: Callable[[str], str]) -> None:
    text = plan("explain select k, sum(c) s from t group by k having count(*) > 1 order by 2 desc")
    assert [line for line in text.splitlines() if line.startswith("Fragment")] == [
        "Fragment 0 [SINGLE]", "Fragment 1 [HASH]", "Fragment 2 [SOURCE]",
    ]  # fmt: skip
    for part in (
        "RemoteMerge[orderBy = [sum DESC NULLS LAST]]",
        'Filter[filterPredicate = ("count" > 1)]',
        "Aggregate[type = FINAL, keys = [k]]",
        'sum := sum("sum_1")',
        "LocalExchange[partitioning = HASH, arguments = [k]]",
        "Output partitioning: HASH [k]",
        "Aggregate[type = PARTIAL, keys = [k]]",
        'sum_1 := sum("c")',
        "TableScan[table = awsdatacatalog:default:t]",
    ):
        assert part in text, part
    assert "a := a:int" not in text  # a column that is not needed is not read


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        (
            "select t.a, n from t join u on t.a = u.a and c > 1",
            [
                'InnerJoin[criteria = ("a" = "a_1"), filter = ("c" > 1), hash = [], distribution = PARTITIONED]',
                'arguments = ["a_1"]',
            ],
        ),
        ("select * from t left join u using (a)", ['LeftJoin[criteria = ("a" = "a_1")']),
        ("select * from t cross join u", ["CrossJoin[]", "Output partitioning: BROADCAST []"]),
        (
            "select a from t order by b limit 5",
            ["TopN[count = 5, orderBy = [b ASC NULLS LAST]]", "TopNPartial["],
        ),
        (
            "select distinct a from t limit 3",
            ["Limit[count = 3]", "LimitPartial[count = 3]", "Aggregate[type = FINAL, keys = [a]]"],
        ),
        (
            "select count(*) from v",
            ["awsdatacatalog:default:t", 'count_2 := count("count_3")', "count_3 := count(*)"],
        ),
        (
            "with w as (select a from t) select w.a, row_number() over (partition by w.a order by w.a desc) r from w",
            ['Window[partitionBy = ["a"], orderBy = [a DESC NULLS LAST]]', "row_number:bigint"],
        ),
        (
            "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select n from r",
            ["RecursiveReference[name = r]", "Values[]"],
        ),
        (
            "select a from t union select a from u",
            ["LocalExchange[partitioning = ROUND_ROBIN]", "Aggregate[type = FINAL, keys = [a_2]]"],
        ),
        ("select a from t except select a from u", ["Except[]"]),
        (
            "values (1, 'a'), (2, 'b')",
            ["Values[]", "(1, 'a')", "(2, 'b')", "Layout: [field:integer, field_1:varchar(1)]"],
        ),
        ("select x from u cross join unnest(array[1, 2]) z(x)", ["Unnest["]),
        (
            "select a from t where a in (select a from u)",
            ["SemiJoin[filterInput = a, filteringSource = a_1, semiJoinOutput = expr]"],
        ),
        ("select (select max(a) from u) m from t", ["EnforceSingleRow[]", "awsdatacatalog:default:u"]),
        (
            "select * from information_schema.tables",
            ["TableScan[table = awsdatacatalog:information_schema:tables]"],
        ),
        (
            "select count(distinct a), approx_distinct(b) filter (where a > 1) from t",
            ['FILTER (WHERE ("a" > 1))'],
        ),
    ],
)
def test_explain_shows_each_operation(plan: Callable[[str], str], query: str, parts: list[str]) -> None:
    text = plan(f"explain {query}")
    for part in parts:
        assert part in text, text


def test_explain_types_an_aggregate_grouped_by_ordinals(plan: Callable[[str], str]) -> None:
    assert "Layout: [b:varchar, count:bigint, max:integer]" in plan(
        "explain select b, count(*), max(a) from t group by 1"
    )


def test_explain_of_writes_writes_nothing(plan: Callable[[str], str], rows: Rows, execute: Execute) -> None:
    text = plan("explain insert into u select a, b from t")
    assert "TableCommit[target = awsdatacatalog:default:u]" in text
    assert "TableWriter[]" in text
    assert "TableWriter[]" in plan("explain create table z as select a from u")
    assert "TableWriter[]" in plan("explain unload (select a from u) to 's3://b/' with (format = 'JSON')")
    assert rows("select count(*) from u") == [(3,)]
    with pytest.raises(QueryError, match="TABLE_NOT_FOUND"):
        execute("select * from z")


def test_explain_logical_is_one_tree_with_its_exchanges(plan: Callable[[str], str]) -> None:
    text = plan("explain (type logical) select count(*) from t")
    assert text.startswith("Output[columnNames = [_col0]]\n│   Layout: [count:bigint]\n")
    assert "RemoteExchange[type = GATHER]" in text
    assert "Fragment" not in text


def test_explain_json_can_be_read(plan: Callable[[str], str]) -> None:
    found = json.loads(plan("explain (format json) select a, count(*) n from t group by a"))
    assert list(found) == ["0", "1", "2"]
    assert found["0"]["name"] == "Output"
    assert found["0"]["descriptor"] == {"columnNames": "[a, n]"}
    assert found["0"]["outputs"] == [
        {"symbol": "a", "type": "integer"},
        {"symbol": "count", "type": "bigint"},
    ]
    assert found["2"]["children"][0]["name"] == "TableScan"
    logical = json.loads(plan("explain (format json, type logical) select 1"))
    assert (logical["name"], logical["children"][0]["details"]) == ("Output", ["(1)"])
    assert logical["estimates"][0]["outputRowCount"] == 1.0


def test_explain_io_names_tables_and_partitions(plan: Callable[[str], str]) -> None:
    found = json.loads(
        plan(
            "explain (type io, format json) insert into u select t.a, n from t join v on t.a = v.a where k = 3"
        )
    )
    tables = [
        (item["table"]["schemaTable"]["table"], item["constraint"]["columnConstraints"])
        for item in found["inputTableColumnInfos"]
    ]
    bound = {"value": "3", "bound": "EXACTLY"}
    assert tables == [
        (
            "t",
            [
                {
                    "columnName": "k",
                    "type": "integer",
                    "domain": {"nullsAllowed": False, "ranges": [{"low": bound, "high": bound}]},
                }
            ],
        ),
        ("t", []),
    ]
    assert found["outputTable"]["schemaTable"] == {"schema": "default", "table": "u"}


def test_explain_validate_is_true_or_the_query_s_own_error(
    plan: Callable[[str], str], execute: Execute
) -> None:
    result = execute("explain (type validate) select 1")
    assert [column.name for column in result.columns] == ["Valid"]
    assert plan("explain (type validate) select a from t") == "true\n"
    with pytest.raises(QueryError) as caught:
        execute("explain (type validate) select z from t")
    assert str(caught.value).startswith("COLUMN_NOT_FOUND: line 1:32: Column 'z' cannot be resolved")


def test_explain_graphviz_draws_every_node_once(plan: Callable[[str], str]) -> None:
    text = plan("explain (format graphviz) select count(*) from t")
    assert text.startswith("digraph distributed_plan {\nsubgraph cluster_0 {\n")
    assert text.count("[label=") == 6
    assert text.count(" -> ") == 5
    assert text.rstrip().endswith("}")


def test_explain_analyze_runs_the_query_and_tells_what_it_took(
    plan: Callable[[str], str], new_context: Callable[[], Any], rows: Rows
) -> None:
    from athena_local.sql import parse_statement
    from athena_local.statements import execute

    context = new_context()
    result = execute(parse_statement("explain analyze verbose select * from u where a > 1"), context)
    text = "\n".join(str(row["Query Plan"]) for batch in result.batches or () for row in batch.to_pylist())
    assert text.startswith("Queued: 0.00ns, Analysis: 0.00ns, Planning: ")
    assert "Output: 2 rows (" in text
    assert "Fragment 0 [SOURCE]" in text
    assert context.statistics.bytes_scanned > 0
    assert f"Physical input: {context.statistics.bytes_scanned}B" in text
    plan("explain analyze insert into u values (9, 'q')")
    assert rows("select count(*) from u") == [(4,)]
    assert json.loads(plan("explain analyze (format json) select 1"))["0"]["outputRows"] == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("explain select nope from t", "COLUMN_NOT_FOUND: line 1:16: Column 'nope' cannot be resolved"),
        (
            "explain analyze select * from nope",
            "TABLE_NOT_FOUND: line 1:31: Table 'awsdatacatalog.default.nope' does not exist",
        ),
        ("explain show tables", "NOT_SUPPORTED: line 1:1: EXPLAIN is not supported for SHOW_TABLES"),
        ("explain explain select 1", "NOT_SUPPORTED: line 1:1: EXPLAIN is not supported for EXPLAIN"),
        (
            "explain (format yaml) select 1",
            "SYNTAX_ERROR: line 1:17: mismatched input 'yaml'. Expecting: 'GRAPHVIZ', 'JSON', 'TEXT'",
        ),
        (
            "explain (type io, colour red) select 1",
            "SYNTAX_ERROR: line 1:19: mismatched input 'colour'. Expecting: 'FORMAT', 'TYPE'",
        ),
        ("explain analyze (type io) select 1", "SYNTAX_ERROR: line 1:18: mismatched input 'type'"),
        ("explain", "SYNTAX_ERROR: line 1:8: mismatched input '<EOF>'"),
    ],
)
def test_explain_mistake_is_refused(
    plan: Callable[[str], str], execute: Execute, sql: str, message: str
) -> None:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    assert str(caught.value).startswith(message)


def test_explain_over_http_is_dml_with_a_header_row(server: Any) -> None:
    execution = server.wait(server.start("explain select 1"))
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "EXPLAIN")
    assert execution["Statistics"]["DataScannedInBytes"] == 0
    answer = server.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]
    found = [row["Data"][0].get("VarCharValue") for row in answer["Rows"]]
    assert (found[0], found[1], len(found)) == ("Query Plan", "Fragment 0 [SINGLE]", 15)
    execution = server.wait(server.start("explain (type validate) select 1"))
    answer = server.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]
    assert [row["Data"][0].get("VarCharValue") for row in answer["Rows"]] == ["Valid", "true", ""]
    assert answer["ResultSetMetadata"]["ColumnInfo"][0]["Type"] == "boolean"
