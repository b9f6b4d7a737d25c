"""Workgroups and tags on the wire: where results go, whether that is enforced, and how many bytes a query may scan."""

from __future__ import annotations

import re
import time

from athena_local.config import ENGINE_VERSION, MIN_BYTES_SCANNED_CUTOFF, Config
from athena_local.protocol.wire import Record, ServiceError, operation, page, required, without
from athena_local.queries.documents import NAMED_QUERY, PREPARED, TAGS, WORKGROUP, Documents

INVALID = "InvalidRequestException"
PAGE_SIZE = 50
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION}


class AthenaWorkgroupService:
    def __init__(self, config: Config, documents: Documents) -> None:
        self._config = config
        self._documents = documents
        documents.create(WORKGROUP, "primary", _new("primary", {}, None))

    def get(self, name: str) -> Record:
        workgroup = self._documents.get(WORKGROUP, name)
        if workgroup is None:
            raise ServiceError(INVALID, f"WorkGroup {name} is not found.", AthenaErrorCode="INVALID_INPUT")
        return workgroup

    def enabled(self, name: str) -> Record:
        workgroup = self.get(name)
        if workgroup["State"] != "ENABLED":
            raise ServiceError(INVALID, f"WorkGroup {name} is disabled.")
        return workgroup

    @operation("CreateWorkGroup")
    def create_work_group(self, request: Record) -> Record:
        name = required(request, "Name")
        if not _NAME.fullmatch(name):
            raise ServiceError(INVALID, f"WorkGroup name {name!r} must match [a-zA-Z0-9._-]{{1,128}}.")
        workgroup = _new(name, request.get("Configuration") or {}, request.get("Description"))
        _check(workgroup["Configuration"])
        if not self._documents.create(WORKGROUP, name, workgroup):
            raise ServiceError(INVALID, f"WorkGroup {name} is already created")
        if request.get("Tags"):
            self._documents.put(TAGS, self._arn(name), {"Tags": request["Tags"]})
        return {}

    @operation("GetWorkGroup")
    def get_work_group(self, request: Record) -> Record:
        return {"WorkGroup": self.get(required(request, "WorkGroup"))}

    @operation("ListWorkGroups")
    def list_work_groups(self, request: Record) -> Record:
        found, more = page(
            self._documents.all(WORKGROUP),
            request,
            key=lambda workgroup: str(workgroup["Name"]),
            limit=PAGE_SIZE,
            error=INVALID,
        )
        summaries = [
            {**without(workgroup, ["Configuration"]), "EngineVersion": _ENGINE} for workgroup in found
        ]
        return {"WorkGroups": summaries, **more}

    @operation("UpdateWorkGroup")
    def update_work_group(self, request: Record) -> Record:
        workgroup = self.get(required(request, "WorkGroup"))
        if request.get("State"):
            workgroup["State"] = request["State"]
        if "Description" in request:
            workgroup["Description"] = request["Description"]
        _apply(workgroup["Configuration"], request.get("ConfigurationUpdates") or {})
        _check(workgroup["Configuration"])
        self._documents.put(WORKGROUP, workgroup["Name"], workgroup)
        return {}

    @operation("DeleteWorkGroup")
    def delete_work_group(self, request: Record) -> Record:
        name = required(request, "WorkGroup")
        if name == "primary":
            raise ServiceError(INVALID, "The primary workgroup cannot be deleted.")
        self.get(name)
        kept = [
            (kind, key)
            for kind in (NAMED_QUERY, PREPARED)
            for key in (one["Key"] for one in self._documents.all(kind) if one["WorkGroup"] == name)
        ]
        if kept and not request.get("RecursiveDeleteOption"):
            raise ServiceError(INVALID, f"WorkGroup {name} is not empty")
        for kind, key in kept:
            self._documents.delete(kind, key)
        self._documents.delete(WORKGROUP, name)
        self._documents.delete(TAGS, self._arn(name))
        return {}

    # tags; a resource is named by its ARN, and only workgroups and data catalogs have any

    @operation("TagResource")
    def tag_resource(self, request: Record) -> Record:
        arn = required(request, "ResourceARN")
        tags = {tag["Key"]: tag for tag in self._tags(arn) + required(request, "Tags")}
        self._documents.put(TAGS, arn, {"Tags": list(tags.values())})
        return {}

    @operation("UntagResource")
    def untag_resource(self, request: Record) -> Record:
        arn, gone = required(request, "ResourceARN"), set(required(request, "TagKeys"))
        self._documents.put(TAGS, arn, {"Tags": [tag for tag in self._tags(arn) if tag["Key"] not in gone]})
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, request: Record) -> Record:
        return {"Tags": self._tags(required(request, "ResourceARN"))}

    @operation("ListEngineVersions")
    def list_engine_versions(self, _request: Record) -> Record:
        return {"EngineVersions": [_ENGINE]}

    def _tags(self, arn: str) -> list[Record]:
        found = self._documents.get(TAGS, arn)
        return list(found["Tags"]) if found else []

    def _arn(self, workgroup: str) -> str:
        return f"arn:aws:athena:{self._config.region}:{self._config.account_id}:workgroup/{workgroup}"


def _new(name: str, configuration: Record, description: str | None) -> Record:
    defaults = {
        "EnforceWorkGroupConfiguration": name != "primary",
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        "ResultConfiguration": {},
    }
    return {
        "Name": name,
        "State": "ENABLED",
        "Configuration": {**defaults, **configuration, "EngineVersion": _ENGINE},
        "Description": description or "",
        "CreationTime": time.time(),
    }


def _apply(configuration: Record, updates: Record) -> None:
    """Apply WorkGroupConfigurationUpdates: what is named is set, `Remove…` flags take away."""
    results: Record = configuration.setdefault("ResultConfiguration", {})
    result_updates: Record = updates.get("ResultConfigurationUpdates") or {}
    for target, changes in ((results, result_updates), (configuration, updates)):
        for name, value in changes.items():
            if name.startswith("Remove"):
                if value:
                    target.pop(name.removeprefix("Remove"), None)
            elif name not in {"ResultConfigurationUpdates", "EngineVersion"}:
                target[name] = value


def _check(configuration: Record) -> None:
    cutoff = configuration.get("BytesScannedCutoffPerQuery")
    if cutoff is not None and cutoff < MIN_BYTES_SCANNED_CUTOFF:
        raise ServiceError(
            INVALID, f"BytesScannedCutoffPerQuery must be at least {MIN_BYTES_SCANNED_CUTOFF}, not {cutoff}."
        )
    location = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    if location and not location.startswith("s3://"):
        raise ServiceError(INVALID, f"outputLocation is not a valid S3 path: {location}")
