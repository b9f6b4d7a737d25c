"""dbt's macros that work across databases, as dbt-athena writes them for Athena.

Left out, because the SQL of dbt's base classes is another database's and Athena refuses it too: date, date_spine,
get_intervals_between and datediff (casts by `::`, to_date), null_compare (CREATE TABLE AS of an untyped NULL), escapes by
backslash, type_numeric (of another precision).
"""

from __future__ import annotations

import pytest
from dbt.tests.adapter.utils.data_types.test_type_bigint import BaseTypeBigInt
from dbt.tests.adapter.utils.data_types.test_type_boolean import BaseTypeBoolean
from dbt.tests.adapter.utils.data_types.test_type_float import BaseTypeFloat
from dbt.tests.adapter.utils.data_types.test_type_int import BaseTypeInt
from dbt.tests.adapter.utils.data_types.test_type_string import BaseTypeString
from dbt.tests.adapter.utils.data_types.test_type_timestamp import BaseTypeTimestamp
from dbt.tests.adapter.utils.fixture_split_part import (
    models__test_split_part_sql,
    models__test_split_part_yml,
)
from dbt.tests.adapter.utils.test_any_value import BaseAnyValue
from dbt.tests.adapter.utils.test_array_append import BaseArrayAppend
from dbt.tests.adapter.utils.test_array_construct import BaseArrayConstruct
from dbt.tests.adapter.utils.test_bool_or import BaseBoolOr
from dbt.tests.adapter.utils.test_cast import BaseCast
from dbt.tests.adapter.utils.test_cast_bool_to_text import BaseCastBoolToText
from dbt.tests.adapter.utils.test_concat import BaseConcat
from dbt.tests.adapter.utils.test_current_timestamp import BaseCurrentTimestampNaive
from dbt.tests.adapter.utils.test_date_trunc import BaseDateTrunc
from dbt.tests.adapter.utils.test_dateadd import BaseDateAdd
from dbt.tests.adapter.utils.test_equals import BaseEquals
from dbt.tests.adapter.utils.test_escape_single_quotes import BaseEscapeSingleQuotesQuote
from dbt.tests.adapter.utils.test_except import BaseExcept
from dbt.tests.adapter.utils.test_generate_series import BaseGenerateSeries
from dbt.tests.adapter.utils.test_get_powers_of_two import BaseGetPowersOfTwo
from dbt.tests.adapter.utils.test_hash import BaseHash
from dbt.tests.adapter.utils.test_intersect import BaseIntersect
from dbt.tests.adapter.utils.test_last_day import BaseLastDay
from dbt.tests.adapter.utils.test_length import BaseLength
from dbt.tests.adapter.utils.test_listagg import BaseListagg
from dbt.tests.adapter.utils.test_position import BasePosition
from dbt.tests.adapter.utils.test_replace import BaseReplace
from dbt.tests.adapter.utils.test_right import BaseRight
from dbt.tests.adapter.utils.test_safe_cast import BaseSafeCast
from dbt.tests.adapter.utils.test_split_part import BaseSplitPart
from dbt.tests.adapter.utils.test_string_literal import BaseStringLiteral

from .kinds import OnlyHive


class TestAnyValue(OnlyHive, BaseAnyValue):
    pass


class TestArrayAppend(OnlyHive, BaseArrayAppend):
    pass


class TestArrayConstruct(OnlyHive, BaseArrayConstruct):
    pass


class TestBoolOr(OnlyHive, BaseBoolOr):
    pass


class TestCast(OnlyHive, BaseCast):
    pass


class TestCastBoolToText(OnlyHive, BaseCastBoolToText):
    pass


class TestConcat(OnlyHive, BaseConcat):
    pass


class TestCurrentTimestampNaive(OnlyHive, BaseCurrentTimestampNaive):
    pass


class TestDateTrunc(OnlyHive, BaseDateTrunc):
    pass


class TestDateAdd(OnlyHive, BaseDateAdd):
    pass


class TestEquals(OnlyHive, BaseEquals):
    pass


class TestEscapeSingleQuotesQuote(OnlyHive, BaseEscapeSingleQuotesQuote):
    pass


class TestExcept(OnlyHive, BaseExcept):
    pass


class TestGenerateSeries(OnlyHive, BaseGenerateSeries):
    pass


class TestGetPowersOfTwo(OnlyHive, BaseGetPowersOfTwo):
    pass


class TestHash(OnlyHive, BaseHash):
    pass


class TestIntersect(OnlyHive, BaseIntersect):
    pass


class TestLastDay(OnlyHive, BaseLastDay):
    pass


class TestLength(OnlyHive, BaseLength):
    pass


class TestListagg(OnlyHive, BaseListagg):
    pass


class TestPosition(OnlyHive, BasePosition):
    pass


class TestReplace(OnlyHive, BaseReplace):
    pass


class TestRight(OnlyHive, BaseRight):
    pass


class TestSafeCast(OnlyHive, BaseSafeCast):
    pass


class TestSplitPart(OnlyHive, BaseSplitPart):
    """Without dbt's part -1, counted from the end: Trino refuses it."""

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        last = models__test_split_part_sql.rindex("union all")
        return {
            "test_split_part.yml": models__test_split_part_yml,
            "test_split_part.sql": self.interpolate_macro_namespace(
                models__test_split_part_sql[:last], "split_part"
            ),
        }


class TestStringLiteral(OnlyHive, BaseStringLiteral):
    pass


class TestTypeBigInt(OnlyHive, BaseTypeBigInt):
    pass


class TestTypeBoolean(OnlyHive, BaseTypeBoolean):
    pass


class TestTypeFloat(OnlyHive, BaseTypeFloat):
    pass


class TestTypeInt(OnlyHive, BaseTypeInt):
    pass


class TestTypeString(OnlyHive, BaseTypeString):
    pass


class TestTypeTimestamp(OnlyHive, BaseTypeTimestamp):
    pass
