"""invoke cost: a month of the lake in dollars, estimated and as it is, for a person or a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from penstock import console
from penstock.connections import Connections
from penstock.errors import SettingsError
from penstock.lake.cost import (
    MONTH_DAYS,
    NOT_COUNTED,
    Actual,
    Estimate,
    actual,
    estimate,
)
from penstock.lake.prices import Prices, prices


def cost(connections: Connections | None, *, gb: str, queries: str, days: str, as_json: bool) -> None:
    """Print the estimate and, where there are connections, what was really scanned and is stored."""
    unit_prices = prices()
    supposed = estimate(
        unit_prices,
        gb=_amount("--gb", gb, float) if gb else None,
        queries=_amount("--queries", queries, int) if queries else None,
    )
    window = _amount("--days", days, float) if days else float(MONTH_DAYS)
    found = None if connections is None else actual(connections, unit_prices, days=window)
    if as_json:
        console.line(json.dumps(_as_json(unit_prices, supposed, found), ensure_ascii=False, indent=1))
        return
    _show_estimate(supposed)
    if found is not None:
        _show_actual(found)
    console.note(
        f"List prices of {unit_prices.get('region')} as of {unit_prices.get('as_of')} (prices.yml). "
        f"Not counted: {'; '.join(NOT_COUNTED)}."
    )


def _amount(flag: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text.replace(",", ""))
    except ValueError:
        what = "whole number" if kind is int else "number"
        raise SettingsError(f"{flag} {text} is no {what}.", hint=f"{flag} 100, say.") from None


def _show_estimate(supposed: Estimate) -> None:
    rows = [(line.item, line.amount, f"${line.dollars:,.2f}") for line in supposed.lines]
    rows.append(("total", "", f"${supposed.dollars:,.2f}"))
    title = f"A month of {supposed.gb:g} GB and {supposed.queries:,} queries, estimated"
    console.show_table(title, ["", "supposed", "dollars"], rows, right=[2])


def _show_actual(found: Actual) -> None:
    rows = [
        (
            sender,
            f"{kind.statements:,}",
            f"{kind.free:,}",
            console.size(kind.bytes_scanned),
            console.size(kind.bytes_billed),
            f"${kind.dollars:,.4f}",
        )
        for sender, kind in found.scanned.items()
    ]
    columns = ["sent by", "statements", "of them free", "scanned", "billed", "dollars"]
    console.show_table(f"Scanned in the last {found.days:g} days", columns, rows, right=[1, 2, 3, 4, 5])
    stored = [
        (
            place.prefix,
            place.storage_class,
            "replaced versions" if place.replaced else "",
            f"{part.objects:,}",
            console.size(part.size),
            f"${part.dollars:,.4f}",
        )
        for place, part in sorted(found.stored.items(), key=lambda item: _order(item[0]))
    ]
    columns = ["stored below", "class", "", "objects", "size", "dollars a month"]
    console.show_table("Stored now", columns, stored, right=[3, 4, 5])
    rows_total = [
        ("catalog", f"{found.catalog_objects:,} objects", f"${found.catalog_dollars:,.4f}"),
        ("storage", "as of now", f"${found.storage_dollars:,.4f}"),
        ("queries", f"of {found.days:g} days, as for {MONTH_DAYS}", f"${found.scan_dollars:,.4f}"),
        ("total", "", f"${found.dollars:,.4f}"),
    ]
    console.show_table("A month of what is there", ["", "measured", "dollars"], rows_total, right=[2])
    for missing in found.missing:
        console.note(f"Counted as nothing: {missing}.")


def _order(place: Any) -> tuple[str, str, bool]:
    return place.prefix, place.storage_class, place.replaced


def _as_json(unit_prices: Prices, supposed: Estimate, found: Actual | None) -> dict[str, Any]:
    """Return the whole as data: dollars a month, sizes in bytes."""
    told: dict[str, Any] = {
        "prices": {"region": unit_prices.get("region"), "as_of": str(unit_prices.get("as_of"))},
        "estimate": {
            "gb": supposed.gb,
            "queries": supposed.queries,
            **{
                line.item: {"supposed": line.amount, "dollars": round(line.dollars, 6)}
                for line in supposed.lines
            },
            "total_dollars": round(supposed.dollars, 6),
        },
        "not_counted": list(NOT_COUNTED),
    }
    if found is not None:
        told["actual"] = {
            "days": found.days,
            "scanned": [
                {
                    "sent_by": sender,
                    "statements": kind.statements,
                    "free_statements": kind.free,
                    "bytes_scanned": kind.bytes_scanned,
                    "bytes_billed": kind.bytes_billed,
                    "dollars": round(kind.dollars, 6),
                }
                for sender, kind in found.scanned.items()
            ],
            "stored": [
                {
                    "prefix": place.prefix,
                    "storage_class": place.storage_class,
                    "replaced_versions": place.replaced,
                    "objects": part.objects,
                    "bytes": part.size,
                    "dollars_a_month": round(part.dollars, 6),
                }
                for place, part in sorted(found.stored.items(), key=lambda item: _order(item[0]))
            ],
            "catalog": {"objects": found.catalog_objects, "dollars_a_month": round(found.catalog_dollars, 6)},
            "queries_dollars_a_month": round(found.scan_dollars, 6),
            "storage_dollars_a_month": round(found.storage_dollars, 6),
            "total_dollars_a_month": round(found.dollars, 6),
            "missing": list(found.missing),
        }
    return told
