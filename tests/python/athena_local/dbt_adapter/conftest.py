"""dbt's own tests of an adapter, against athena_local: dbt-athena runs in this process, the server is that of the test run.

A test class runs twice, once with Hive tables and once with Iceberg's, unless it says `table_type` itself. What a class
configures in its project stays; the table type is added where it says nothing.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.tests.fixtures.project import (  # noqa: F401 - fixtures are found by their names here
    adapter,
    analyses,
    clean_up_logging,
    dbt_profile_data,
    dependencies,
    dependencies_yml,
    environment,
    functions,
    initialization,
    macros,
    models,
    packages,
    packages_yml,
    profiles_config_update,
    profiles_yml,
    project,
    project_config_update,
    project_files,
    project_setup,
    properties,
    seeds,
    selectors,
    selectors_yml,
    shared_data_dir,
    snapshots,
    test_config,
    test_data_dir,
    tests,
    unique_schema,
)

BUCKET = "athena-local-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # dbt, agate and snowplow warn of their own old ways; what is tested here is the server
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="module", autouse=True)
def clients_reach_the_server(server: Any) -> Iterator[None]:
    """What dbt-athena's boto3 clients read; it has no setting of its own for an address."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL_ATHENA", server.endpoint)
        patch.setenv("AWS_ENDPOINT_URL_GLUE", server.endpoint)
        patch.setenv("AWS_ENDPOINT_URL_LAKEFORMATION", server.endpoint)
        patch.setenv("AWS_ENDPOINT_URL", server.s3_endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        yield


@pytest.fixture(scope="class")
def dbt_profile_target() -> dict[str, Any]:
    return {
        "type": "athena",
        "s3_staging_dir": f"s3://{BUCKET}/dbt/staging/",
        "s3_data_dir": f"s3://{BUCKET}/dbt/tables/",
        "s3_data_naming": "schema_table_unique",
        "region_name": "us-east-2",
        "database": "awsdatacatalog",
        "schema": "overwritten by dbt's own fixture",
        "threads": 2,
        "poll_interval": 0.02,
        "num_retries": 1,
    }


@pytest.fixture(scope="class", params=["hive", "iceberg"])
def table_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="class")
def profile_user() -> str:
    """The owner that dbt's catalogs name; Athena has none."""
    return ""


# One project, one profile and one schema for each kind of table: all that dbt's fixtures make hangs on these three.


@pytest.fixture(scope="class")
def prefix(table_type: str) -> str:
    return f"{table_type}_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="class")
def project_root(tmpdir_factory: Any, table_type: str) -> Any:
    return tmpdir_factory.mktemp(f"{table_type}_project")


@pytest.fixture(scope="class")
def profiles_root(tmpdir_factory: Any, table_type: str) -> Any:
    return tmpdir_factory.mktemp(f"{table_type}_profile")


@pytest.fixture(scope="class")
def dbt_project_yml(project_root: Any, project_config_update: Any, table_type: str) -> dict[str, Any]:  # noqa: F811
    """dbt's own, with the table type for models and snapshots that name none. dbt-athena's seeds are Hive tables always."""
    config: dict[str, Any] = {
        "name": "test",
        "profile": "test",
        "flags": {"send_anonymous_usage_stats": False},
    }
    update = project_config_update or {}
    config.update(yaml.safe_load(update) if isinstance(update, str) else update)
    # dbt-athena's default strategy, insert_overwrite, is one of Hive tables
    strategy = {"+incremental_strategy": "append"} if table_type == "iceberg" else {}
    for resources in ("models", "snapshots"):
        own = strategy if resources == "models" else {}
        config[resources] = {"+table_type": table_type, **own, **config.get(resources, {})}
    Path(project_root, "dbt_project.yml").write_text(yaml.safe_dump(config))
    return config


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("logs"))
        patch.setenv("DBT_LOG_PATH", folder)
        yield folder
