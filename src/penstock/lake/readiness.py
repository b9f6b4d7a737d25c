"""What must be there before dbt is asked: a workgroup and a landed table to build from, a database of marts to document.

dbt would say so too, but in the words of the API it happened to call, and without the next step. Anything that cannot be
looked up (permissions, a network that is down) is left for dbt to meet, which names the statement it failed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
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


def absent_sources(connections: Connections) -> list[str]:
    """Return the sources that have not landed, sorted: a table of theirs is not there. A look-up a table."""
    environment, glue = connections.environment, connections.client("glue")
    return sorted(
        name
        for name, source in sources.declared().items()
        if not all(
            _there(glue.get_table, DatabaseName=environment.landed_database(name), Name=table.name)
            for table in source.tables
        )
    )


def unbuilt(
    connections: Connections, glue: Any, manifest: Path, models: Iterable[tuple[str, str, str]]
) -> dict[str, str]:
    """Return the models that are not there because a source of theirs has not landed, with that source.

    models: name, database and table of each; glue: what is asked of them, a look-up a table. A model that is not there
    although its sources have landed is not among them: that is for who reads it to refuse.
    """
    missing = [
        model
        for model, database, table in models
        if not _there(glue.get_table, DatabaseName=database, Name=table)
    ]
    if not missing:
        return {}
    parents = json.loads(manifest.read_text(encoding="utf-8")).get("parent_map", {})
    absent = absent_sources(connections)
    wanting = {model: [name for name in absent if name in _sources_of(model, parents)] for model in missing}
    return {model: names[0] for model, names in wanting.items() if names}


def _sources_of(model: str, parents: dict[str, list[str]]) -> set[str]:
    """Return the sources that a model comes from, however far above."""
    known, found = set[str](), set[str]()
    waiting = [node for node in parents if node.startswith("model.") and node.endswith(f".{model}")]
    while waiting:
        node = waiting.pop()
        if node in known:
            continue
        known.add(node)
        waiting += parents.get(node, [])
        if node.startswith("source."):
            found.add(node.split(".")[2])
    return found


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
    try:
        look_up(**name)
    except Exception as error:
        # not imported before: a sync with nothing to do has no time for it
        from botocore.exceptions import ClientError

        if not isinstance(error, ClientError):
            raise
        return error.response.get("Error", {}).get("Code") not in _ABSENT
    return True
