"""LakeFormation's reads, all answering "nothing granted": there are no permissions here. Its writes are refused."""

from __future__ import annotations

from athena_local.protocol.wire import Record, ServiceError

_READS: dict[str, Record] = {
    "GetDataLakeSettings": {"DataLakeSettings": {"DataLakeAdmins": [], "Parameters": {}}},
    "GetEffectivePermissionsForPath": {"Permissions": []},
    "GetResourceLFTags": {"LFTagOnDatabase": [], "LFTagsOnTable": [], "LFTagsOnColumns": []},
    "ListDataCellsFilter": {"DataCellsFilters": []},
    "ListLFTags": {"LFTags": []},
    "ListPermissions": {"PrincipalResourcePermissions": []},
    "ListResources": {"ResourceInfoList": []},
    "SearchDatabasesByLFTags": {"DatabaseList": []},
    "SearchTablesByLFTags": {"TableList": []},
}


def answer(operation: str) -> Record:
    if operation not in _READS:
        raise ServiceError(
            "InvalidInputException",
            f"athena_local has no LakeFormation permissions or tags: {operation} is not available.",
        )
    return _READS[operation]


def is_operation(name: str) -> bool:
    """Whether a REST path is one of LakeFormation's (all are `/<Operation>`)."""
    return name in _READS or name.endswith(("Permissions", "LFTag", "LFTagsToResource", "DataCellsFilter"))
