"""String functions: one-based places in characters, negative ones from the end."""

from __future__ import annotations

from athena_local.sql.dialect import Text
from athena_local.sql.functions.signatures import Call, Function, failing, scalar, table
from athena_local.sql.scope import Typed

# what Java's Character.isWhitespace calls white: Trino trims them all, DuckDB spaces only
WHITESPACE = (
    " \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\u1680\u2000\u2001\u2002\u2003"
    "\u2004\u2005\u2006\u2008\u2009\u200a\u2028\u2029\u205f\u3000"
)
_EMPTY_DELIMITER = failing("The delimiter may not be the empty string")
_INDEX = failing("Index must be greater than zero")
_EMPTY_PAD = failing("Padding string must not be empty")
_SIZE = failing("Target length must be in the range [0..2147483647]")


def _trimmed(name: str) -> tuple[str, str, str, str]:
    return (
        "varchar(x) -> varchar(x)",
        f"{name}({{0}}, '{WHITESPACE}')",
        "varchar(x), CodePoints -> varchar(x)",
        f"{name}({{0}}, {{1}})",
    )


def _substring(call: Call) -> str:
    length = ", greatest({2}, 0)" if len(call.parts) > 2 else ""
    if call.number(1):
        return f"substr({{0}}, {{1}}{length})"
    empty = "{1} = 0 OR -{1} > length({0})"
    return f"CASE WHEN {empty} THEN left({{0}}, 0) ELSE substr({{0}}, {{1}}{length}) END"


def _binary_substring(call: Call) -> str:
    end = "{1} + {2} - 1" if len(call.parts) > 2 else "octet_length({0})"
    return f"CASE WHEN {{1}} = 0 OR -{{1}} > octet_length({{0}}) THEN ''::BLOB ELSE array_slice({{0}}, {{1}}, {end}) END"


def _padded(name: str) -> str:
    refused = (
        f"CASE WHEN {{1}} NOT BETWEEN 0 AND 2147483647 THEN {_SIZE} WHEN {{2}} = '' THEN {_EMPTY_PAD} ELSE "
    )
    return f"{refused}{name}({{0}}, CAST({{1}} AS INTEGER), {{2}}) END"


def _format(call: Call) -> str | Typed:
    texts, kinds = [], []
    for index, kind in enumerate(call.types[1:], start=1):
        base = kind.base if kind is not None else "unknown"
        kinds.append(f"'{base}'")
        texts.append(f"CAST({{{index}}} AS VARCHAR)" if base != "varchar" else f"{{{index}}}")
    text = f"trino_format({{0}}, [{', '.join(texts)}]::VARCHAR[], [{', '.join(kinds)}]::VARCHAR[])"
    return Typed(Text(this=text, expressions=[part.node for part in call.parts]), call.returns)


def _normalized(call: Call) -> str:
    form = call.sources[1].name.upper() if len(call.sources) > 1 else "NFC"
    return f"trino_normalize({{0}}, '{form}')"


def _char_length(call: Call) -> str:
    kind = call.types[0]
    return f"CASE WHEN {{0}} IS NOT NULL THEN CAST({(kind.precision if kind else None) or 1} AS BIGINT) END"


FUNCTIONS: dict[str, Function] = table(
    {
        "lower": scalar("varchar(x) -> varchar(x)", "lower({0})", "char(x) -> char(x)", "lower({0})"),
        "upper": scalar("varchar(x) -> varchar(x)", "upper({0})", "char(x) -> char(x)", "upper({0})"),
        "length": scalar(
            "char(x) -> bigint",
            _char_length,
            "varbinary -> bigint",
            "CAST(octet_length({0}) AS BIGINT)",
            "varchar(x) -> bigint",
            "length({0})",
        ),
        "trim": scalar(*_trimmed("trim")),
        "ltrim": scalar(*_trimmed("ltrim")),
        "rtrim": scalar(*_trimmed("rtrim")),
        "replace": scalar(
            "varchar(x), varchar(y) -> varchar(x)",
            "replace({0}, {1}, '')",
            "varchar(x), varchar(y), varchar(z) -> varchar",
            "CASE WHEN {1} = '' THEN trino_regexp_replace({0}, '', replace(replace({2}, '\\', '\\\\'), '$', '\\$'))"
            " ELSE replace({0}, {1}, {2}) END",
        ),
        "reverse": scalar(
            "varchar(x) -> varchar(x)",
            "reverse({0})",
            "varbinary -> varbinary",
            "trino_reverse_bytes({0})",
            "array(E) -> array(E)",
            "list_reverse({0})",
        ),
        "substr": scalar(
            "varchar(x), bigint -> varchar(x)",
            _substring,
            "varchar(x), bigint, bigint -> varchar(x)",
            _substring,
            "varbinary, bigint -> varbinary",
            _binary_substring,
            "varbinary, bigint, bigint -> varbinary",
            _binary_substring,
        ),
        "strpos": scalar(
            "varchar(x), varchar(y) -> bigint",
            "CAST(CASE WHEN {1} = '' THEN 1 ELSE strpos({0}, {1}) END AS BIGINT)",
            "varchar(x), varchar(y), bigint -> bigint",
            "trino_strpos_instance({0}, {1}, {2})",
        ),
        "starts_with": scalar("varchar(x), varchar(y) -> boolean", "starts_with({0}, {1})"),
        "lpad": scalar("varchar(x), bigint, varchar(y) -> varchar", _padded("lpad")),
        "rpad": scalar("varchar(x), bigint, varchar(y) -> varchar", _padded("rpad")),
        "split": scalar(
            "varchar(x), varchar(y) -> array(varchar(x))",
            f"CASE WHEN {{1}} = '' THEN {_EMPTY_DELIMITER} ELSE string_split({{0}}, {{1}}) END",
            "varchar(x), varchar(y), bigint -> array(varchar(x))",
            "trino_split_limit({0}, {1}, {2})",
        ),
        "split_part": scalar(
            "varchar(x), varchar(y), bigint -> varchar(x)",
            f"CASE WHEN {{2}} < 1 THEN {_INDEX} WHEN {{1}} = '' THEN {_EMPTY_DELIMITER}"
            " ELSE list_extract(string_split({0}, {1}), {2}) END",
        ),
        "split_to_map": scalar(
            "varchar, varchar, varchar -> map(varchar, varchar)", "trino_split_to_map({0}, {1}, {2})"
        ),
        "split_to_multimap": scalar(
            "varchar, varchar, varchar -> map(varchar, array(varchar))",
            "trino_split_to_multimap({0}, {1}, {2})",
        ),
        "concat": scalar(
            "varchar, varchar... -> varchar",
            "({||})",
            "varbinary, varbinary... -> varbinary",
            "({||})",
            "array(E), array(E)... -> array(E)",
            "({||})",
            "array(E), E -> array(E)",
            "list_append({0}, {1})",
            "E, array(E) -> array(E)",
            "list_prepend({0}, {1})",
        ),
        "concat_ws": scalar(
            "varchar, array(varchar) -> varchar",
            "CASE WHEN {1} IS NOT NULL THEN coalesce(array_to_string({1}, {0}), CASE WHEN {0} IS NOT NULL THEN '' END) END",
            "varchar, varchar... -> varchar",
            "concat_ws({*})",
        ),
        "chr": scalar("bigint -> varchar(1)", "chr(CAST({0} AS INTEGER))"),
        "codepoint": scalar("varchar(1) -> integer", "unicode({0})"),
        "translate": scalar("varchar(x), varchar(y), varchar(z) -> varchar", "translate({0}, {1}, {2})"),
        "levenshtein_distance": scalar("varchar(x), varchar(y) -> bigint", "trino_levenshtein({0}, {1})"),
        "hamming_distance": scalar("varchar(x), varchar(y) -> bigint", "trino_hamming({0}, {1})"),
        "soundex": scalar("varchar(x) -> varchar(4)", "trino_soundex({0})"),
        "luhn_check": scalar("varchar(x) -> boolean", "trino_luhn_check({0})"),
        "normalize": scalar(
            "varchar(x) -> varchar", _normalized, "varchar(x), varchar(y) -> varchar", _normalized
        ),
        "format": scalar("varchar, *... -> varchar", _format),
        "format_number": scalar("double -> varchar", "trino_format_number({0})"),
        "human_readable_seconds": scalar("double -> varchar", "trino_human_readable_seconds({0})"),
        "parse_presto_data_size": scalar(
            "varchar(x) -> decimal(38,0)", "CAST(trino_parse_data_size({0}) AS DECIMAL(38, 0))"
        ),
        "parse_data_size": scalar(
            "varchar(x) -> decimal(38,0)", "CAST(trino_parse_data_size({0}) AS DECIMAL(38, 0))"
        ),
        "url_extract_protocol": scalar("varchar(x) -> varchar(x)", "trino_url_extract_protocol({0})"),
        "url_extract_host": scalar("varchar(x) -> varchar(x)", "trino_url_extract_host({0})"),
        "url_extract_port": scalar("varchar(x) -> bigint", "trino_url_extract_port({0})"),
        "url_extract_path": scalar("varchar(x) -> varchar(x)", "trino_url_extract_path({0})"),
        "url_extract_query": scalar("varchar(x) -> varchar(x)", "trino_url_extract_query({0})"),
        "url_extract_fragment": scalar("varchar(x) -> varchar(x)", "trino_url_extract_fragment({0})"),
        "url_extract_parameter": scalar(
            "varchar(x), varchar(y) -> varchar(x)", "trino_url_extract_parameter({0}, {1})"
        ),
        "url_encode": scalar("varchar(x) -> varchar", "trino_url_encode({0})"),
        "url_decode": scalar("varchar(x) -> varchar(x)", "trino_url_decode({0})"),
    }
)
