"""Binary and hash functions."""

from __future__ import annotations

from typing import Any

from athena_local.sql.functions.signatures import Function, scalar, table


def _of_binary(template: str) -> dict[str, Any]:
    return scalar("varbinary -> varbinary", template)


def _hmac(algorithm: str) -> dict[str, Any]:
    return scalar("varbinary, varbinary -> varbinary", f"trino_hmac_of({{0}}, {{1}}, '{algorithm}')")


FUNCTIONS: dict[str, Function] = table(
    {
        "to_utf8": scalar("varchar(x) -> varbinary", "encode({0})"),
        "from_utf8": scalar(
            "varbinary -> varchar",
            "trino_from_utf8_replacing({0}, chr(65533))",
            "varbinary, varchar(x) -> varchar",
            "trino_from_utf8_replacing({0}, {1})",
            "varbinary, bigint -> varchar",
            "trino_from_utf8_replacing({0}, chr(CAST({1} AS INTEGER)))",
        ),
        "to_hex": scalar("varbinary -> varchar", "hex({0})"),
        "from_hex": scalar("varchar(x) -> varbinary", "trino_from_hex({0})"),
        "to_base64": scalar("varbinary -> varchar", "to_base64({0})"),
        "from_base64": scalar("varchar(x) -> varbinary", "trino_from_base64({0})"),
        "to_base64url": scalar("varbinary -> varchar", "trino_to_base64url({0})"),
        "from_base64url": scalar("varchar(x) -> varbinary", "trino_from_base64url({0})"),
        "to_base32": scalar("varbinary -> varchar", "trino_to_base32({0})"),
        "from_base32": scalar("varchar(x) -> varbinary", "trino_from_base32({0})"),
        "md5": _of_binary("unhex(md5({0}))"),
        "sha1": _of_binary("unhex(sha1({0}))"),
        "sha256": _of_binary("unhex(sha256({0}))"),
        "sha512": _of_binary("trino_sha512({0})"),
        "xxhash64": _of_binary("trino_xxhash64({0})"),
        "murmur3": _of_binary("trino_murmur3({0})"),
        "crc32": scalar("varbinary -> bigint", "trino_crc32({0})"),
        "hmac_md5": _hmac("md5"),
        "hmac_sha1": _hmac("sha1"),
        "hmac_sha256": _hmac("sha256"),
        "hmac_sha512": _hmac("sha512"),
        "to_big_endian_32": scalar("integer -> varbinary", "trino_to_big_endian({0}, 4)"),
        "to_big_endian_64": scalar("bigint -> varbinary", "trino_to_big_endian({0}, 8)"),
        "from_big_endian_32": scalar(
            "varbinary -> integer", "CAST(trino_from_big_endian({0}, 4) AS INTEGER)"
        ),
        "from_big_endian_64": scalar("varbinary -> bigint", "trino_from_big_endian({0}, 8)"),
        "to_ieee754_32": scalar("real -> varbinary", "trino_to_ieee754({0}, 4)"),
        "to_ieee754_64": scalar("double -> varbinary", "trino_to_ieee754({0}, 8)"),
        "from_ieee754_32": scalar("varbinary -> real", "CAST(trino_from_ieee754({0}, 4) AS FLOAT)"),
        "from_ieee754_64": scalar("varbinary -> double", "trino_from_ieee754({0}, 8)"),
    }
)
