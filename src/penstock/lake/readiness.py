"""What must be there before dbt is asked: a workgroup and a landed table to build from, a database of marts to document.

dbt would say so too, but in the words of the API it happened to call, and without the next step. Anything that cannot be
looked up (permissions, a network that is down) is left for dbt to meet, which names the statement it failed in.
"""

from __future__ import annotations

from typing import Any

from penstock import sources
from penstock.connections import Connections
from penstock.errors import BuildError

_ABSENT = ("EntityNotFoundException", "InvalidRequestException")


def require_landed(connections: Connections) -> None:
    """Raise BuildError with the next step while no source has landed; costs a look-up or two and no query."""
    environment = connections.environment
    group = environment.workgroup
    if not _there(connections.client("athena").get_work_group, WorkGroup=group):
        raise BuildError(f"Nothing has landed yet: there is no workgroup {group}.", hint="invoke seed")
    glue = connections.client("glue")
    tables = [
        (environment.landed_database(name), table.name)
        for name, source in sources.declared().items()
        for table in source.tables
    ]
    if not any(_there(glue.get_table, DatabaseName=database, Name=name) for database, name in tables):
        told = " and no ".join(f"{database}.{name}" for database, name in tables)
        raise BuildError(f"Nothing has landed yet: there is no {told}.", hint="invoke seed")


def require_built(connections: Connections) -> None:
    """Raise BuildError with the next step while nothing has landed or no model has been built."""
    require_landed(connections)
    database = connections.environment.marts_database
    if not _there(connections.client("glue").get_database, Name=database):
        raise BuildError(
            f"No model has been built yet: there is no database {database}.", hint="invoke build"
        )


def _there(look_up: Any, **name: str) -> bool:
    """Return whether a look-up finds what it names; True when it cannot be told."""
    from botocore.exceptions import ClientError

    try:
        look_up(**name)
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") not in _ABSENT
    return True
