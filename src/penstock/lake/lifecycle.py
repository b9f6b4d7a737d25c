"""What becomes of a bucket's objects with time: landed files go to the archive, what was replaced or deleted ends.

Only the prefixes of declared sources are archived: marts and their metadata never, for Athena reads no Iceberg table whose
files are archived. A rule that is there already, ours by its ID or anybody's, is left exactly as it is found: whoever
shortened, lengthened or switched one off meant it. To have one of ours made anew, delete it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Two years: the forecast and sales marts look back no further, and a restore from GLACIER takes hours, not days.
ARCHIVE_AFTER_DAYS = 730
ARCHIVE_CLASS = "GLACIER"
# What a file was before it was replaced or removed, for as long as somebody may ask for it back. Iceberg leaves many behind.
FORMER_VERSIONS_DAYS = 90
# Parts of an upload that nobody completed cost like objects and are listed nowhere; a seed takes hours at most.
UNFINISHED_UPLOADS_DAYS = 7

# Classes whose objects S3 does not hand out before somebody restores them; Athena passes over them.
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})

Rule = dict[str, Any]


def rules(landed_prefixes: Mapping[str, str]) -> list[Rule]:
    """Return a bucket's rules; `landed_prefixes` are what is archived: by table, keys ending in '/'.

    Raises: ValueError for a prefix that would take in more than one folder of landed files.
    """
    for table, prefix in landed_prefixes.items():
        if not prefix.endswith("/") or prefix.startswith(("/", "marts/")):
            raise ValueError(f"landed table {table}: '{prefix}' is no prefix of landed files")
    archive: list[Rule] = [
        {
            "ID": f"penstock-archive-{table}",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Transitions": [{"Days": ARCHIVE_AFTER_DAYS, "StorageClass": ARCHIVE_CLASS}],
        }
        for table, prefix in sorted(landed_prefixes.items())
    ]
    return [
        *archive,
        {
            "ID": "penstock-former-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": FORMER_VERSIONS_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_UPLOADS_DAYS},
        },
    ]


def missing(found: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """Return the wanted rules whose ID no rule has yet."""
    there = {rule.get("ID") for rule in found}
    return [rule for rule in wanted if rule["ID"] not in there]


def merged(found: Iterable[Rule], added: Iterable[Rule]) -> list[Rule]:
    """Return the rules found, then those added, as one configuration that S3 takes.

    A rule of the older form, its prefix beside its ID, comes in the newer one: S3 takes no mixture, and they mean the same.
    """
    return [*map(_with_filter, found), *added]


def _with_filter(rule: Rule) -> Rule:
    if "Filter" in rule or "Prefix" not in rule:
        return rule
    return {name: value for name, value in rule.items() if name != "Prefix"} | {
        "Filter": {"Prefix": rule["Prefix"]}
    }
