"""Glue on the wire: statistics, partition indexes, functions, tags, the resource policy, and the account's one catalog."""

from __future__ import annotations

import re

from athena_local.catalog import Catalog, CatalogExtras, EntityNotFoundError
from athena_local.protocol.glue_errors import malformed_token
from athena_local.protocol.wire import Record, operation, page

PAGE_SIZE = 100
_ARN = re.compile(
    r"arn:aws[\w-]*:glue:[\w-]*:\d{12}:(?P<kind>catalog|database|table|userDefinedFunction)(?:/(?P<path>.+))?"
)


class GlueExtrasService:
    def __init__(self, catalog: Catalog, extras: CatalogExtras, region: str) -> None:
        self._catalog, self._extras = catalog, extras
        self._region = region

    # column statistics

    @operation("UpdateColumnStatisticsForTable")
    def update_column_statistics_for_table(self, request: Record) -> Record:
        database, table = _table(request)
        return {"Errors": self._extras.put_statistics(database, table, None, request["ColumnStatisticsList"])}

    @operation("UpdateColumnStatisticsForPartition")
    def update_column_statistics_for_partition(self, request: Record) -> Record:
        database, table = _table(request)
        values, statistics = request["PartitionValues"], request["ColumnStatisticsList"]
        return {"Errors": self._extras.put_statistics(database, table, values, statistics)}

    @operation("GetColumnStatisticsForTable")
    def get_column_statistics_for_table(self, request: Record) -> Record:
        found, errors = self._extras.get_statistics(*_table(request), None, request["ColumnNames"])
        return {"ColumnStatisticsList": found, "Errors": errors}

    @operation("GetColumnStatisticsForPartition")
    def get_column_statistics_for_partition(self, request: Record) -> Record:
        found, errors = self._extras.get_statistics(
            *_table(request), request["PartitionValues"], request["ColumnNames"]
        )
        return {"ColumnStatisticsList": found, "Errors": errors}

    @operation("DeleteColumnStatisticsForTable")
    def delete_column_statistics_for_table(self, request: Record) -> Record:
        self._extras.delete_statistics(*_table(request), None, request["ColumnName"])
        return {}

    @operation("DeleteColumnStatisticsForPartition")
    def delete_column_statistics_for_partition(self, request: Record) -> Record:
        self._extras.delete_statistics(*_table(request), request["PartitionValues"], request["ColumnName"])
        return {}

    # partition indexes: kept and shown as active; every read of partitions is quick without them

    @operation("CreatePartitionIndex")
    def create_partition_index(self, request: Record) -> Record:
        self._extras.create_index(*_table(request), request["PartitionIndex"])
        return {}

    @operation("GetPartitionIndexes")
    def get_partition_indexes(self, request: Record) -> Record:
        return {"PartitionIndexDescriptorList": self._extras.get_indexes(*_table(request))}

    @operation("DeletePartitionIndex")
    def delete_partition_index(self, request: Record) -> Record:
        self._extras.delete_index(*_table(request), request["IndexName"])
        return {}

    # user-defined functions

    @operation("CreateUserDefinedFunction")
    def create_user_defined_function(self, request: Record) -> Record:
        self._extras.create_function(request["DatabaseName"], request["FunctionInput"])
        return {}

    @operation("UpdateUserDefinedFunction")
    def update_user_defined_function(self, request: Record) -> Record:
        self._extras.update_function(
            request["DatabaseName"], request["FunctionName"], request["FunctionInput"]
        )
        return {}

    @operation("DeleteUserDefinedFunction")
    def delete_user_defined_function(self, request: Record) -> Record:
        self._extras.delete_function(request["DatabaseName"], request["FunctionName"])
        return {}

    @operation("GetUserDefinedFunction")
    def get_user_defined_function(self, request: Record) -> Record:
        name = request["FunctionName"]
        found = self._extras.get_functions(request["DatabaseName"], re.escape(name))
        if not found:
            raise EntityNotFoundError(f"Function {name} not found.")
        return {"UserDefinedFunction": found[0]}

    @operation("GetUserDefinedFunctions")
    def get_user_defined_functions(self, request: Record) -> Record:
        found, more = page(
            self._extras.get_functions(request.get("DatabaseName"), request["Pattern"]),
            request,
            key=lambda function: f"{function['DatabaseName']}\t{function['FunctionName']}",
            limit=PAGE_SIZE,
            malformed=malformed_token,
        )
        return {"UserDefinedFunctions": found, **more}

    # tags

    @operation("TagResource")
    def tag_resource(self, request: Record) -> Record:
        arn = self._tagged(request["ResourceArn"])
        self._extras.put_tags(arn, self._extras.get_tags(arn) | request["TagsToAdd"])
        return {}

    @operation("UntagResource")
    def untag_resource(self, request: Record) -> Record:
        arn, gone = self._tagged(request["ResourceArn"]), set(request["TagsToRemove"])
        kept = {key: value for key, value in self._extras.get_tags(arn).items() if key not in gone}
        self._extras.put_tags(arn, kept)
        return {}

    @operation("GetTags")
    def get_tags(self, request: Record) -> Record:
        return {"Tags": self._extras.get_tags(self._tagged(request["ResourceArn"]))}

    def _tagged(self, arn: str) -> str:
        """Return the ARN if it names something of this catalog."""
        match = _ARN.fullmatch(arn)
        if match is None:
            raise EntityNotFoundError(f"Resource {arn} not found.")
        path = (match["path"] or "").split("/")
        if match["kind"] == "database":
            self._catalog.get_database(path[0])
        elif match["kind"] == "table":
            self._catalog.get_table(path[0], path[-1])
        elif match["kind"] == "userDefinedFunction" and not self._extras.get_functions(
            path[0], re.escape(path[-1])
        ):
            raise EntityNotFoundError(f"Function {path[-1]} not found.")
        return arn

    # the catalog itself

    @operation("GetCatalog")
    def get_catalog(self, request: Record) -> Record:
        if request["CatalogId"] != self._catalog.account_id:
            raise EntityNotFoundError(f"Catalog {request['CatalogId']} not found.")
        return {"Catalog": self._own()}

    @operation("GetCatalogs")
    def get_catalogs(self, _request: Record) -> Record:
        return {"CatalogList": [self._own()]}

    def _own(self) -> Record:
        account = self._catalog.account_id
        arn = f"arn:aws:glue:{self._region}:{account}:catalog"
        return {"CatalogId": account, "Name": account, "ResourceArn": arn}

    @operation("GetCatalogImportStatus")
    def get_catalog_import_status(self, _request: Record) -> Record:
        return {"ImportStatus": {"ImportCompleted": True}}

    @operation("GetDataCatalogEncryptionSettings")
    def get_data_catalog_encryption_settings(self, _request: Record) -> Record:
        return {
            "DataCatalogEncryptionSettings": {
                "EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"},
                "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
            }
        }

    # the resource policy

    @operation("GetResourcePolicy")
    def get_resource_policy(self, _request: Record) -> Record:
        return self._extras.get_policy()

    @operation("GetResourcePolicies")
    def get_resource_policies(self, _request: Record) -> Record:
        try:
            return {"GetResourcePoliciesResponseList": [self._extras.get_policy()]}
        except EntityNotFoundError:
            return {"GetResourcePoliciesResponseList": []}

    @operation("PutResourcePolicy")
    def put_resource_policy(self, request: Record) -> Record:
        conditions = {"MUST_EXIST": True, "NOT_EXIST": False}
        policy_hash = self._extras.put_policy(
            request["PolicyInJson"],
            must_exist=conditions.get(request.get("PolicyExistsCondition", "NONE")),
            known_hash=request.get("PolicyHashCondition"),
        )
        return {"PolicyHash": policy_hash}

    @operation("DeleteResourcePolicy")
    def delete_resource_policy(self, request: Record) -> Record:
        self._extras.delete_policy(request.get("PolicyHashCondition"))
        return {}


def _table(request: Record) -> tuple[str, str]:
    return request["DatabaseName"], request["TableName"]
