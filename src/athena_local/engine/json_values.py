"""Values of the JSON SerDes: how OpenX's and Hive's turn what a line holds into a column's type.

OpenX is lenient: text is parsed for numbers, one value makes a list, what does not parse is NULL. Hive's is strict: a value
that is not of its column's kind ends the query. Both keep an object that stands in a text column as its JSON (OpenX) or
refuse it (Hive). Expressions in and out are SQL; JSON values are DuckDB's JSON.
"""

from __future__ import annotations

from athena_local.engine import values
from athena_local.engine.errors import raising
from athena_local.engine.formats import Format
from athena_local.engine.lines import NUMBER_MARK
from athena_local.engine.values import literal
from athena_local.errors import QueryError
from athena_local.types import AthenaType

_ZONED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+(?:[zZ]|[+-][0-9]{2}:?[0-9]{2})$"


def is_plain(kind: AthenaType, form: Format) -> bool:
    """Tell whether a column may be read as text: quicker by far, and all that OpenX looks at where nothing is nested."""
    return form.kind == "json" and kind.base not in {"array", "map", "row"}


def plain(kind: AthenaType, text: str, form: Format, marked: bool) -> str:
    """Return the SQL of a value of type `kind`, given that of its text, an object's or list's being its JSON."""
    if kind.base in {"varchar", "char"}:
        return values.shortened(_unmarked(text) if marked else text, kind)
    parsed = _lenient(kind, f"ltrim({text}, {literal(NUMBER_MARK)})" if marked else text, form)
    if kind.base == "varbinary":
        return parsed
    refused = _bad(f"JSON object or array can not be coerced to a {kind.trino().upper()}")
    return f"CASE WHEN {text} GLOB '[{{[]*' THEN {refused} ELSE {parsed} END"


def _unmarked(text: str) -> str:
    quoted = rf"regexp_replace({text}, '\"{NUMBER_MARK}([^\"]*)\"', '\1', 'g')"
    return f"CASE WHEN contains({text}, {literal(NUMBER_MARK)}) THEN ltrim({quoted}, {literal(NUMBER_MARK)}) ELSE {text} END"


def value(kind: AthenaType, json: str, form: Format, depth: int = 0) -> str:
    """Return the SQL of a value of type `kind`, given that of its JSON."""
    strict = form.kind == "hive_json"
    if kind.base == "array":
        return _array(kind, json, form, depth, strict)
    if kind.base == "map":
        return _map(kind, json, form, depth, strict)
    if kind.base == "row":
        return _row(kind, json, form, depth, strict)
    text = f"ltrim({json} ->> '$', {literal(NUMBER_MARK)})"
    if kind.base in {"varchar", "char"} and not strict:
        exact = rf"regexp_replace(CAST({json} AS VARCHAR), '\"{NUMBER_MARK}([^\"]*)\"', '\1', 'g')"
        shown = f"CASE WHEN json_type({json}) IN ('OBJECT', 'ARRAY') THEN {exact} ELSE {text} END"
        return values.shortened(shown, kind)
    parsed = _strict(kind, text, json, form) if strict else _lenient(kind, text, form)
    refused = (
        f"Invalid JSON: {kind.trino()} value must be a scalar json value"
        if strict
        else f"JSON object or array can not be coerced to a {kind.trino().upper()}"
    )
    return f"CASE WHEN json_type({json}) IN ('OBJECT', 'ARRAY') THEN {_bad(refused)} ELSE {parsed} END"


def _bad(text: str) -> str:
    return f"error({literal(raising('HIVE_BAD_DATA', text))})"


def _lenient(kind: AthenaType, text: str, form: Format) -> str:
    if kind.base == "boolean":
        return f"lower({text}) = 'true'"
    if kind.is_integer:
        target = kind.duckdb()
        return (
            f"CASE WHEN {values.only(text, values.DIGITS)} OR regexp_full_match({text}, '0[xX][0-9a-fA-F]+')"
            f" THEN TRY_CAST({text} AS {target})"
            f" WHEN {values.only(text, values.NUMBER)} THEN TRY_CAST(trunc(TRY_CAST({text} AS DOUBLE)) AS {target}) END"
        )
    if kind.base in {"real", "double"}:
        return values.floating(text, kind)
    if kind.base == "decimal":
        return values.decimal(text, kind)
    if kind.base == "date":
        return f"coalesce({values.date(text)}, DATE '1970-01-01' + TRY_CAST({text} AS INTEGER))"
    if kind.base == "timestamp":
        return _moment(text, form)
    if kind.base == "varbinary":
        return f"from_base64({text})"
    raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {kind.trino()}")


def _moment(text: str, form: Format) -> str:
    """A time with a zone becomes UTC's; a number is seconds, or milliseconds when it has 13 digits or more."""
    whole = f"TRY_CAST({text} AS BIGINT)"
    utc = values.to_millis(f"TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'")
    return (
        f"CASE WHEN regexp_full_match({text}, '-?[0-9]+') THEN"
        f" TRY(make_timestamp({whole} * CASE WHEN length({text}) >= 13 THEN 1000 ELSE 1000000 END))"
        f" WHEN regexp_full_match({text}, '-?[0-9]*\\.[0-9]*')"
        f" THEN TRY(make_timestamp(CAST(trunc(TRY_CAST({text} AS DECIMAL(28, 9)) * 1000) AS BIGINT) * 1000))"
        f" WHEN regexp_full_match({text}, {literal(_ZONED)})"
        f" THEN {utc}"
        f" ELSE {values.timestamp(text, form.timestamp_formats)} END"
    )


def _strict(kind: AthenaType, text: str, json: str, form: Format) -> str:
    if kind.base in {"varchar", "char"}:
        return values.shortened(text, kind)
    if kind.base == "boolean":
        return f"lower({text}) = 'true'"
    if kind.base == "varbinary":
        return f"encode({text})"
    if kind.is_integer:
        parsed = f"TRY_CAST(trunc(TRY_CAST({text} AS DECIMAL(38, 6))) AS {kind.duckdb()})"
    elif kind.base in {"real", "double"}:
        parsed = values.floating(text, kind)
    elif kind.base == "decimal":
        return values.decimal(text, kind)
    elif kind.base == "date":
        parsed = values.date(text)
    elif kind.base == "timestamp":
        parsed = values.timestamp(text, form.timestamp_formats)
    else:
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {kind.trino()}")
    if (
        kind.is_numeric
    ):  # a number in quotes is none; the mark stands before those that were quoted for exactness
        quoted = f"json_type({json}) = 'VARCHAR' AND NOT starts_with({json} ->> '$', {literal(NUMBER_MARK)})"
        parsed = f"CASE WHEN NOT ({quoted}) THEN {parsed} END"
    wrong = literal(raising("HIVE_BAD_DATA", f"Invalid JSON: '@@' is not a {kind.trino()}"))
    message = wrong.replace("@@", f"' || {text} || '")
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN {parsed} IS NULL THEN error({message}) ELSE {parsed} END"


def _array(kind: AthenaType, json: str, form: Format, depth: int, strict: bool) -> str:
    item = f"_item{depth}"
    inner = value(kind.element, item, form, depth + 1)
    items = f"list_transform(CAST({json} AS JSON[]), LAMBDA {item} : {inner})"
    if strict:
        other = _bad("Invalid JSON: start of array expected")
    else:
        one = value(kind.element, json, form, depth + 1)
        other = f"CASE WHEN {json} ->> '$' = '' THEN NULL ELSE [{one}] END"
    return f"CASE coalesce(json_type({json}), 'NULL') WHEN 'NULL' THEN NULL WHEN 'ARRAY' THEN {items} ELSE {other} END"


def _map(kind: AthenaType, json: str, form: Format, depth: int, strict: bool) -> str:
    item = f"_item{depth}"
    key = (
        _lenient(kind.key, f"{item}.key", form) if kind.key.base not in {"varchar", "char"} else f"{item}.key"
    )
    held = value(kind.value, f"{item}.value", form, depth + 1)
    entries = f"map_entries(CAST({json} AS MAP(VARCHAR, JSON)))"
    pairs = f"map_from_entries(list_transform({entries}, LAMBDA {item} : row({key}, {held})))"
    text = "Invalid JSON: start of object expected" if strict else "Primitive can not be coerced to a MAP"
    blank = "" if strict else f" WHEN trim({json} ->> '$') = '' THEN NULL"
    return (
        f"CASE WHEN coalesce(json_type({json}), 'NULL') = 'NULL' THEN NULL{blank}"
        f" WHEN json_type({json}) = 'OBJECT' THEN {pairs} ELSE {_bad(text)} END"
    )


def _row(kind: AthenaType, json: str, form: Format, depth: int, strict: bool) -> str:
    def packed(paths: list[str]) -> str:
        fields = [
            f'"{name}" := ' + value(field, f"json_extract({json}, {literal(path)})", form, depth + 1)
            for (name, field), path in zip(kind.fields, paths, strict=True)
        ]
        return f"struct_pack({', '.join(fields)})"

    by_name = packed([f'$."{name}"' for name, _ in kind.fields])
    cases = f" WHEN json_type({json}) = 'OBJECT' THEN {by_name}"
    text = "Invalid JSON: start of object expected"
    if not strict:
        by_place = packed([f"$[{index}]" for index in range(len(kind.fields))])
        nulls = ", ".join(f'"{name}" := CAST(NULL AS {field.duckdb()})' for name, field in kind.fields)
        cases += f" WHEN json_type({json}) = 'ARRAY' THEN {by_place}"
        cases += f" WHEN trim({json} ->> '$') = '' THEN struct_pack({nulls})"
        text = "Primitive can not be coerced to a ROW"
    return f"CASE WHEN coalesce(json_type({json}), 'NULL') = 'NULL' THEN NULL{cases} ELSE {_bad(text)} END"
