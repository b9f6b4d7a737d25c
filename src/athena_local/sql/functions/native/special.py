"""Errors raised by generated SQL, and IP addresses: kept as the 16 bytes Trino orders them by."""

from __future__ import annotations

import ipaddress

from athena_local.sql.functions.native.registry import FUNCTIONS, InvalidError, NativeFunction, native


def _fail(message: str) -> None:
    raise ValueError(message)


# its type is NULL's, so that it may stand for a value of any type
FUNCTIONS["trino_fail"] = NativeFunction("trino_fail", _fail, ["VARCHAR"], '"NULL"', nulls=False)

_MAPPED = bytes(10) + b"\xff\xff"


def address_bytes(text: str) -> bytes:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidError(f"Cannot cast value to IPADDRESS: {text}", "INVALID_CAST_ARGUMENT") from None
    return _MAPPED + address.packed if address.version == 4 else address.packed


def address_text(value: bytes) -> str:
    if value[:12] == _MAPPED:
        return str(ipaddress.IPv4Address(value[12:]))
    return str(ipaddress.IPv6Address(value))


@native("BLOB", "VARCHAR")
def ip_from_text(text: str) -> bytes:
    return address_bytes(text)


@native("VARCHAR", "BLOB")
def ip_to_text(value: bytes) -> str:
    return address_text(value)


@native("BLOB", "BLOB")
def ip_from_bytes(value: bytes) -> bytes:
    if len(value) == 4:
        return _MAPPED + value
    if len(value) != 16:
        text = f"Invalid IP address binary length: {len(value)}"
        raise InvalidError(text, "INVALID_CAST_ARGUMENT")
    return value


@native("BOOLEAN", "VARCHAR", "BLOB")
def contains_address(network: str, value: bytes) -> bool:
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise InvalidError("Invalid CIDR") from None
    if "/" not in network:
        raise InvalidError("Invalid CIDR")
    return ipaddress.ip_address(address_text(value)) in found
