"""The statements Athena knows, parsed: what `parse_statement` returns and `statements.execute` dispatches on.

Queries inside are sqlglot trees of the Athena dialect, nothing resolved yet. `statement_type` and `substatement_type` are
what Athena reports of a query execution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sqlglot import exp

from athena_local.errors import QueryError
from athena_local.types import Column

Position = tuple[int, int]
PropertyValue = str | bool | int | float | list[str]


@dataclass(frozen=True)
class TableName:
    """A name as written, folded to lower case; `database` is None when the query's own is meant."""

    database: str | None
    name: str
    position: Position | None = None

    def __str__(self) -> str:
        return f"{self.database}.{self.name}" if self.database else self.name


@dataclass(frozen=True)
class Statement:
    statement_type: ClassVar[str] = "DDL"
    substatement: ClassVar[str] = ""

    @property
    def substatement_type(self) -> str:
        return self.substatement


@dataclass(frozen=True)
class Select(Statement):
    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "SELECT"
    query: exp.Expression


@dataclass(frozen=True)
class Explain(Statement):
    """`form`: text, json or graphviz. `kind`: logical, distributed, validate or io. ANALYZE runs the statement."""

    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "EXPLAIN"
    statement: Statement
    form: str = "text"
    kind: str = "distributed"
    analyze: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Prepare(Statement):
    """PREPARE; `text` is the statement as written, its `?` open."""

    statement_type: ClassVar[str] = "UTILITY"
    substatement: ClassVar[str] = "PREPARE"
    name: str
    text: str


@dataclass(frozen=True)
class Execute(Statement):
    """EXECUTE; `values` are SQL texts for the `?` of what was prepared. Replaced by that statement before it runs."""

    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "EXECUTE"
    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deallocate(Statement):
    statement_type: ClassVar[str] = "UTILITY"
    substatement: ClassVar[str] = "DEALLOCATE"
    name: str


@dataclass(frozen=True)
class CreateDatabase(Statement):
    substatement: ClassVar[str] = "CREATE_DATABASE"
    name: str
    if_not_exists: bool = False
    comment: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AlterDatabase(Statement):
    """ALTER DATABASE … SET DBPROPERTIES."""

    substatement: ClassVar[str] = "ALTER_DATABASE"
    name: str
    properties: dict[str, str]


@dataclass(frozen=True)
class DropDatabase(Statement):
    substatement: ClassVar[str] = "DROP_DATABASE"
    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class RowFormat:
    """ROW FORMAT: either a SerDe class with its properties, or DELIMITED, whose clauses are SerDe properties too."""

    serde: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateTable(Statement):
    """CREATE [EXTERNAL] TABLE with columns.

    `partition_transforms` is Iceberg's PARTITIONED BY (`month(d)`, `bucket(5, a)`).
    """

    substatement: ClassVar[str] = "CREATE_TABLE"
    table: TableName
    columns: tuple[Column, ...]
    external: bool = False
    if_not_exists: bool = False
    comment: str | None = None
    partition_columns: tuple[Column, ...] = ()
    partition_transforms: tuple[str, ...] = ()
    bucket_columns: tuple[str, ...] = ()
    bucket_count: int | None = None
    row_format: RowFormat | None = None
    stored_as: str | None = None
    input_format: str | None = None
    output_format: str | None = None
    location: str | None = None
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def is_iceberg(self) -> bool:
        return self.properties.get("table_type", "").lower() == "iceberg"


@dataclass(frozen=True)
class CreateTableAs(Statement):
    """CTAS. Keys of `properties` in lower case: table_type, format, partitioned_by, partitioning, location …"""

    substatement: ClassVar[str] = "CREATE_TABLE_AS_SELECT"
    table: TableName
    query: exp.Expression
    properties: dict[str, PropertyValue] = field(default_factory=dict)
    if_not_exists: bool = False
    with_data: bool = True
    comment: str | None = None

    @property
    def is_iceberg(self) -> bool:
        return str(self.properties.get("table_type", "hive")).lower() == "iceberg"


@dataclass(frozen=True)
class Insert(Statement):
    """INSERT INTO; `columns` empty when none were listed; VALUES is a query too."""

    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "INSERT"
    table: TableName
    query: exp.Expression
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unload(Statement):
    """UNLOAD; `location` as written, keys of `properties` in lower case: format, compression, field_delimiter …"""

    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "UNLOAD"
    query: exp.Expression
    location: str
    properties: dict[str, PropertyValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Delete(Statement):
    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "DELETE"
    table: TableName
    where: exp.Expression | None = None


@dataclass(frozen=True)
class Update(Statement):
    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "UPDATE"
    table: TableName
    assignments: tuple[tuple[str, exp.Expression], ...]
    where: exp.Expression | None = None


@dataclass(frozen=True)
class MergeClause:
    """One WHEN. `action`: insert, update or delete; insert has `columns` and `values`, update has `assignments`."""

    matched: bool
    action: str
    condition: exp.Expression | None = None
    assignments: tuple[tuple[str, exp.Expression], ...] = ()
    columns: tuple[str, ...] = ()
    values: tuple[exp.Expression, ...] = ()


@dataclass(frozen=True)
class Merge(Statement):
    """MERGE INTO; `source` is a FROM item (a table or an aliased subquery) as sqlglot parsed it."""

    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "MERGE"
    table: TableName
    alias: str | None
    source: exp.Expression
    on: exp.Expression
    clauses: tuple[MergeClause, ...]


@dataclass(frozen=True)
class CreateView(Statement):
    """`text` is the query as written: it is what is stored."""

    substatement: ClassVar[str] = "CREATE_VIEW"
    view: TableName
    query: exp.Expression
    text: str
    or_replace: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class DropTable(Statement):
    substatement: ClassVar[str] = "DROP_TABLE"
    table: TableName
    if_exists: bool = False


@dataclass(frozen=True)
class DropView(Statement):
    substatement: ClassVar[str] = "DROP_VIEW"
    view: TableName
    if_exists: bool = False


@dataclass(frozen=True)
class PartitionSpec:
    """PARTITION (k = v, …) with an optional LOCATION; values as text, None for a key without one."""

    values: tuple[tuple[str, str | None], ...]
    location: str | None = None


@dataclass(frozen=True)
class AddColumns:
    columns: tuple[Column, ...]
    partition: PartitionSpec | None = None
    substatement: ClassVar[str] = "ALTER_TABLE_ADD_COLUMN"


@dataclass(frozen=True)
class ReplaceColumns:
    columns: tuple[Column, ...]
    substatement: ClassVar[str] = "ALTER_TABLE_REPLACE_COLUMN"


@dataclass(frozen=True)
class ChangeColumn:
    name: str
    column: Column
    first: bool = False
    after: str | None = None
    substatement: ClassVar[str] = "ALTER_TABLE_CHANGE_COLUMN"


@dataclass(frozen=True)
class DropColumn:
    name: str
    substatement: ClassVar[str] = "ALTER_TABLE_DROP_COLUMN"


@dataclass(frozen=True)
class RenameTable:
    to: TableName
    substatement: ClassVar[str] = "ALTER_TABLE_RENAME"


@dataclass(frozen=True)
class AddPartitions:
    partitions: tuple[PartitionSpec, ...]
    if_not_exists: bool = False
    substatement: ClassVar[str] = "ALTER_TABLE_ADD_PARTITION"


@dataclass(frozen=True)
class DropPartitions:
    partitions: tuple[PartitionSpec, ...]
    if_exists: bool = False
    substatement: ClassVar[str] = "ALTER_TABLE_DROP_PARTITION"


@dataclass(frozen=True)
class RenamePartition:
    partition: PartitionSpec
    to: PartitionSpec
    substatement: ClassVar[str] = "ALTER_TABLE_RENAME_PARTITION"


@dataclass(frozen=True)
class SetLocation:
    location: str
    partition: PartitionSpec | None = None
    substatement: ClassVar[str] = "ALTER_TABLE_SET_LOCATION"


@dataclass(frozen=True)
class SetProperties:
    properties: dict[str, str]
    substatement: ClassVar[str] = "ALTER_TABLE_PROPERTIES"


@dataclass(frozen=True)
class UnsetProperties:
    keys: tuple[str, ...]
    substatement: ClassVar[str] = "ALTER_TABLE_PROPERTIES"


AlterAction = (
    AddColumns
    | ReplaceColumns
    | ChangeColumn
    | DropColumn
    | RenameTable
    | AddPartitions
    | DropPartitions
    | RenamePartition
    | SetLocation
    | SetProperties
    | UnsetProperties
)


@dataclass(frozen=True)
class AlterTable(Statement):
    table: TableName
    action: AlterAction

    @property
    def substatement_type(self) -> str:
        return self.action.substatement


@dataclass(frozen=True)
class RepairTable(Statement):
    substatement: ClassVar[str] = "MSCK_REPAIR"
    table: TableName


@dataclass(frozen=True)
class Show(Statement):
    """`kind`: databases, tables, views, columns, partitions, create_table, create_view, tblproperties.

    `database` for tables and views, `table` for the rest; `pattern` is Hive's (`*` and `|`); `key` is one property's name;
    `partition` narrows SHOW PARTITIONS. `refused` is the answer when the name turns out to be a table's.
    """

    statement_type: ClassVar[str] = "UTILITY"
    kind: str
    database: str | None = None
    table: TableName | None = None
    pattern: str | None = None
    key: str | None = None
    partition: PartitionSpec | None = None
    refused: QueryError | None = None

    @property
    def substatement_type(self) -> str:
        return "SHOW_TABLE_PROPERTIES" if self.kind == "tblproperties" else f"SHOW_{self.kind.upper()}"


@dataclass(frozen=True)
class Describe(Statement):
    """`mode`: "", formatted or extended. `refused` is the answer when the name turns out to be a table's."""

    statement_type: ClassVar[str] = "UTILITY"
    table: TableName
    mode: str = ""
    partition: PartitionSpec | None = None
    column: str | None = None
    view: bool = False
    refused: QueryError | None = None

    @property
    def substatement_type(self) -> str:
        return "DESCRIBE_VIEW" if self.view else "DESCRIBE_TABLE"


@dataclass(frozen=True)
class Optimize(Statement):
    """OPTIMIZE t REWRITE DATA USING BIN_PACK [WHERE …]."""

    statement_type: ClassVar[str] = "DDL"
    substatement: ClassVar[str] = "OPTIMIZE"
    table: TableName
    where: exp.Expression | None = None


@dataclass(frozen=True)
class Vacuum(Statement):
    statement_type: ClassVar[str] = "DML"
    substatement: ClassVar[str] = "VACUUM"
    table: TableName
