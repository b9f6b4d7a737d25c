"""The local stack for every test that needs it: started once a worker, on first use, and stopped at the end.

Its folder has a space in its name, because a user's may. Tests share the stack, so each uses keys, databases and tables of
its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from penstock.connections import Connections
from penstock.local.stack import LocalStack

# A run begun in a shell's background is told to ignore Ctrl-C, and so would be every sync that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a run says something about the change and not about its luck; new ones with
# PENSTOCK_EXPLORE=1, which is how a failure not met before is looked for. Nor about how busy the machine is: no example
# has a time to be done in, and drawing one may take long.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("untimed"), derandomize=True, database=None)
settings.register_profile("explore", settings.get_profile("untimed"), print_blob=True)
settings.load_profile("explore" if os.environ.get("PENSTOCK_EXPLORE") else "repeatable")

# Files that take half a minute or more, longest first: begun before all others, so that workers end at about the same time.
LONGEST = (
    "penstock/sync/test_sync_matrix.py",
    "athena_local/dbt_adapter/test_basic.py",
    "athena_local/strength/test_strength_memory.py",
    "athena_local/dbt_adapter/test_macros.py",
    "athena_local/dbt_adapter/test_incremental.py",
    "penstock/test_models_on_stack.py",
    "penstock/sales/test_sales_flow.py",
    "penstock/main_job/test_main_job_tasks.py",
    "penstock/main_job/test_main_job_killed.py",
    "penstock/main_job/test_main_job_lake.py",
    "penstock/main_job/test_main_job_changes.py",
    "penstock/main_job/test_verify.py",
    "penstock/sync/test_sync_properties.py",
    "athena_local/dbt_adapter/test_snapshots.py",
    "penstock/test_bench.py",
    "penstock/sync/test_sync_runs.py",
    "penstock/sync/test_sync_faults.py",
    "penstock/sync/test_sync_shards.py",
    "athena_local/dbt_adapter/test_contracts.py",
    "athena_local/strength/test_strength_load.py",
    "athena_local/strength/test_strength_kill.py",
    "athena_local/test_fuzz.py",
    "penstock/sync/test_sync_expressions.py",
    "penstock/sync/test_sync_delta.py",
    "penstock/test_local_stack.py",
    "penstock/branches/test_neon_branches.py",
    "penstock/branches/test_local_branches.py",
    "penstock/sync/test_sync_postgres.py",
    "penstock/sync/test_sync_pool.py",
    "penstock/sync/test_notify_runs.py",
    "athena_local/test_iceberg_changes.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the longest files; in one process the order stays."""
    if not hasattr(config, "workerinput"):
        return
    here = Path(__file__).parent
    rank = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    """The stack of this session, nothing of it started yet."""
    # not pytest's own folder: that is 0700, and PostgreSQL of a test run by root could not reach it
    parent = Path(tempfile.mkdtemp(prefix="penstock tests "))
    parent.chmod(0o711)
    stack = LocalStack(parent / "the state")
    yield stack
    try:
        stack.reset()
    finally:
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(local_stack: LocalStack) -> Connections:
    """The whole stack: S3, Athena, Glue, Postgres."""
    return local_stack.up()


@pytest.fixture(scope="session")
def stack_without_athena(local_stack: LocalStack) -> Connections:
    """S3 and Postgres alone: for what never asks Athena or Glue. The same servers and addresses as `stack`."""
    return local_stack.up(parts=("ministack", "postgres"))
