"""Mathematical and bitwise functions, decimals, aggregates and windows: values of Trino's documentation or by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.python.athena_local.rendered import check, check_errors, types

Execute = Callable[..., Any]
Rows = Callable[..., list[tuple[Any, ...]]]


def test_mathematical_functions_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "abs(-5)": "5",
            "abs(decimal '-1.5')": "1.5",
            "cbrt(27)": "3.0",
            "ceil(1.2e0)": "2.0",
            "ceil(decimal '1.25')": "2",
            "floor(-1.2e0)": "-2.0",
            "round(2.5e0)": "3.0",
            "round(-2.5e0)": "-3.0",
            "round(123.456e0, 2)": "123.46",
            "round(decimal '123.456', 1)": "123.500",
            "round(127, -1)": "130",
            "truncate(-1.9e0)": "-1.0",
            "truncate(decimal '123.456', 1)": "123.400",
            "sign(-5)": "-1",
            "mod(-5, 3)": "-2",
            "log(2, 64)": "6.0",
            "power(2, 10)": "1024.0",
            "ln(0)": "-Infinity",
            "sqrt(-1)": "NaN",
            "is_nan(nan())": "true",
            "is_finite(infinity())": "false",
            "width_bucket(3.14e0, 0, 4, 3)": "3",
            "width_bucket(3.14e0, array[0e0, 2e0, 4e0])": "2",
            "to_base(255, 16)": "ff",
            "from_base('ff', 16)": "255",
            "bit_count(9, 64)": "2",
            "bit_count(-7, 64)": "62",
            "bitwise_and(19, 25)": "17",
            "bitwise_or(19, 25)": "27",
            "bitwise_xor(19, 25)": "10",
            "bitwise_not(-12)": "11",
            "bitwise_left_shift(1, 2)": "4",
            "bitwise_left_shift(tinyint '127', 1)": "-2",
            "bitwise_right_shift(-45, 2)": "1073741812",
            "bitwise_right_shift_arithmetic(-8, 1)": "-4",
            "beta_cdf(3, 4, 0.3e0) between 0.25568 and 0.25570": "true",
            "round(normal_cdf(0, 1, 1.96e0), 6)": "0.975002",
            "inverse_normal_cdf(0, 1, 0.5e0)": "0.0",
            "round(inverse_beta_cdf(3, 3.6e0, 0.95e0), 4)": "0.76",
            "round(wilson_interval_lower(1250, 1310, 1.96e0), 6)": "0.941488",
            "cosine_similarity(map(array['a'], array[1e0]), map(array['a'], array[2e0]))": "1.0",
            "-9223372036854775808": "-9223372036854775808",
            "cast(127 as tinyint) + 1": "128",
            "5 / 2": "2",
            "-5 % 3": "-2",
            "1 / 0e0": "Infinity",
        },
    )


def test_decimals_are_exact_and_have_trinos_types(execute: Execute) -> None:
    check(
        execute,
        {
            "decimal '10.00' / 3": "3.33",
            "decimal '-2' / 3": "-1",
            "decimal '1' / decimal '3.000'": "0.333",
            "decimal '1.1' * decimal '2.22'": "2.442",
            "decimal '7.5' % decimal '2'": "1.5",
            "decimal '12345678901234567890.12' + decimal '0.999'": "12345678901234567891.119",
            "decimal '99999999999999999999999999999999999999' - decimal '1'": "99999999999999999999999999999999999998",
            "decimal '12345678901234567890' * decimal '1000000000000000'": "12345678901234567890000000000000000",
            "decimal '12345678901234567890123456789012345678' / decimal '3'": "4115226300411522630041152263004115226",
        },
    )
    expected = {
        "cast(1 as decimal(10,2)) + cast(1 as decimal(5,4))": "decimal(13,4)",
        "cast(1 as decimal(10,2)) * cast(1 as decimal(5,4))": "decimal(15,6)",
        "cast(1 as decimal(10,2)) / cast(1 as decimal(5,4))": "decimal(16,4)",
        "cast(1 as decimal(10,2)) % cast(1 as decimal(5,4))": "decimal(5,4)",
        "cast(1 as decimal(10,2)) + 1": "decimal(13,2)",
        "cast(1 as decimal(38,2)) + 1": "decimal(38,2)",
        "cast(1 as decimal(10,2)) + 1e0": "double",
        "sum(cast(1 as decimal(10,2)))": "decimal(38,2)",
        "avg(cast(1 as decimal(10,2)))": "decimal(10,2)",
        "round(cast(1 as decimal(10,2)))": "decimal(9,0)",
    }
    assert types(execute, list(expected)) == expected


def test_overflow_and_division_end_in_trinos_errors(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "2147483647 + 1": "NUMERIC_VALUE_OUT_OF_RANGE: integer addition overflow: 2147483647 + 1",
            "9223372036854775807 + 1": "NUMERIC_VALUE_OUT_OF_RANGE: bigint addition overflow: 9223372036854775807 + 1",
            "tinyint '127' + tinyint '1'": "NUMERIC_VALUE_OUT_OF_RANGE: tinyint addition overflow: 127 + 1",
            "1 / 0": "DIVISION_BY_ZERO: Division by zero",
            "1 % 0": "DIVISION_BY_ZERO: Division by zero",
            "decimal '1' / decimal '0'": "DIVISION_BY_ZERO: Division by zero",
            "decimal '99999999999999999999999999999999999999' + 1": "NUMERIC_VALUE_OUT_OF_RANGE: Decimal overflow",
            "from_base('zz', 10)": "INVALID_FUNCTION_ARGUMENT: Not a valid base-10 number: zz",
            "bit_count(8, 3)": "INVALID_FUNCTION_ARGUMENT: Number must be representable with the bits specified."
            " 8 can not be represented with 3 bits",
            "wilson_interval_lower(2, 1, 1)": "INVALID_FUNCTION_ARGUMENT: number of successes must not be larger than",
            "sqrt('a')": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (varchar(1)) for function sqrt."
            " Expected: sqrt(double)",
        },
    )


def test_average_of_decimals_is_rounded_half_up(execute: Execute) -> None:
    check(
        execute,
        {
            "avg(a)": "39.93",  # of 39.925
            "avg(-a)": "-39.93",
            "avg(a) filter (where a < 39.93)": "39.92",
            "avg(b)": "1.01",  # of 1.005, which no double is
            "avg(c)": "99999999.99",
            "avg(small)": "0.00",
            "avg(a) filter (where a > 40)": None,
            "max(avg(a)) over ()": "39.93",
        },
        "from (values (decimal '39.92', decimal '1.00', decimal '99999999.99', decimal '0.00'),"
        " (decimal '39.93', decimal '1.01', decimal '99999999.98', decimal '0.00')) t(a, b, c, small)",
    )
    # 3831.39 / 6 = 638.565, which the division of a double misses
    prices = ", ".join(["decimal '638.00'"] * 5 + ["decimal '641.39'"])
    check(execute, {"avg(x)": "638.57"}, f"from (values {prices}) t(x)")


def test_aggregates_give_trinos_values(execute: Execute) -> None:
    check(
        execute,
        {
            "count(*)": "5",
            "count(distinct x % 2)": "2",
            "count_if(x > 2)": "3",
            "sum(x)": "19",
            "sum(x) filter (where x > 3)": "13",
            "avg(x)": "3.8",
            "min(x, 2)": "[1, 2]",
            "max(x, 2)": "[9, 4]",
            "max_by(s, x)": "e",
            "min_by(s, x, 2)": "[a, b]",
            "array_agg(s order by x desc)": "[e, d, c, b, a]",
            "array_agg(distinct x % 2 order by x % 2)": "[0, 1]",
            "listagg(s, '-') within group (order by x desc)": "e-d-c-b-a",
            "map_agg(x, s) filter (where x < 3)": "{1=a, 2=b}",
            "multimap_agg(x > 2, s) filter (where x <> 4)": "{false=[a, b], true=[c, e]}",
            "histogram(x % 2)": "{0=2, 1=3}",
            "map_union(map(array['k'], array[1]))": "{k=1}",
            "bool_and(x > 0)": "true",
            "every(x > 1)": "false",
            "bool_or(x > 8)": "true",
            "bitwise_and_agg(x) filter (where x in (3, 9))": "1",
            "bitwise_or_agg(x)": "15",
            "approx_distinct(x)": "5",
            "approx_percentile(x, 0.5)": "3",
            "approx_percentile(x, array[0.2e0, 1e0])": "[1, 9]",
            "approx_percentile(x, if(x = 9, 100e0, 1e0), 0.5e0)": "9",
            "numeric_histogram(2, x)": "{2.5=4.0, 9.0=1.0}",
            "round(stddev(x), 6)": "3.114482",
            "round(variance(x), 6)": "9.7",
            "round(var_pop(x), 6)": "7.76",
            "round(skewness(x), 6)": "1.039189",
            "round(kurtosis(x), 6)": "2.675098",
            "round(geometric_mean(x), 6)": "2.930156",
            "round(corr(cast(x as double), 2e0 * x), 9)": "1.0",
            "regr_slope(2e0 * x + 1, cast(x as double))": "2.0",
            "regr_intercept(2e0 * x + 1, cast(x as double))": "1.0",
        },
        "from (values (1,'a'), (2,'b'), (3,'c'), (4,'d'), (9,'e')) t(x, s)",
    )


def test_checksum_is_trinos_own_sum_of_hashes(rows: Rows) -> None:
    """A NULL counts as 0x9E3779B185EBCA87, in the order of a little-endian word; order of rows does not matter."""
    ((nulls, forward, backward),) = rows(
        "select checksum(cast(null as bigint)), (select checksum(x) from (values 'a', 'b') t(x)),"
        " (select checksum(x) from (values 'b', 'a') t(x))"
    )
    assert nulls.hex() == "87caeb85b179379e"
    assert forward == backward
    assert forward != nulls


def test_an_empty_group_gives_nothing_but_counts(execute: Execute) -> None:
    check(
        execute,
        {
            "count(x)": "0",
            "count_if(x > 1)": "0",
            "sum(x)": None,
            "array_agg(x)": None,
            "map_agg(x, x)": None,
            "approx_distinct(x)": "0",
            "checksum(x)": None,
            "listagg(cast(x as varchar), ',') within group (order by x)": None,
        },
        "from (values 1) t(x) where x > 1",
    )


def test_windows_take_every_frame(rows: Rows) -> None:
    found = rows(
        "select x, row_number() over (order by x desc), lag(n) ignore nulls over w, lead(x, 1, 0) over w,"
        " nth_value(x, 2) over (order by x rows between unbounded preceding and unbounded following),"
        " ntile(2) over w, percent_rank() over w, cume_dist() over w,"
        " sum(x) over (order by d range between interval '1' day preceding and current row),"
        " sum(x) over (order by d groups between 1 preceding and 1 following),"
        " array_agg(x) over (order by d rows 1 preceding), count(*) over (),"
        " sum(x) over (order by x range between 1 preceding and current row)"
        " from (values (1, date '2020-01-01', 5), (2, date '2020-01-02', null), (4, date '2020-01-05', 7)) t(x, d, n)"
        " window w as (order by x) order by x"
    )
    assert found == [
        (1, 3, None, 2, 2, 1, 0.0, 1 / 3, 1, 3, [1], 3, 1),
        (2, 2, 5, 4, 2, 1, 0.5, 2 / 3, 3, 7, [1, 2], 3, 3),
        (4, 1, 5, 0, 2, 2, 1.0, 1.0, 4, 6, [2, 4], 3, 4),
    ]


def test_aggregates_are_refused_as_by_trino(execute: Execute) -> None:
    check_errors(
        execute,
        {
            "sum('a')": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (varchar(1)) for function sum. Expected: ",
            "array_agg(1, 2)": "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer, integer)",
            "count(1) ignore nulls over ()": "NULL_TREATMENT_NOT_ALLOWED",
            "lower(distinct 'a')": "FUNCTION_NOT_AGGREGATE: line 1:8: DISTINCT is not supported for",
        },
    )
