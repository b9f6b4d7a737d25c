"""Mixins that keep a test class to one kind of table."""

from __future__ import annotations

import pytest


class OnlyHive:
    """Hive tables only; also for what does not depend on the kind of table."""

    @pytest.fixture(scope="class")
    def table_type(self) -> str:
        return "hive"


class OnlyIceberg:
    """Iceberg tables only: what MERGE, UPDATE and DELETE do."""

    @pytest.fixture(scope="class")
    def table_type(self) -> str:
        return "iceberg"
