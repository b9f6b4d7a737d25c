"""Workgroups and tags on the wire: where results go, whether that is enforced, and how many bytes a query may scan."""

from __future__ import annotations

import re
import time

from athena_local.config import ENGINE_VERSION, Config
from athena_local.protocol.athena_errors import MAX_LISTED, invalid, malformed_token
from athena_local.protocol.wire import Record, operation, page, without
from athena_local.queries.documents import DATA_CATALOG, NAMED_QUERY, PREPARED, TAGS, WORKGROUP, Documents

PRIMARY = "primary"
MAX_TAGS = 50
_ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE_VERSION}
_ENGINES = {"AUTO", ENGINE_VERSION}
_ARN = re.compile(r"arn:aws[\w-]*:athena:[\w-]*:\d{12}:(workgroup|datacatalog)/(.+)")
_TAGGED = {"workgroup": WORKGROUP, "datacatalog": DATA_CATALOG}


class AthenaWorkgroupService:
    def __init__(self, config: Config, documents: Documents) -> None:
        self._config = config
        self._documents = documents
        documents.create(WORKGROUP, PRIMARY, _new(PRIMARY, {}, None))

    def get(self, name: str) -> Record:
        workgroup = self._documents.get(WORKGROUP, name)
        if workgroup is None:
            raise invalid("WorkGroup is not found.")
        return workgroup

    def enabled(self, name: str) -> Record:
        workgroup = self.get(name)
        if workgroup["State"] != "ENABLED":
            raise invalid(f"WorkGroup {name} is disabled.")
        return workgroup

    @operation("CreateWorkGroup")
    def create_work_group(self, request: Record) -> Record:
        name = request["Name"]
        workgroup = _new(name, request.get("Configuration") or {}, request.get("Description"))
        _check(workgroup["Configuration"])
        tags = request.get("Tags") or []
        check_tags(tags)
        if not self._documents.create(WORKGROUP, name, workgroup):
            raise invalid("WorkGroup is already created")
        if tags:
            self._documents.put(TAGS, self._arn(name), {"Tags": tags})
        return {}

    @operation("GetWorkGroup")
    def get_work_group(self, request: Record) -> Record:
        workgroup = self.get(request["WorkGroup"])
        return {"WorkGroup": workgroup if workgroup["Description"] else without(workgroup, ["Description"])}

    @operation("ListWorkGroups")
    def list_work_groups(self, request: Record) -> Record:
        found, more = page(
            self._documents.all(WORKGROUP),
            request,
            key=lambda workgroup: str(workgroup["Name"]),
            limit=MAX_LISTED,
            malformed=malformed_token,
        )
        summaries = [
            {
                **without(workgroup, ["Configuration"]),
                "EngineVersion": workgroup["Configuration"]["EngineVersion"],
            }
            for workgroup in found
        ]
        return {"WorkGroups": summaries, **more}

    @operation("UpdateWorkGroup")
    def update_work_group(self, request: Record) -> Record:
        workgroup = self.get(request["WorkGroup"])
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
        name = request["WorkGroup"]
        if name == PRIMARY:
            raise invalid("The primary workgroup cannot be deleted.")
        self.get(name)
        kept = [
            (kind, key)
            for kind in (NAMED_QUERY, PREPARED)
            for key in (one["Key"] for one in self._documents.all(kind) if one["WorkGroup"] == name)
        ]
        if kept and not request.get("RecursiveDeleteOption"):
            raise invalid("WorkGroup is not empty")
        for kind, key in kept:
            self._documents.delete(kind, key)
        self._documents.delete(WORKGROUP, name)
        self._documents.delete(TAGS, self._arn(name))
        return {}

    # tags; a resource is named by its ARN

    @operation("TagResource")
    def tag_resource(self, request: Record) -> Record:
        arn = self._tagged(request["ResourceARN"])
        check_tags(request["Tags"])
        tags = {tag["Key"]: tag for tag in self._tags(arn) + request["Tags"]}
        check_tags(list(tags.values()))
        self._documents.put(TAGS, arn, {"Tags": list(tags.values())})
        return {}

    @operation("UntagResource")
    def untag_resource(self, request: Record) -> Record:
        arn, gone = self._tagged(request["ResourceARN"]), set(request["TagKeys"])
        self._documents.put(TAGS, arn, {"Tags": [tag for tag in self._tags(arn) if tag["Key"] not in gone]})
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, request: Record) -> Record:
        tags = sorted(self._tags(self._tagged(request["ResourceARN"])), key=lambda tag: str(tag["Key"]))
        found, more = page(
            tags,
            request,
            key=lambda tag: str(tag["Key"]),
            limit=request.get("MaxResults") or len(tags) or 1,
            malformed=malformed_token,
        )
        return {"Tags": found, **more}

    @operation("ListEngineVersions")
    def list_engine_versions(self, _request: Record) -> Record:
        return {
            "EngineVersions": [
                _ENGINE,
                {"SelectedEngineVersion": ENGINE_VERSION, "EffectiveEngineVersion": ENGINE_VERSION},
            ]
        }

    def _tagged(self, arn: str) -> str:
        """Return the ARN if it names something that is here."""
        match = _ARN.fullmatch(arn)
        if match is None or self._documents.get(_TAGGED[match[1]], match[2]) is None:
            raise invalid(f"Athena Resource, {arn} Does Not Exist")
        return arn

    def _tags(self, arn: str) -> list[Record]:
        found = self._documents.get(TAGS, arn)
        return list(found["Tags"]) if found else []

    def _arn(self, workgroup: str) -> str:
        return f"arn:aws:athena:{self._config.region}:{self._config.account_id}:workgroup/{workgroup}"


def _new(name: str, configuration: Record, description: str | None) -> Record:
    defaults = {
        "EnforceWorkGroupConfiguration": name != PRIMARY,
        "EnableMinimumEncryptionConfiguration": False,
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        "ResultConfiguration": {},
    }
    return {
        "Name": name,
        "State": "ENABLED",
        "Configuration": {
            **defaults,
            **configuration,
            "EngineVersion": _engine(configuration.get("EngineVersion")),
        },
        "Description": description or "",
        "CreationTime": round(time.time(), 3),
    }


def _engine(asked: Record | None) -> Record:
    selected = (asked or {}).get("SelectedEngineVersion") or "AUTO"
    if selected not in _ENGINES:
        raise invalid(f"Engine version {selected} is not available; there is {ENGINE_VERSION} only.")
    return {"SelectedEngineVersion": selected, "EffectiveEngineVersion": ENGINE_VERSION}


def _apply(configuration: Record, updates: Record) -> None:
    """Apply WorkGroupConfigurationUpdates: what is named is set, `Remove…` flags take away."""
    results: Record = configuration.setdefault("ResultConfiguration", {})
    result_updates: Record = updates.get("ResultConfigurationUpdates") or {}
    for target, changes in ((results, result_updates), (configuration, updates)):
        for name, value in changes.items():
            if name.startswith("Remove"):
                if value:
                    target.pop(name.removeprefix("Remove"), None)
            elif name == "EngineVersion":
                target[name] = _engine(value)
            elif name == "ManagedQueryResultsConfigurationUpdates":
                target["ManagedQueryResultsConfiguration"] = without(value, ["RemoveEncryptionConfiguration"])
            elif name != "ResultConfigurationUpdates":
                target[name] = value


def _check(configuration: Record) -> None:
    """Refuse settings whose meaning cannot be had here: taken and ignored they would pass for honoured."""
    results = configuration.get("ResultConfiguration") or {}
    location = results.get("OutputLocation")
    if location and not location.startswith("s3://"):
        raise invalid("outputLocation is not a valid S3 path.")
    check_encryption(results)
    if (configuration.get("ManagedQueryResultsConfiguration") or {}).get("Enabled"):
        raise invalid("Managed query results are not available: athena_local writes results to S3 only.")
    if (configuration.get("IdentityCenterConfiguration") or {}).get("EnableIdentityCenter"):
        raise invalid("IAM Identity Center is not available in athena_local.")


def check_encryption(results: Record) -> None:
    option = (results.get("EncryptionConfiguration") or {}).get("EncryptionOption")
    if option == "CSE_KMS":
        raise invalid("CSE_KMS is not available: athena_local has no keys to encrypt results with.")


def check_tags(tags: list[Record]) -> None:
    keys = [tag.get("Key") for tag in tags]
    if len(keys) > MAX_TAGS or len(keys) != len(set(keys)) or None in keys:
        raise invalid(f"Tags must be at most {MAX_TAGS}, with a key each.")
