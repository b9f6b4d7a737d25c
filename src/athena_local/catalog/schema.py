"""The catalog's SQLite schema. Bodies are JSON in Glue's wire shape; what is queried by has a column of its own."""

SCHEMA = """
create table if not exists databases (
    name text primary key,
    created real not null,
    body text not null
) without rowid;

create table if not exists tables (
    id integer primary key autoincrement,
    database text not null references databases (name) on delete cascade,
    name text not null,
    version integer not null,
    created real not null,
    updated real not null,
    body text not null,
    unique (database, name)
);

-- every archived version and the current one
create table if not exists table_versions (
    table_id integer not null references tables (id) on delete cascade,
    version integer not null,
    updated real not null,
    body text not null,
    primary key (table_id, version)
) without rowid;

create table if not exists partitions (
    table_id integer not null references tables (id) on delete cascade,
    partition_values text not null,
    created real not null,
    body text not null,
    primary key (table_id, partition_values)
) without rowid;

-- of a table (partition_values = '') or of one of its partitions
create table if not exists column_statistics (
    table_id integer not null references tables (id) on delete cascade,
    partition_values text not null,
    column_name text not null,
    body text not null,
    primary key (table_id, partition_values, column_name)
) without rowid;

create table if not exists partition_indexes (
    table_id integer not null references tables (id) on delete cascade,
    name text not null,
    keys text not null,
    primary key (table_id, name)
) without rowid;

create table if not exists functions (
    database text not null references databases (name) on delete cascade,
    name text not null,
    created real not null,
    body text not null,
    primary key (database, name)
) without rowid;

-- tags by ARN, and the resource policy
create table if not exists settings (
    kind text not null,
    key text not null,
    body text not null,
    primary key (kind, key)
) without rowid;
"""
