"""What AWS charges: the unit prices of prices.yml, and what they make of bytes scanned, objects stored and a catalog.

The file holds every price with its source and date, and no other place holds one. Refuses a file that lacks a price that is
asked for, or holds something else in its place, by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from penstock.errors import SettingsError
from penstock.settings import PROJECT_ROOT

PRICES = PROJECT_ROOT / "prices.yml"


class Prices:
    """prices.yml, read whole. A price is asked for by its path: `number("athena", "per_tb_scanned")`."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        self._content = content
        self._path = path

    def get(self, *keys: str) -> Any:
        """Return what stands at a path; raises SettingsError naming it when nothing does."""
        found: Any = self._content
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                raise self.fault(keys, "is missing")
            found = found[key]
        return found

    def number(self, *keys: str) -> float:
        """Return the number at a path; raises SettingsError where it is none, or less than nothing."""
        return self._number(self.get(*keys), keys)

    def size(self, *keys: str) -> float:
        """Return a number to divide by, which 0 is not."""
        found = self.number(*keys)
        if not found:
            raise self.fault(keys, "is 0")
        return found

    def standard(self) -> list[tuple[float, float]]:
        """Return STANDARD's steps: (up to GB, dollars a GB), the last without an end."""
        keys = ("s3", "standard_per_gb")
        steps = self.get(*keys)
        if (
            not isinstance(steps, list)
            or not steps
            or any(not isinstance(s, list) or len(s) != 2 for s in steps)
        ):
            raise self.fault(keys, "is no list of [GB, price]")
        found = [
            (float("inf") if end is None else self._number(end, keys), self._number(price, keys))
            for end, price in steps
        ]
        if found[-1][0] != float("inf") or found != sorted(found):
            raise self.fault(keys, "does not rise to [null, price]")
        return found

    def fault(self, keys: tuple[str, ...], what: str) -> SettingsError:
        return SettingsError(
            f"{self._path.name}: {'.'.join(keys)} {what}.", hint="docs/cost.md shows what stands there."
        )

    def _number(self, value: Any, keys: tuple[str, ...]) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.fault(keys, f"is {value!r}, and no price or amount")
        return float(value)


def prices(path: Path = PRICES) -> Prices:
    """Return the unit prices; raises SettingsError for a file that is not there or no yml."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path.name} is not there, which holds what AWS charges.", hint=f"git checkout -- {path.name}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path.name} cannot be read: {' '.join(str(error).split())}",
            hint="docs/cost.md shows what stands there.",
        ) from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path.name} holds no prices.", hint="docs/cost.md shows what stands there.")
    return Prices(content, path)


def billed_bytes(scanned: int, of: Prices) -> int:
    """Return the bytes that Athena bills for one query: 10 MB at least, whole megabytes; none for one that scans none."""
    if not scanned:
        return 0
    step = of.size("athena", "billed_in_bytes")
    return int(max(ceil(scanned / step) * step, of.number("athena", "minimum_bytes_per_query")))


def scan_dollars(scanned: int, of: Prices) -> float:
    """Return what Athena charges for one query that scanned so many bytes."""
    return (
        billed_bytes(scanned, of) / of.size("athena", "bytes_per_tb") * of.number("athena", "per_tb_scanned")
    )


def storage_dollars(storage_class: str, size: float, objects: int, of: Prices) -> float:
    """Return a month's price of objects of one storage class, `size` bytes in all.

    The index that an archived object keeps beside it is counted, small objects are (see `Stored.billed`). STANDARD is priced
    from its first step on, so two parts priced apart may cost a little more than together.
    Raises: SettingsError for a class that has no price.
    """
    gb = of.size("s3", "bytes_per_gb")
    if storage_class == "STANDARD":
        return stepped(size / gb, of.standard())
    dollars = size / gb * of.number("s3", "per_gb", storage_class)
    overhead = of.get("s3", "archive_overhead_bytes")
    if storage_class in overhead:
        own, standard = overhead[storage_class]
        dollars += own * objects / gb * of.number("s3", "per_gb", storage_class)
        dollars += stepped(standard * objects / gb, of.standard())
    return dollars


def stepped(amount: float, steps: list[tuple[float, float]]) -> float:
    """Return the price of an amount whose steps, (up to so much, price of one), are paid one after another."""
    total = begin = 0.0
    for end, price in steps:
        total += max(min(amount, end) - begin, 0) * price
        begin = end
    return total


def catalog_dollars(objects: float, requests: float, of: Prices) -> float:
    """Return a month's price of the Glue catalog, its free tier taken off."""
    over = max(objects - of.number("glue", "free_objects"), 0)
    asked = max(requests - of.number("glue", "free_requests"), 0)
    return over / 100_000 * of.number("glue", "per_100k_objects") + asked / 1e6 * of.number(
        "glue", "per_million_requests"
    )
