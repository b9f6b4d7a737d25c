"""String, binary, hash and regular expression functions."""

from __future__ import annotations

from collections.abc import Sequence

from athena_local.sql.functions.signatures import Function, Type, common, first, scalar
from athena_local.types import (
    BIGINT,
    BOOLEAN,
    INTEGER,
    VARBINARY,
    VARCHAR,
    AthenaType,
    array_of,
)


def _length(types: Sequence[Type]) -> str:
    return "octet_length({0})" if types[0] == VARBINARY else "length({0})"


def _reverse(types: Sequence[Type]) -> str:
    return "list_reverse({0})" if types[0] and types[0].base == "array" else "reverse({0})"


def _concat(types: Sequence[Type]) -> str:
    return "(" + " || ".join(f"{{{index}}}" for index in range(len(types))) + ")"


FUNCTIONS: dict[str, Function] = {
    "lower": scalar("lower({0})", VARCHAR),
    "upper": scalar("upper({0})", VARCHAR),
    "length": scalar(_length, BIGINT),
    "char_length": scalar("length({0})", BIGINT),
    "character_length": scalar("length({0})", BIGINT),
    "trim": scalar("trim({0})", VARCHAR),
    "ltrim": scalar("ltrim({0})", VARCHAR),
    "rtrim": scalar("rtrim({0})", VARCHAR),
    "replace": scalar(
        lambda types: "replace({0}, {1}, {2})" if len(types) > 2 else "replace({0}, {1}, '')", VARCHAR, 2, 3
    ),
    "reverse": scalar(_reverse, first),
    "substr": scalar("substr({*})", VARCHAR, 2, 3),
    "substring": scalar("substr({*})", VARCHAR, 2, 3),
    "strpos": scalar("strpos({0}, {1})", BIGINT, 2),
    "position": scalar("strpos({1}, {0})", BIGINT, 2),
    "starts_with": scalar("starts_with({0}, {1})", BOOLEAN, 2),
    "lpad": scalar("lpad({0}, CAST({1} AS INTEGER), {2})", VARCHAR, 3),
    "rpad": scalar("rpad({0}, CAST({1} AS INTEGER), {2})", VARCHAR, 3),
    "split": scalar("string_split({0}, {1})", array_of(VARCHAR), 2),
    "split_part": scalar("list_extract(string_split({0}, {1}), {2})", VARCHAR, 3),
    "concat": scalar(_concat, common, 2, None),
    "concat_ws": scalar("concat_ws({*})", VARCHAR, 2, None),
    "chr": scalar("chr(CAST({0} AS INTEGER))", VARCHAR),
    "codepoint": scalar("unicode({0})", INTEGER),
    "translate": scalar("translate({0}, {1}, {2})", VARCHAR, 3),
    "levenshtein_distance": scalar("levenshtein({0}, {1})", BIGINT, 2),
    "hamming_distance": scalar("hamming({0}, {1})", BIGINT, 2),
    "normalize": scalar("nfc_normalize({0})", VARCHAR),
    "format": scalar("printf({*})", VARCHAR, 1, None),
    "to_utf8": scalar("encode({0})", VARBINARY),
    "from_utf8": scalar("decode({0})", VARCHAR),
    "to_hex": scalar("hex({0})", VARCHAR),
    "from_hex": scalar("unhex({0})", VARBINARY),
    "to_base64": scalar("to_base64({0})", VARCHAR),
    "from_base64": scalar("from_base64({0})", VARBINARY),
    "md5": scalar("unhex(md5({0}))", VARBINARY),
    "sha1": scalar("unhex(sha1({0}))", VARBINARY),
    "sha256": scalar("unhex(sha256({0}))", VARBINARY),
    "xxhash64": scalar("unhex(printf('%016x', hash({0})))", VARBINARY),
    "uuid": scalar("uuid()", AthenaType("uuid"), 0),
    "regexp_like": scalar("regexp_matches({0}, {1})", BOOLEAN, 2),
    "regexp_replace": scalar(
        lambda types: (
            "regexp_replace({0}, {1}, regexp_replace({2}, '\\$(\\d)', '\\\\\\1', 'g'), 'g')"
            if len(types) > 2
            else "regexp_replace({0}, {1}, '', 'g')"
        ),
        VARCHAR,
        2,
        3,
    ),
    "regexp_extract": scalar(
        lambda types: (
            "CASE WHEN regexp_matches({0}, {1}) THEN regexp_extract({0}, {1}, "
            + ("{2}" if len(types) > 2 else "0")
            + ") END"
        ),
        VARCHAR,
        2,
        3,
    ),
    "regexp_extract_all": scalar("regexp_extract_all({*})", array_of(VARCHAR), 2, 3),
    "regexp_split": scalar("string_split_regex({0}, {1})", array_of(VARCHAR), 2),
    "regexp_count": scalar("len(regexp_extract_all({0}, {1}))", BIGINT, 2),
}
