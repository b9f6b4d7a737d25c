"""Every operation against botocore's own service model: the shape of each answer, and which operations there are none of."""

from __future__ import annotations

import http.client
import json
import random
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from athena_local.protocol import unavailable

TARGETS = {"athena": "AmazonAthena", "glue": "AWSGlue"}
# what belongs to Glue's Data Catalog, by the words in an operation's name; the rest of Glue is jobs, crawlers, registries …
CATALOG_WORDS = (
    "Database",
    "Table",
    "Partition",
    "ColumnStatisticsFor",
    "UserDefinedFunction",
    "ResourcePolic",
    "Catalog",
)
NOT_CATALOG_WORDS = ("MLTransform", "DataQuality", "Integration", "DataCatalogExport")
CATALOG_MORE = {"TagResource", "UntagResource", "GetTags"}
Call = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def models() -> dict[str, ServiceModel]:
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return {name: ServiceModel(loader.load_service_model(name, "service-2"), name) for name in TARGETS}


def problems(value: Any, shape: Shape, path: str) -> list[str]:
    """Return where a JSON value is not of a shape: unknown members, missing ones, other types, broken enums and patterns."""
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no structure"]
        found = [f"{path}: unknown member {name}" for name in value if name not in shape.members]
        found += [f"{path}: {name} is missing" for name in shape.required_members if name not in value]
        for name, member in shape.members.items():
            if name in value:
                found += problems(value[name], member, f"{path}.{name}")
        return found
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        return [text for one in value for text in problems(one, shape.member, f"{path}[]")]
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no map"]
        return [text for one in value.values() for text in problems(one, shape.value, f"{path}{{}}")]
    wanted: Any = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "long": int,
        "double": (int, float),
        "float": (int, float),
        "timestamp": (int, float),
        "blob": str,
    }[kind]
    if not isinstance(value, wanted) or (kind != "boolean" and isinstance(value, bool)):
        return [f"{path}: {value!r} is no {kind}"]
    if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        return [f"{path}: {value!r} is not of {shape.metadata['enum']}"]
    if kind == "string" and len(value) < shape.metadata.get("min", 0):
        return [f"{path}: {value!r} is too short"]
    return []


@pytest.fixture
def call(server: Any, models: dict[str, ServiceModel]) -> Call:
    """`call(service, operation, request)`: the raw answer, after it was held against the model."""

    def run(service: str, name: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "X-Amz-Target": f"{TARGETS[service]}.{name}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        body = json.dumps(request).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(server.endpoint, body, headers), timeout=120
            ) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{name}: {error.read().decode()}")
        output = models[service].operation_model(name).output_shape
        assert problems(found, output, name) == [] if output is not None else found == {}
        return found

    return run


def operations() -> dict[str, set[str]]:
    """Return the operations that the server has."""
    from athena_local.protocol.athena import AthenaQueryService
    from athena_local.protocol.athena_catalog import AthenaCatalogService
    from athena_local.protocol.athena_saved import AthenaSavedQueryService
    from athena_local.protocol.athena_workgroups import AthenaWorkgroupService
    from athena_local.protocol.glue import GlueService
    from athena_local.protocol.glue_extras import GlueExtrasService
    from athena_local.protocol.glue_partitions import GluePartitionService
    from athena_local.protocol.glue_search import GlueSearchService

    groups: dict[str, list[type]] = {
        "athena": [
            AthenaQueryService,
            AthenaCatalogService,
            AthenaSavedQueryService,
            AthenaWorkgroupService,
        ],
        "glue": [GlueService, GlueExtrasService, GluePartitionService, GlueSearchService],
    }
    return {
        service: {
            method.operation
            for one in classes
            for method in vars(one).values()
            if hasattr(method, "operation")
        }
        for service, classes in groups.items()
    }


def test_athena_operations_are_there_or_named_as_not_there(models: dict[str, ServiceModel]) -> None:
    known = set(models["athena"].operation_names)
    here, missing = operations()["athena"], set(unavailable.ATHENA)
    assert here & missing == set()
    assert here | missing == known


def test_glue_catalog_operations_are_there_or_named_as_not_there(models: dict[str, ServiceModel]) -> None:
    known = {
        name
        for name in models["glue"].operation_names
        if name in CATALOG_MORE
        or (
            any(word in name for word in CATALOG_WORDS)
            and not any(word in name for word in NOT_CATALOG_WORDS)
        )
    }
    here, missing = operations()["glue"], set(unavailable.GLUE)
    assert here & missing == set()
    assert here | missing == known


def test_every_operation_that_is_not_there_answers_so(server: Any, athena: Any) -> None:
    body = b"{}"
    for target in (f"AmazonAthena.{name}" for name in unavailable.ATHENA):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(urllib.request.Request(server.endpoint, body, headers), timeout=120)
        with raised.value as answer:
            assert json.load(answer)["__type"] == "UnknownOperationException"
    with pytest.raises(athena.exceptions.ClientError, match=r"ListSessions.*Apache Spark"):
        athena.list_sessions(WorkGroup="primary")


def test_athena_answers_have_the_models_shape(server: Any, call: Call, glue: Any, database: str) -> None:
    seen: set[str] = set()

    def ask(name: str, **request: Any) -> dict[str, Any]:
        seen.add(name)
        return call("athena", name, request)

    group = f"wg-{uuid.uuid4().hex[:8]}"
    location = {"ResultConfiguration": {"OutputLocation": server.output_location}}
    ask("CreateWorkGroup", Name=group, Configuration=location, Tags=[{"Key": "a", "Value": "b"}])
    ask("UpdateWorkGroup", WorkGroup=group, ConfigurationUpdates={"RequesterPaysEnabled": True})
    assert ask("GetWorkGroup", WorkGroup=group)["WorkGroup"]["Configuration"]["RequesterPaysEnabled"] is True
    assert {"primary", group} <= {one["Name"] for one in ask("ListWorkGroups")["WorkGroups"]}
    arn = f"arn:aws:athena:us-east-2:000000000000:workgroup/{group}"
    ask("TagResource", ResourceARN=arn, Tags=[{"Key": "c", "Value": "d"}])
    ask("UntagResource", ResourceARN=arn, TagKeys=["a"])
    assert ask("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    ask("ListEngineVersions")
    for text in ("select 1 as a", "show databases", f"describe {database}.t", "select * from nowhere"):
        if "describe" in text:
            columns = {"Columns": [{"Name": "a", "Type": "int"}], "Location": "s3://b/t"}
            glue.create_table(DatabaseName=database, TableInput={"Name": "t", "StorageDescriptor": columns})
        started = ask(
            "StartQueryExecution", QueryString=text, WorkGroup=group, ClientRequestToken=str(uuid.uuid4())
        )
        query_id = started["QueryExecutionId"]
        server.wait(query_id)
        ask("GetQueryExecution", QueryExecutionId=query_id)
        ask("GetQueryRuntimeStatistics", QueryExecutionId=query_id)
        if "nowhere" not in text:
            ask("GetQueryResults", QueryExecutionId=query_id)
        ask("StopQueryExecution", QueryExecutionId=query_id)
        ask("BatchGetQueryExecution", QueryExecutionIds=[query_id, "missing"])
    ask("ListQueryExecutions", WorkGroup=group)
    named = ask("CreateNamedQuery", Name="n", Database="d", QueryString="select 1", WorkGroup=group)
    ask("UpdateNamedQuery", Name="m", QueryString="select 2", **named)
    ask("GetNamedQuery", **named)
    ask("BatchGetNamedQuery", NamedQueryIds=[named["NamedQueryId"], "missing"])
    ask("ListNamedQueries", WorkGroup=group)
    prepared = {"StatementName": "p1", "WorkGroup": group}
    ask("CreatePreparedStatement", QueryStatement="select ?", **prepared)
    ask("UpdatePreparedStatement", QueryStatement="select ?, 1", **prepared)
    ask("GetPreparedStatement", **prepared)
    ask("BatchGetPreparedStatement", PreparedStatementNames=["p1", "p2"], WorkGroup=group)
    ask("ListPreparedStatements", WorkGroup=group)
    catalog = f"c_{uuid.uuid4().hex[:8]}"
    ask("CreateDataCatalog", Name=catalog, Type="LAMBDA", Parameters={"function": "arn:aws:lambda:x"})
    ask("UpdateDataCatalog", Name=catalog, Type="GLUE", Parameters={"catalog-id": "000000000000"})
    assert ask("GetDataCatalog", Name=catalog)["DataCatalog"]["Type"] == "GLUE"
    names = [one["CatalogName"] for one in ask("ListDataCatalogs")["DataCatalogsSummary"]]
    assert {"AwsDataCatalog", catalog} <= set(names)
    where = {"CatalogName": catalog, "DatabaseName": database}
    assert ask("GetDatabase", **where)["Database"]["Name"] == database
    ask("ListDatabases", CatalogName="awsdatacatalog")
    ask("GetTableMetadata", TableName="t", **where)
    assert [one["Name"] for one in ask("ListTableMetadata", **where)["TableMetadataList"]] == ["t"]
    ask("DeletePreparedStatement", **prepared)
    ask("DeleteNamedQuery", **named)
    ask("DeleteDataCatalog", Name=catalog)
    ask("DeleteWorkGroup", WorkGroup=group, RecursiveDeleteOption=True)
    assert seen == operations()["athena"]


COLUMN = {"Name": "id", "Type": "int"}
STATISTICS = {
    "ColumnName": "id",
    "ColumnType": "int",
    "AnalyzedTime": 1_700_000_000,
    "StatisticsData": {
        "Type": "LONG",
        "LongColumnStatisticsData": {
            "NumberOfNulls": 0,
            "NumberOfDistinctValues": 3,
            "MinimumValue": 1,
            "MaximumValue": 3,
        },
    },
}


def test_glue_answers_have_the_models_shape(server: Any, call: Call) -> None:
    seen: set[str] = set()

    def ask(name: str, **request: Any) -> dict[str, Any]:
        seen.add(name)
        return call("glue", name, request)

    database = f"db_{uuid.uuid4().hex[:8]}"
    ask("CreateDatabase", DatabaseInput={"Name": database}, Tags={"a": "b"})
    ask("GetDatabase", Name=database)
    ask("GetDatabases", MaxResults=1)
    ask("UpdateDatabase", Name=database, DatabaseInput={"Name": database, "Description": "d"})
    arn = f"arn:aws:glue:us-east-2:000000000000:database/{database}"
    ask("TagResource", ResourceArn=arn, TagsToAdd={"c": "d"})
    ask("UntagResource", ResourceArn=arn, TagsToRemove=["a"])
    assert ask("GetTags", ResourceArn=arn)["Tags"] == {"c": "d"}
    table = {
        "Name": "T",
        "StorageDescriptor": {"Columns": [COLUMN], "Location": "s3://b/t", "SerdeInfo": {"Parameters": {"x": "y"}}},
        "PartitionKeys": [{"Name": "day", "Type": "date"}],
        "Retention": 0,
        "LastAccessTime": 1_700_000_000,
    }  # fmt: skip
    index = {"Keys": ["day"], "IndexName": "by_day"}
    ask("CreateTable", DatabaseName=database, TableInput=table, PartitionIndexes=[index])
    where = {"DatabaseName": database, "TableName": "t"}
    ask("GetTable", DatabaseName=database, Name="T")
    assert len(ask("GetTables", DatabaseName=database, Expression="t.*")["TableList"]) == 1
    ask("UpdateTable", DatabaseName=database, TableInput={**table, "Description": "new"}, VersionId="0")
    found = ask("SearchTables", SearchText="new", Filters=[{"Key": "DatabaseName", "Value": database}])
    assert [one["Name"] for one in found["TableList"]] == ["t"]
    ask("GetTableVersion", **where)
    ask("GetTableVersions", **where)
    ask("DeleteTableVersion", VersionId="0", **where)
    ask("BatchDeleteTableVersion", VersionIds=["0"], **where)
    descriptor = {"Columns": [COLUMN], "Location": "s3://b/t/1"}
    one = {"Values": ["2025-01-01"], "StorageDescriptor": descriptor}
    two = {"Values": ["2025-01-02"], "StorageDescriptor": descriptor}
    ask("CreatePartition", PartitionInput=one, **where)
    ask("BatchCreatePartition", PartitionInputList=[one, two], **where)
    ask("GetPartition", PartitionValues=one["Values"], **where)
    ask("GetPartitions", Expression="day > '2025-01-01'", **where)
    ask("BatchGetPartition", PartitionsToGet=[{"Values": one["Values"]}], **where)
    ask("UpdatePartition", PartitionValueList=one["Values"], PartitionInput=one, **where)
    entries = [{"PartitionValueList": ["2030-01-01"], "PartitionInput": one}]
    ask("BatchUpdatePartition", Entries=entries, **where)
    partition = {**where, "PartitionValues": one["Values"]}
    for owner, kind in ((where, "Table"), (partition, "Partition")):
        unknown = {**STATISTICS, "ColumnName": "nothing"}
        answer = ask(f"UpdateColumnStatisticsFor{kind}", ColumnStatisticsList=[STATISTICS, unknown], **owner)
        assert [error["ColumnStatistics"]["ColumnName"] for error in answer["Errors"]] == ["nothing"]
        answer = ask(f"GetColumnStatisticsFor{kind}", ColumnNames=["ID", "nothing"], **owner)
        assert answer["ColumnStatisticsList"] == [STATISTICS]
        assert [error["ColumnName"] for error in answer["Errors"]] == ["nothing"]
        ask(f"DeleteColumnStatisticsFor{kind}", ColumnName="id", **owner)
    ask("CreatePartitionIndex", PartitionIndex={"Keys": ["day"], "IndexName": "again"}, **where)
    indexes = ask("GetPartitionIndexes", **where)["PartitionIndexDescriptorList"]
    assert [(one["IndexName"], one["Keys"]) for one in indexes] == [
        ("again", [{"Name": "day", "Type": "date"}]),
        ("by_day", [{"Name": "day", "Type": "date"}]),
    ]
    ask("DeletePartitionIndex", IndexName="again", **where)
    ask("DeletePartition", PartitionValues=one["Values"], **where)
    ask("BatchDeletePartition", PartitionsToDelete=[{"Values": ["2030-01-01"]}], **where)
    function = {"DatabaseName": database, "FunctionName": "F"}
    body = {"FunctionName": "F", "ClassName": "x.Y", "OwnerName": "me", "OwnerType": "USER"}
    ask("CreateUserDefinedFunction", DatabaseName=database, FunctionInput=body)
    ask("UpdateUserDefinedFunction", FunctionInput={**body, "ClassName": "x.Z"}, **function)
    assert ask("GetUserDefinedFunction", **function)["UserDefinedFunction"]["ClassName"] == "x.Z"
    functions = ask("GetUserDefinedFunctions", DatabaseName=database, Pattern="*")["UserDefinedFunctions"]
    assert [one["FunctionName"] for one in functions] == ["f"]
    ask("DeleteUserDefinedFunction", **function)
    policy_hash = ask("PutResourcePolicy", PolicyInJson="{}")["PolicyHash"]
    assert ask("GetResourcePolicy")["PolicyInJson"] == "{}"
    assert len(ask("GetResourcePolicies")["GetResourcePoliciesResponseList"]) == 1
    ask("DeleteResourcePolicy", PolicyHashCondition=policy_hash)
    ask("GetCatalog", CatalogId="000000000000")
    ask("GetCatalogs")
    ask("GetCatalogImportStatus")
    ask("GetDataCatalogEncryptionSettings")
    ask("DeleteTable", DatabaseName=database, Name="t")
    assert ask("BatchDeleteTable", DatabaseName=database, TablesToDelete=["t"])["Errors"]
    ask("DeleteDatabase", Name=database)
    assert seen == operations()["glue"]


TEXTS = [
    *("", "a", "default", "primary", "nothing", "a" * 300, "ä漢🙂", "\x00", "a\nb"),
    *("s3://b/x", "*", "(", "select 1", "%", "'", "-1", "{}", "A.b/c d"),
]
NUMBERS = [-1, 0, 1, 50, 1000, 2**31, 2**63, 10**30, 1.5]


def made_up(shape: Shape, chance: random.Random, depth: int = 0) -> Any:
    """Return a value mostly of a shape: members left out, texts and numbers from anywhere, now and then another type."""
    if chance.random() < 0.04:
        return chance.choice([None, "x", 7, True, [], {}, [None], {"a": None}])
    if getattr(shape, "is_document_type", False):
        return {"type": "struct"}
    kind = shape.type_name
    if kind == "structure":
        return {
            name: made_up(member, chance, depth + 1)
            for name, member in shape.members.items()
            if name in shape.required_members or (depth < 4 and chance.random() < 0.4)
        }
    if kind == "list":
        return [made_up(shape.member, chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == "map":
        return {
            chance.choice(TEXTS): made_up(shape.value, chance, depth + 1) for _ in range(chance.randrange(3))
        }
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in {"string", "blob"}:
        return chance.choice([*(shape.metadata.get("enum") or []), *TEXTS])
    return chance.choice(NUMBERS)


@pytest.mark.parametrize("service", ["athena", "glue"])
def test_no_request_ends_in_an_internal_error(
    server: Any, models: dict[str, ServiceModel], service: str
) -> None:
    chance = random.Random(20_251_121)
    address = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
    statuses, failed = set(), []
    for name in sorted(operations()[service] - {"DeleteDatabase", "DeleteWorkGroup", "UpdateWorkGroup"}):
        shape = models[service].operation_model(name).input_shape
        for _ in range(25):
            request = made_up(shape, chance) if shape is not None else {}
            if name == "StartQueryExecution" and isinstance(request, dict):
                request["ClientRequestToken"] = str(uuid.uuid4())
            headers = {
                "X-Amz-Target": f"{TARGETS[service]}.{name}",
                "Content-Type": "application/x-amz-json-1.1",
            }
            connection.request("POST", "/", json.dumps(request), headers)
            with connection.getresponse() as answer:
                text = answer.read()
            statuses.add(answer.status)
            if answer.status != 200 and not json.loads(text)["__type"].endswith("Exception"):
                failed.append((name, request, text))
            if answer.status not in {200, 400}:
                failed.append((name, request, text))
    connection.close()
    assert failed == []
    assert statuses == {200, 400}
    for database in server.glue.get_databases()["DatabaseList"]:
        if database["Name"] in {text.lower() for text in TEXTS} - {"default"}:
            server.glue.delete_database(Name=database["Name"])
