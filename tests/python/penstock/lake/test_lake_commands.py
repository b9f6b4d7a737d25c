"""What `invoke lake.*` shows and asks: tables, the next command, and no change without a yes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.commands import lake
from penstock.errors import LakeError
from penstock.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def model(sales: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The table as the model `sales_history` of the last build; nobody is there to answer a question."""
    node = {
        "resource_type": "model",
        "name": "sales_history",
        "alias": "sales_history",
        "schema": sales.name.database,
        "original_file_path": "models/marts/sales/sales_history.sql",
        "config": {
            "table_type": "iceberg",
            "materialized": "incremental",
            "meta": {"upkeep": {"small_files": 2, "keep_days": 0, "keep_snapshots": 1}},
        },
    }
    view = node | {"name": "a_view", "alias": "a_view", "config": {"materialized": "view"}}
    foreign = node | {"name": "elsewhere", "schema": "analytics_production"}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"a": node, "b": view, "c": foreign}}))
    monkeypatch.setattr(lake, "_manifest", lambda: manifest)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return sales


def test_history_and_rollback_show_and_ask(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first = model.version().snapshot_id
    model.sync()
    model.run("delete from sales_history where year = 2025")
    lake.history(model.connections, "sales_history")
    shown = capsys.readouterr().out
    assert f"Snapshots of {model.name}" in shown
    assert "public.sales_history" in shown
    lake.history(model.connections, "sales_history", as_json=True, limit=1)
    (newest,) = json.loads(capsys.readouterr().out)
    assert (newest["operation"], newest["deleted"], newest["current"]) == ("delete", 12, True)

    location = model.version().location
    with pytest.raises(LakeError, match="--to is missing"):
        lake.rollback(model.connections, "sales_history", to="")
    question = r"Roll .*sales_history from snapshot .* \(12 rows now, 24 then\)\? Nobody is here"
    with pytest.raises(LakeError, match=question):
        lake.rollback(model.connections, "sales_history", to=str(first))
    assert model.version().location == location
    lake.rollback(model.connections, "sales_history", to=str(first), yes=True)
    told = capsys.readouterr().err
    assert f"--to {newest['id']} --yes" in told
    assert len(model.rows()) == 24
    lake.rollback(model.connections, "sales_history", to=str(first))
    assert "already" in capsys.readouterr().err


def test_upkeep_vacuum_and_orphans_show_and_ask(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model.sync()
    model.run(
        "insert into sales_history values ('PX', 'tenant_001', decimal '1.00', timestamp '2024-12-05 00:00:00.000000',"
        " array[1e0], 2024, 12)"
    )
    settings = Settings()
    lake.upkeep(model.connections, settings, dry_run=True)
    shown = capsys.readouterr().out
    assert "1 of 4 partitions have 2 small files or more" in shown
    lake.upkeep(model.connections, settings)
    shown = " ".join(capsys.readouterr().out.split())
    assert "5 -> 4 files" in shown
    assert "run `invoke sync` first" in shown
    model.run("alter table sales_history set tblproperties ('vacuum_max_snapshot_age_seconds' = '0')")
    model.run("alter table sales_history set tblproperties ('vacuum_min_snapshots_to_keep' = '1')")
    with pytest.raises(
        LakeError, match=r"public.sales_history in Postgres still holds a snapshot .* Nobody is"
    ):
        lake.vacuum(model.connections, "sales_history")
    assert len(model.version().snapshots) == 3
    lake.vacuum(model.connections, "sales_history", yes=True)
    assert "3 -> 1 snapshot" in " ".join(capsys.readouterr().out.split())
    lake.optimize(model.connections, "sales_history")
    assert "no file is worth rewriting" in capsys.readouterr().out
    lake.orphans(model.connections, "sales_history")
    assert "No orphans of 3d or older" in capsys.readouterr().err


def test_upkeep_of_a_table_that_is_gone_names_it_after_the_others(
    model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = lake._manifest()
    nodes = json.loads(manifest.read_text())["nodes"]
    nodes["d"] = nodes["a"] | {"name": "a_gone", "alias": "a_gone"}
    manifest.write_text(json.dumps({"nodes": nodes}))
    with pytest.raises(LakeError, match=r"Not kept up:\n  .*a_gone: .*a_gone is not in the lake"):
        lake.upkeep(model.connections, Settings())
    assert "few small files" in capsys.readouterr().out


def test_repartition_prints_what_to_commit_and_asks_before_what_cannot_be_undone(
    model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LakeError, match="exclude each other"):
        lake.repartition(model.connections, "sales_history", by="year", abort=True)
    lake.repartition(model.connections, "sales_history", by="tenant_id,year")
    shown = capsys.readouterr()
    assert shown.out == "    partitioned_by=['tenant_id', 'year'],\n"
    assert "Commit to models/marts/sales/sales_history.sql" in shown.err
    lake.repartition(model.connections, "sales_history", status=True)
    assert "the name points to the new layout" in capsys.readouterr().out
    for wanted in ({"finish": True}, {"abort": True}):
        with pytest.raises(LakeError, match="Nobody is here to confirm it"):
            lake.repartition(model.connections, "sales_history", **wanted)
    lake.repartition(model.connections, "sales_history", finish=True, yes=True)
    lake.repartition(model.connections, "sales_history", status=True)
    assert "No repartition of" in capsys.readouterr().err
