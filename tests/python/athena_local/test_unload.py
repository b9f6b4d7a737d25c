"""UNLOAD: the files it writes, what it refuses, and what it leaves behind when it fails."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from athena_local.errors import QueryCancelledError, QueryError
from athena_local.objects import ObjectStore

Execute = Callable[..., Any]
_VALUES = "(values (1, 'a', date '2025-01-01'), (2, null, null)) t(n, s, d)"


def refusal(execute: Execute, sql: str) -> str:
    with pytest.raises(QueryError) as caught:
        execute(sql)
    return str(caught.value)


def test_unload_parquet_holds_the_rows_with_their_types(
    execute: Execute, objects: ObjectStore, lake: str
) -> None:
    result = execute(
        f"unload (select n, s, d, decimal '1.50' as m, array[1, 2] as l from {_VALUES}) to '{lake}u/'"
        " with (format = 'parquet')"
    )
    assert result.update_count == 2
    assert result.manifest == [item.path for item in objects.list(f"{lake}u/")]
    table = pq.read_table(io.BytesIO(objects.read(result.manifest[0])))
    assert table.column_names == ["n", "s", "d", "m", "l"]
    assert [str(field.type) for field in table.schema][:4] == [
        "int32",
        "string",
        "date32[day]",
        "decimal128(3, 2)",
    ]
    assert table.to_pylist()[1] == {"n": 2, "s": None, "d": None, "m": Decimal("1.50"), "l": [1, 2]}


@pytest.mark.parametrize(
    ("compression", "codec"),
    [("snappy", "SNAPPY"), ("GZIP", "GZIP"), ("zstd", "ZSTD"), ("none", "UNCOMPRESSED"), (None, "SNAPPY")],
)
def test_unload_parquet_is_compressed_as_told(
    execute: Execute, objects: ObjectStore, lake: str, compression: str | None, codec: str
) -> None:
    told = f", compression = '{compression}'" if compression else ""
    [path] = execute(f"unload (select 1 a) to '{lake}u' with (format = 'PARQUET'{told})").manifest
    assert path.startswith(f"{lake}u/")
    metadata = pq.read_metadata(io.BytesIO(objects.read(path)))
    assert metadata.row_group(0).column(0).compression == codec


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("", "1\x01a\x012025-01-01\n2\x01\\N\x01\\N\n"),
        (", field_delimiter = ','", "1,a,2025-01-01\n2,\\N,\\N\n"),
        (", field_delimiter = '\t'", "1\ta\t2025-01-01\n2\t\\N\t\\N\n"),
    ],
)
def test_unload_text_is_packed_by_gzip_and_delimited(
    execute: Execute, objects: ObjectStore, lake: str, told: str, text: str
) -> None:
    [path] = execute(
        f"unload (select * from {_VALUES}) to '{lake}u/' with (format = 'TEXTFILE'{told})"
    ).manifest
    assert path.endswith(".gz")
    assert gzip.decompress(objects.read(path)).decode() == text


def test_unload_text_joins_nested_values_by_the_separators_of_their_level(
    execute: Execute, objects: ObjectStore, lake: str
) -> None:
    query = (
        "select array[1, null, 3] a, map(array['x', 'y'], array[1, 2]) m, cast(row(1, 'b') as row(p int, q varchar)) r,"
        " array[array[1, 2], array[3]] aa, true t, 1.5e0 d, X'00ff' b, cast(null as array(int)) n"
    )
    told = "with (format = 'TEXTFILE', field_delimiter = '|', compression = 'none')"
    [path] = execute(f"unload ({query}) to '{lake}u/' {told}").manifest
    assert objects.read(path).decode() == (
        "1\x02\\N\x023|x\x031\x02y\x032|1\x02b|1\x032\x023|true|1.5|AP8=|\\N\n"
    )


def test_unload_json_has_one_object_a_line(execute: Execute, objects: ObjectStore, lake: str) -> None:
    [path] = execute(
        f"unload (select n, s, d, array[1] l, X'00ff' b from {_VALUES}) to '{lake}u/' with (format = 'JSON')"
    ).manifest
    first, second = gzip.decompress(objects.read(path)).decode().splitlines()
    assert json.loads(first) == {"n": 1, "s": "a", "d": "2025-01-01", "l": [1], "b": "AP8="}
    assert json.loads(second) == {"n": 2, "s": None, "d": None, "l": [1], "b": "AP8="}


def test_unload_partitions_lie_in_folders_without_their_columns(
    execute: Execute, objects: ObjectStore, lake: str
) -> None:
    result = execute(
        f"unload (select n, s, n % 2 as odd from (values (1, 'a'), (2, 'b'), (3, 'c')) t(n, s)) to '{lake}u/'"
        " with (format = 'PARQUET', partitioned_by = ARRAY['odd'])"
    )
    assert {path[len(f"{lake}u/") :].split("/")[0] for path in result.manifest} == {"odd=0", "odd=1"}
    [even] = [path for path in result.manifest if "odd=0" in path]
    assert pq.read_table(io.BytesIO(objects.read(even))).to_pylist() == [{"n": 2, "s": "b"}]


def test_unload_takes_a_with_query_and_keeps_its_order_in_one_file(
    execute: Execute, objects: ObjectStore, lake: str
) -> None:
    query = "with t as (select * from unnest(array[2, 3, 1]) u(x)) select x from t order by x desc"
    [path] = execute(f"UNLOAD (\n\t{query}\n)\nTO '{lake}u/'\nWITH (\n\tformat = 'PARQUET')").manifest
    assert pq.read_table(io.BytesIO(objects.read(path))).to_pylist() == [{"x": 3}, {"x": 2}, {"x": 1}]


def test_unload_without_rows_writes_nothing(execute: Execute, objects: ObjectStore, lake: str) -> None:
    result = execute(f"unload (select 1 a where false) to '{lake}u/' with (format = 'PARQUET')")
    assert (result.update_count, result.manifest, list(objects.list(f"{lake}u/"))) == (0, [], [])


def test_unload_to_a_place_with_files_is_refused(execute: Execute, objects: ObjectStore, lake: str) -> None:
    objects.write(f"{lake}u/old", b"x")
    message = refusal(execute, f"unload (select 1 a) to '{lake}u' with (format = 'PARQUET')")
    assert message == (
        f"HIVE_PATH_ALREADY_EXISTS: Target directory for table 'unload' already exists: {lake}u/"
    )
    assert [item.path for item in objects.list(f"{lake}u/")] == [f"{lake}u/old"]


_INVALID = "INVALID_TABLE_PROPERTY: line 1:1: "


@pytest.mark.parametrize(
    ("query", "properties", "message"),
    [
        (
            "select 1 a",
            "format = 'ORC'",
            "NOT_SUPPORTED: ORC files cannot be written by this server; use format = 'PARQUET'",
        ),
        (
            "select 1 a",
            "format = 'AVRO'",
            "NOT_SUPPORTED: AVRO files cannot be written by this server; use format = 'PARQUET' or 'JSON' here",
        ),
        (
            "select 1 a",
            "format = 'CSV'",
            _INVALID
            + "Unable to set catalog 'awsdatacatalog' unload property 'format' to ['CSV']: Invalid value [CSV]."
            " Valid values: [PARQUET, ORC, AVRO, JSON, TEXTFILE]",
        ),
        ("select 1 a", "compression = 'GZIP'", _INVALID + "Property 'format' must be specified"),
        (
            "select 1 a",
            "format = 'PARQUET', compression = 'LZO'",
            _INVALID + "Compression LZO is not supported",
        ),
        (
            "select 1 a",
            "format = 'PARQUET', colour = 'red'",
            _INVALID + "Catalog 'awsdatacatalog' unload property 'colour' does not exist",
        ),
        (
            "select 1 a",
            "format = 1",
            _INVALID
            + "Invalid value for catalog 'awsdatacatalog' unload property 'format': Cannot convert [1] to varchar",
        ),
        (
            "select 1 a",
            "format = 'TEXTFILE', field_delimiter = '||'",
            _INVALID + "Property 'field_delimiter' must be a single character",
        ),
        (
            "select 1 a",
            "format = 'PARQUET', compression_level = 5",
            _INVALID + "Property 'compression_level' applies to ZSTD alone",
        ),
        (
            "select 1",
            "format = 'PARQUET'",
            "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1",
        ),
        (
            "select 1 a, 2 a",
            "format = 'PARQUET'",
            "DUPLICATE_COLUMN_NAME: line 1:1: Column name 'a' specified more than once",
        ),
        ("select time '10:00' a", "format = 'PARQUET'", "NOT_SUPPORTED: Unsupported Hive type: time"),
        (
            "select 1 a, 2 b",
            "format = 'PARQUET', partitioned_by = array['a']",
            "HIVE_COLUMN_ORDER_MISMATCH: Partition keys must be the last columns",
        ),
        (
            "select 1 a, 2 b",
            "format = 'PARQUET', partitioned_by = array['c']",
            _INVALID + "Partition columns [c] not present in schema",
        ),
        (
            "select x a, x b from unnest(sequence(1, 101)) t(x)",
            "format = 'PARQUET', partitioned_by = array['b']",
            "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions/buckets",
        ),
        ("select 1 / 0 a", "format = 'PARQUET'", "DIVISION_BY_ZERO: Division by zero"),
    ],
)
def test_unload_mistake_is_refused_and_leaves_nothing(
    execute: Execute, objects: ObjectStore, lake: str, query: str, properties: str, message: str
) -> None:
    assert refusal(execute, f"unload ({query}) to '{lake}u/' with ({properties})").startswith(message)
    assert list(objects.list(f"{lake}u/")) == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("unload select 1", "SYNTAX_ERROR: line 1:8: mismatched input 'select'. Expecting: '('"),
        (
            "unload (select 1 to 's3://b/'",
            "SYNTAX_ERROR: line 1:30: mismatched input '<EOF>'. Expecting: ')'",
        ),
        (
            "unload (select 1) with (format = 'JSON')",
            "SYNTAX_ERROR: line 1:19: mismatched input 'with'. Expecting: 'TO'",
        ),
        ("unload (select 1) to b", "SYNTAX_ERROR: line 1:22: mismatched input 'b'. Expecting: <string>"),
        (
            "unload (drop table t) to 's3://b/'",
            "SYNTAX_ERROR: line 1:9: mismatched input 'drop'. Expecting: <query>",
        ),
        (
            "unload (select 1 a) to '/etc' with (format = 'JSON')",
            "INVALID_TABLE_PROPERTY: Not an S3 location: /etc",
        ),
    ],
)
def test_unload_that_does_not_parse_is_refused_with_its_place(
    execute: Execute, sql: str, message: str
) -> None:
    assert refusal(execute, sql).startswith(message)


def test_unload_that_is_stopped_leaves_nothing(
    execute: Execute, objects: ObjectStore, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(store: ObjectStore, source: Any, path: str, **_: Any) -> None:
        store.write(path, source.read_bytes())
        raise QueryCancelledError

    monkeypatch.setattr(ObjectStore, "upload", stopped)
    with pytest.raises(QueryCancelledError):
        execute(f"unload (select 1 a) to '{lake}u/' with (format = 'PARQUET')")
    assert list(objects.list(f"{lake}u/")) == []


def test_unload_tells_its_manifest_and_kind(server: Any, s3: Any, lake: str) -> None:
    execution = server.wait(
        server.start(f"unload (select 1 as a union all select 2) to '{lake}u/' with (format = 'PARQUET')")
    )
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "UNLOAD")
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == server.output_location + execution["QueryExecutionId"]
    manifest = execution["Statistics"]["DataManifestLocation"]
    assert manifest == f"{location}-manifest.csv"
    bucket, key = manifest[5:].split("/", 1)
    paths = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().split()
    assert all(path.startswith(f"{lake}u/") for path in paths)
    answer = server.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert answer["UpdateCount"] == 2
    assert [column["Name"] for column in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == ["rows"]


def test_failed_writes_tell_where_athena_s_files_would_be(server: Any, database: str, lake: str) -> None:
    def reason(sql: str) -> tuple[str, str]:
        execution = server.wait(server.start(sql, database))
        status = execution["Status"]
        assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
        return status["StateChangeReason"], execution["QueryExecutionId"]

    text, query_id = reason(f"create table t with (external_location = '{lake}t/') as select 1 / 0 a")
    assert text == (
        "DIVISION_BY_ZERO: Division by zero. You may need to manually clean the data at location"
        f" '{server.output_location}tables/{query_id}' before retrying. Athena will not delete data in your account."
    )
    text, query_id = reason("insert into nope values (1)")
    assert text == (
        f"TABLE_NOT_FOUND: line 1:13: Table 'awsdatacatalog.{database}.nope' does not exist. If a data manifest file was"
        f" generated at '{server.output_location}{query_id}-manifest.csv', you may need to manually clean the data from"
        " locations specified in the manifest. Athena will not delete data in your account."
    )
    assert reason("select 1 / 0")[0] == "DIVISION_BY_ZERO: Division by zero"
