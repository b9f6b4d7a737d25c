"""Array, map, lambda, JSON and conditional functions: NULL elements, negative indexes and errors as Trino has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.python.athena_local.rendered import check, check_errors, types

from athena_local.errors import QueryError
from athena_local.sql.functions import CATEGORIES, FUNCTIONS, UNSUPPORTED

Execute = Callable[..., Any]


def test_array_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "array_distinct(array[1, null, 1, 2, null])": "[1, null, 2]",
            "array_intersect(array[1, 2, null], array[2, null, 3])": "[2, null]",
            "array_union(array[1, 2], array[2, 3])": "[1, 2, 3]",
            "array_except(array[1, 2, 2, 3], array[3])": "[1, 2]",
            "array_join(array[1, null, 2], ',')": "1,2",
            "array_join(array['a', null], ',', 'x')": "a,x",
            "array_max(array[1, 3, 2])": "3",
            "array_min(array[1, null])": None,
            "array_position(array[5, 6], 6)": "2",
            "array_position(array[5, 6], 7)": "0",
            "array_remove(array[1, 2, 1], 1)": "[2]",
            "array_sort(array[3, null, 1])": "[1, 3, null]",
            "array_sort(array[3, 2, null, 5, 1], (x, y) -> case when x is null then -1 when y is null then 1"
            " when x < y then 1 when x = y then 0 else -1 end)": "[null, 5, 3, 2, 1]",
            "array_sort(array['bb', 'a', 'cc'], (x, y) -> cast(length(x) - length(y) as integer))": "[a, bb, cc]",
            "arrays_overlap(array[1, 2], array[2])": "true",
            "arrays_overlap(array[1, null], array[2])": None,
            "cardinality(array[1, 2])": "2",
            "contains(array[1, null], 2)": None,
            "contains(array[1, 2], 3)": "false",
            "contains_sequence(array[1, 2, 3], array[2, 3])": "true",
            "element_at(array[1, 2], -1)": "2",
            "element_at(array[1, 2], 5)": None,
            "flatten(array[array[1], array[2, 3]])": "[1, 2, 3]",
            "ngrams(array['a', 'b', 'c'], 2)": "[[a, b], [b, c]]",
            "repeat('x', 3)": "[x, x, x]",
            "reverse(array[1, 2])": "[2, 1]",
            "sequence(1, 5)": "[1, 2, 3, 4, 5]",
            "sequence(3, 1)": "[3, 2, 1]",
            "sequence(1, 9, 3)": "[1, 4, 7]",
            "sequence(date '2020-01-30', date '2020-02-01')": "[2020-01-30, 2020-01-31, 2020-02-01]",
            "sequence(date '2020-01-01', date '2020-03-01', interval '1' month)": (
                "[2020-01-01, 2020-02-01, 2020-03-01]"
            ),
            "slice(array[1, 2, 3, 4], -3, 2)": "[2, 3]",
            "slice(array[1, 2], 2, 5)": "[2]",
            "trim_array(array[1, 2, 3], 1)": "[1, 2]",
            "zip(array[1, 2], array['a'])": "[{field0=1, field1=a}, {field0=2, field1=null}]",
            "concat(array[1], array[2], array[3])": "[1, 2, 3]",
            "array[1, 2][2]": "2",
            "cast(row(1, 'a') as row(x integer, y varchar)).y": "a",
            "row(1, 'a')[2]": "a",
            "row('Alice', null, 'x')": "{field0=Alice, field1=null, field2=x}",
        },
    )


def test_lambdas_see_what_is_around_them(execute: Execute) -> None:
    check(
        execute,
        {
            "transform(array[1, 2], x -> x * 2)": "[2, 4]",
            "transform(array[1, 2], x -> transform(array[10, 20], y -> x + y + n))": "[[16, 26], [17, 27]]",
            "filter(array[1, 2, 3], x -> x > 1)": "[2, 3]",
            "any_match(array[1, null], x -> x > 5)": None,
            "any_match(array[1, null], x -> x > 0)": "true",
            "all_match(array[1, 2], x -> x > 0)": "true",
            "none_match(array[1, 2], x -> x > 5)": "true",
            "reduce(array[5, 20, null, 50], 0, (s, x) -> s + coalesce(x, 0), s -> s)": "75",
            "reduce(array[2147483647, 1], bigint '0', (s, x) -> s + x, s -> s)": "2147483648",
            "reduce(array[1, 2], 'a', (s, x) -> s || cast(x as varchar), s -> upper(s))": "A12",
            "reduce(array[5, 20, 50], cast(row(0.0, 0) as row(sum double, count integer)),"
            " (s, x) -> cast(row(x + s.sum, s.count + 1) as row(sum double, count integer)),"
            " s -> if(s.count = 0, null, s.sum / s.count))": "25.0",
            "zip_with(array[1, 3], array[2, 4], (x, y) -> x * y)": "[2, 12]",
            "zip_with(array[1], array[2], (x, y) -> zip_with(array[10], array[20], (a, b) -> a + b + x + y))": (
                "[[33]]"
            ),
            "map_filter(map(array['a', 'b'], array[1, 2]), (k, v) -> v > 1)": "{b=2}",
            "transform_values(map(array['a'], array[1]), (k, v) -> k || cast(v as varchar))": "{a=a1}",
            "transform_keys(map(array['a'], array[1]), (k, v) -> v)": "{1=1}",
            "map_zip_with(map(array[1, 2], array['a', 'b']), map(array[1, 3], array['c', 'd']),"
            " (k, x, y) -> concat(coalesce(x, '-'), coalesce(y, '-')))": "{1=ac, 2=b-, 3=-d}",
        },
        "from (values 5) t(n)",
    )


def test_map_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "map(array['a', 'b'], array[1, 2])['b']": "2",
            "element_at(map(array['a'], array[1]), 'z')": None,
            "map_keys(map(array['a', 'b'], array[1, 2]))": "[a, b]",
            "map_values(map(array['a'], array[1]))": "[1]",
            "map_entries(map(array[1], array['x']))": "[{field0=1, field1=x}]",
            "map_from_entries(array[row(1, 'x')])": "{1=x}",
            "multimap_from_entries(array[row(1, 'x'), row(2, 'y'), row(1, 'z')])": "{1=[x, z], 2=[y]}",
            "map_concat(map(array[1], array[2]), map(array[1], array[3]))": "{1=3}",
            "cardinality(map())": "0",
        },
    )


def test_json_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            """json_extract('{"a": {"b": [1, 2]}}', '$.a.b[1]')""": "2",
            """json_extract('{"a": {"b": 1}}', '$.a')""": '{"b":1}',
            """json_extract_scalar('{"a": "x"}', '$.a')""": "x",
            """json_extract_scalar('{"a b": true}', '$["a b"]')""": "true",
            """json_extract_scalar('{"a": [1]}', '$.a')""": None,
            """json_extract_scalar('no json', '$.a')""": None,
            """json_array_length('[1, 2, 3]')""": "3",
            """json_array_get('["a", [3]]', -1)""": "[3]",
            """json_array_contains('[1, 2, 3]', 2)""": "true",
            """json_size('{"x": {"a": 1, "b": 2}}', '$.x')""": "2",
            """json_parse('{"b": 1, "a": [1.0, null]}')""": '{"a":[1.0,null],"b":1}',
            """json_format(json '[1, 2]')""": "[1,2]",
            """is_json_scalar('1')""": "true",
            "cast('abc' as json)": '"abc"',
            "cast(array[1, null] as json)": "[1,null]",
            "cast(map(array['a'], array[1]) as json)": '{"a":1}',
            "cast(cast(row(1, 'x') as row(a integer, b varchar)) as json)": '{"a":1,"b":"x"}',
            "cast(date '2020-01-01' as json)": '"2020-01-01"',
            "cast(json '[1, null]' as array(integer))": "[1, null]",
            """cast(json '{"a": 1}' as map(varchar, bigint))""": "{a=1}",
            """cast(json '{"v1": 123, "v2": "abc"}' as row(v1 bigint, v2 varchar))""": "{v1=123, v2=abc}",
            """cast(json '[123, "abc"]' as row(v1 bigint, v2 varchar))""": "{v1=123, v2=abc}",
            """cast(json '"x"' as varchar)""": "x",
            "cast(json 'null' as varchar)": None,
            "cast(json '12' as integer)": "12",
            "cast(json 'true' as bigint)": "1",
        },
    )


def test_conditional_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "try(1 / 0)": None,
            "try(cast('x' as integer))": None,
            "try(array[1][5])": None,
            "try_cast('x' as integer)": None,
            "try_cast('2020-02-30' as date)": None,
            "coalesce(null, 1)": "1",
            "nullif(1, 1)": None,
            "greatest(1, 2.5e0)": "2.5",
            "greatest(1, null)": None,
            "least('b', 'a')": "a",
            "if(false, 1)": None,
            "case 2 when 1 then 'a' when 2 then 'b' end": "b",
        },
    )


def test_collections_are_refused_as_by_trino(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "array[1, 2][0]": "INVALID_FUNCTION_ARGUMENT: SQL array indices start at 1",
            "array[1, 2][-1]": "INVALID_FUNCTION_ARGUMENT: Array subscript is negative: -1",
            "array[1, 2][3]": "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length: 3 > 2",
            "element_at(array[1], 0)": "INVALID_FUNCTION_ARGUMENT: SQL array indices start at 1",
            "map(array['a'], array[1])['b']": "INVALID_FUNCTION_ARGUMENT: Key not present in map: b",
            "map(array[1, 1], array[2, 3])": "INVALID_FUNCTION_ARGUMENT: Duplicate map keys",
            "map(array[1], array[2, 3])": "INVALID_FUNCTION_ARGUMENT: Key and value arrays must be the same length",
            "sequence(1, 10001)": "INVALID_FUNCTION_ARGUMENT: result of sequence function must not have more than 10000",
            "slice(array[1], 0, 1)": "INVALID_FUNCTION_ARGUMENT: SQL array indices start at 1",
            "json_parse('oops')": "INVALID_FUNCTION_ARGUMENT: Cannot convert value to JSON: 'oops'",
            "json_extract('{}', '$..a')": "INVALID_FUNCTION_ARGUMENT: line 1:27: Invalid JSON path: '$..a'",
            "transform(array[1], (x, y) -> x)": "TYPE_MISMATCH: line 1:29: Expected a lambda that takes 1 argument(s)",
            "filter(array[1], x -> 'a')": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (array(integer), <function>)",
            "array_max(1)": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer) for function array_max."
            " Expected: array_max(array(T)) T:orderable",
        },
    )


def test_containers_have_trinos_types(execute: Execute) -> None:
    expected = {
        "array[1, 2.5e0]": "array(double)",
        "map(array['a'], array[1])": "map(varchar(1), integer)",
        "map_entries(map(array['a'], array[1]))": "array(row(varchar(1), integer))",
        "transform(array[1], x -> cast(x as varchar))": "array(varchar)",
        "row(1, 'ab')": "row(integer, varchar(2))",
        "cast(row(1) as row(a bigint)).a": "bigint",
        "histogram('a')": "map(varchar(1), bigint)",
        "json_parse('1')": "json",
        "zip(array[1], array['a'])": "array(row(integer, varchar(1)))",
        "typeof(array[decimal '1.5'])": "varchar(19)",
    }
    assert types(execute, list(expected)) == expected


@pytest.mark.parametrize(
    "name", ["nvl", "ifnull", "len", "getdate", "datediff", "dateadd", "list_sort", "to_json", "epoch"]
)
def test_function_of_another_dialect_does_not_exist(execute: Execute, name: str) -> None:
    with pytest.raises(QueryError) as caught:
        execute(f"select {name}('a', 1)")
    assert str(caught.value) == f"FUNCTION_NOT_FOUND: line 1:8: Function '{name}' not registered"


@pytest.mark.parametrize("name", ["approx_set", "st_point", "word_stem", "qdigest_agg", "merge"])
def test_function_athena_has_and_this_server_has_not_is_named(execute: Execute, name: str) -> None:
    with pytest.raises(QueryError) as caught:
        execute(f"select {name}('a')")
    assert str(caught.value) == f"NOT_SUPPORTED: line 1:8: Function '{name}' is not supported by this server"


def test_every_signature_reads_and_no_name_is_told_twice() -> None:
    assert not FUNCTIONS.keys() & UNSUPPORTED.keys()
    assert sum(map(len, CATEGORIES.values())) == len(FUNCTIONS)
    for function in FUNCTIONS.values():
        assert function.expected().count(f"{function.name}(") >= len(function.overloads)
