"""invoke docs: write the docs site of both sides and serve it."""

from __future__ import annotations

import time

from penstock import console
from penstock.connections import Connections


def docs(connections: Connections, *, serve: bool, port: int) -> None:
    from penstock.transform import docs as site

    report = site.generate(connections, on_line=console.note)
    if report.serving_skipped:
        console.note(f"Columns of the serving side are missing: {report.serving_skipped}.")
    for name in report.undocumented:
        console.note(f"declared but not built, so without columns: {name}")
    console.success(f"{report.relations} relations documented: {report.index}")
    if not serve:
        console.note("invoke docs --serve opens it to a browser on this machine.")
        return
    with site.serving(report.folder, port) as url:
        console.success(f"{url} until Ctrl-C")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            console.note("stopped")
