"""Hashes and encodings of binary values, bit for bit Trino's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import zlib

from athena_local.sql.functions.native.registry import InvalidError, native

_MASK = 2**64 - 1
_PRIMES = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip


def _left(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(state: int, lane: int) -> int:
    return (_left((state + lane * _PRIMES[1]) & _MASK, 31) * _PRIMES[0]) & _MASK


def xx_hash(data: bytes, seed: int = 0) -> int:
    """XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), unsigned."""
    one, two, three, four, five = _PRIMES
    place = 0
    if len(data) >= 32:
        lanes = [(seed + one + two) & _MASK, (seed + two) & _MASK, seed, (seed - one) & _MASK]
        while place + 32 <= len(data):
            block = struct.unpack_from("<4Q", data, place)
            lanes = [_round(state, lane) for state, lane in zip(lanes, block, strict=True)]
            place += 32
        value = sum(_left(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            value = ((value ^ _round(0, lane)) * one + four) & _MASK
    else:
        value = (seed + five) & _MASK
    value = (value + len(data)) & _MASK
    while place + 8 <= len(data):
        (lane,) = struct.unpack_from("<Q", data, place)
        value = (_left(value ^ _round(0, lane), 27) * one + four) & _MASK
        place += 8
    if place + 4 <= len(data):
        (word,) = struct.unpack_from("<I", data, place)
        value = (_left(value ^ (word * one & _MASK), 23) * two + three) & _MASK
        place += 4
    for byte in data[place:]:
        value = (_left(value ^ (byte * five & _MASK), 11) * one) & _MASK
    value = ((value ^ (value >> 33)) * two) & _MASK
    value = ((value ^ (value >> 29)) * three) & _MASK
    return value ^ (value >> 32)


@native("BLOB", "BLOB")
def xxhash64(data: bytes) -> bytes:
    return xx_hash(data).to_bytes(8, "big")


def _mixed(value: int) -> int:
    value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & _MASK
    return value ^ (value >> 33)


@native("BLOB", "BLOB")
def murmur3(data: bytes) -> bytes:
    """MurmurHash3_x64_128 with seed 0; the two halves as little-endian words, as airlift writes them."""
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for place in range(0, whole, 16):
        k1, k2 = struct.unpack_from("<2Q", data, place)
        h1 ^= _left(k1 * c1 & _MASK, 31) * c2 & _MASK
        h1 = ((_left(h1, 27) + h2) * 5 + 0x52DCE729) & _MASK
        h2 ^= _left(k2 * c2 & _MASK, 33) * c1 & _MASK
        h2 = ((_left(h2, 31) + h1) * 5 + 0x38495AB5) & _MASK
    k1, k2 = struct.unpack("<2Q", data[whole:].ljust(16, b"\0"))
    h2 ^= _left(k2 * c2 & _MASK, 33) * c1 & _MASK
    h1 ^= _left(k1 * c1 & _MASK, 31) * c2 & _MASK
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _mixed(h1), _mixed(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return struct.pack("<2Q", h1, h2)


@native("BIGINT", "BLOB")
def crc32(data: bytes) -> int:
    return zlib.crc32(data)


@native("BLOB", "BLOB")
def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


@native("BLOB", "BLOB", "BLOB", "VARCHAR")
def hmac_of(data: bytes, key: bytes, algorithm: str) -> bytes:
    return hmac.new(key, data, algorithm).digest()


@native("VARCHAR", "BLOB")
def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


@native("BLOB", "VARCHAR")
def from_base64url(text: str) -> bytes:
    return _decoded(text.replace("-", "+").replace("_", "/"))


@native("BLOB", "VARCHAR")
def from_base64(text: str) -> bytes:
    return _decoded(text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(
            text + "=" * (-len(text.rstrip("=")) % 4 if "=" not in text else 0), validate=True
        )
    except (binascii.Error, ValueError):
        raise InvalidError("Input byte array has incorrect ending or illegal base64 character") from None


@native("VARCHAR", "BLOB")
def to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode()


@native("BLOB", "VARCHAR")
def from_base32(text: str) -> bytes:
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise InvalidError("Invalid base32 input") from None


@native("BLOB", "VARCHAR")
def from_hex(text: str) -> bytes:
    try:
        if any(char.isspace() for char in text):
            raise ValueError
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidError(
            "Invalid hex character" if len(text) % 2 == 0 else f"Invalid input length {len(text)}"
        ) from None


@native("BLOB", "BIGINT", "BIGINT")
def to_big_endian(value: int, size: int) -> bytes:
    return (value % (1 << (8 * size))).to_bytes(size, "big")


@native("BIGINT", "BLOB", "BIGINT")
def from_big_endian(data: bytes, size: int) -> int:
    if len(data) != size:
        raise InvalidError(f"expected {size}-byte input, but got instead: {len(data)}")
    return int.from_bytes(data, "big", signed=True)


@native("BLOB", "DOUBLE", "BIGINT")
def to_ieee754(value: float, size: int) -> bytes:
    return struct.pack(">d" if size == 8 else ">f", value)


@native("DOUBLE", "BLOB", "BIGINT")
def from_ieee754(data: bytes, size: int) -> float:
    if len(data) != size:
        name = "floating-point value" if size == 4 else "double-precision floating-point value"
        raise InvalidError(f"Input {name} must be exactly {size} bytes long")
    value: float = struct.unpack(">d" if size == 8 else ">f", data)[0]
    return value


@native("BLOB", "BLOB")
def reverse_bytes(data: bytes) -> bytes:
    return data[::-1]
