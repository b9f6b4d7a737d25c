"""Views, tables, seeds, ephemeral models and tests, as dbt's own suites ask of every adapter."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.basic.test_base import BaseSimpleMaterializations
from dbt.tests.adapter.basic.test_empty import BaseEmpty
from dbt.tests.adapter.basic.test_ephemeral import BaseEphemeral
from dbt.tests.adapter.basic.test_generic_tests import BaseGenericTests
from dbt.tests.adapter.basic.test_incremental import BaseIncremental
from dbt.tests.adapter.basic.test_singular_tests import BaseSingularTests
from dbt.tests.adapter.basic.test_singular_tests_ephemeral import BaseSingularTestsEphemeral
from dbt.tests.adapter.basic.test_table_materialization import BaseTableMaterialization
from dbt.tests.adapter.caching.test_caching import BaseCachingLowercaseModel, BaseCachingSelectedSchemaOnly
from dbt.tests.adapter.concurrency.test_concurrency import BaseConcurrency
from dbt.tests.adapter.dbt_show.test_dbt_show import BaseShowLimit, BaseShowSqlHeader
from dbt.tests.adapter.empty.test_empty import BaseTestEmpty
from dbt.tests.adapter.relations.test_changing_relation_type import BaseChangeRelationTypeValidator
from dbt.tests.adapter.relations.test_dropping_schema_named import BaseDropSchemaNamed
from dbt.tests.adapter.simple_seed.test_seed import (
    BaseSeedSpecificFormats,
    BaseSimpleSeedEnabledViaConfig,
    BaseTestEmptySeed,
)
from dbt.tests.adapter.store_test_failures_tests.test_store_test_failures import BaseStoreTestFailures
from dbt.tests.adapter.utils.test_validate_sql import BaseValidateSqlMethod

from .kinds import OnlyHive

# A timestamp of a seed has three digits, and Athena's Iceberg tables take six only.
SIX_DIGITS = {"seeds": {"+column_types": {"some_date": "varchar"}}}


class TestSimpleMaterializations(BaseSimpleMaterializations):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"name": "base", **SIX_DIGITS}


class TestIncremental(BaseIncremental):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"name": "incremental", **SIX_DIGITS}


class TestTableMaterialization(BaseTableMaterialization):
    pass


class TestChangeRelationTypes(BaseChangeRelationTypeValidator):
    pass


class TestLimitOfNoRows(BaseTestEmpty):
    pass


class TestConcurrency(OnlyHive, BaseConcurrency):
    pass


class TestSingularTests(OnlyHive, BaseSingularTests):
    pass


class TestSingularTestsEphemeral(OnlyHive, BaseSingularTestsEphemeral):
    pass


class TestEmptyProject(OnlyHive, BaseEmpty):
    pass


class TestEphemeral(OnlyHive, BaseEphemeral):
    pass


class TestGenericTests(OnlyHive, BaseGenericTests):
    pass


class TestCachingLowercaseModel(OnlyHive, BaseCachingLowercaseModel):
    pass


class TestCachingSelectedSchemaOnly(OnlyHive, BaseCachingSelectedSchemaOnly):
    pass


class TestShowLimit(OnlyHive, BaseShowLimit):
    pass


class TestShowSqlHeader(OnlyHive, BaseShowSqlHeader):
    pass


class TestDropSchemaNamed(OnlyHive, BaseDropSchemaNamed):
    pass


class TestStoreTestFailures(OnlyHive, BaseStoreTestFailures):
    pass


class TestValidateSql(OnlyHive, BaseValidateSqlMethod):
    pass


class TestSeedsEnabledByConfig(OnlyHive, BaseSimpleSeedEnabledViaConfig):
    pass


class TestSeedsOfOddFormats(OnlyHive, BaseSeedSpecificFormats):
    pass


class TestSeedWithoutRows(OnlyHive, BaseTestEmptySeed):
    pass
