"""Distributions, and aggregates that are worked out from a whole group's values at once."""

from __future__ import annotations

import math
import statistics
import struct
from typing import Any

from athena_local.sql.functions.native.binary import xx_hash
from athena_local.sql.functions.native.registry import InvalidError, native

_CHECKSUM_PRIME = 0x9E3779B185EBCA87
_WORD = 2**64


@native("DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE")
def normal_cdf(mean: float, deviation: float, value: float) -> float:
    if deviation <= 0:
        raise InvalidError("standardDeviation must be > 0")
    return 0.5 * (1 + math.erf((value - mean) / (deviation * math.sqrt(2))))


@native("DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE")
def inverse_normal_cdf(mean: float, deviation: float, p: float) -> float:
    if not 0 < p < 1:
        raise InvalidError("p must be 0 > p > 1")
    if deviation <= 0:
        raise InvalidError("standardDeviation must be > 0")
    return statistics.NormalDist(mean, deviation).inv_cdf(p)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The incomplete beta function's continued fraction, by Lentz's method."""
    tiny, c = 1e-300, 1.0
    d = 1 / max(1 - (a + b) * x / (a + 1), tiny, key=abs)
    result = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / max(1 + term * d, tiny, key=abs)
            c = max(1 + term / c, tiny, key=abs)
            result *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return result


def _beta(a: float, b: float, x: float) -> float:
    if x in {0.0, 1.0}:
        return x
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


@native("DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE")
def beta_cdf(a: float, b: float, value: float) -> float:
    _check_beta(a, b)
    if not 0 <= value <= 1:
        raise InvalidError("value must be in the interval [0, 1]")
    return _beta(a, b, value)


@native("DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE")
def inverse_beta_cdf(a: float, b: float, p: float) -> float:
    _check_beta(a, b)
    if not 0 <= p <= 1:
        raise InvalidError("p must be in the interval [0, 1]")
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta(a, b, middle) < p else (low, middle)
    return (low + high) / 2


def _check_beta(a: float, b: float) -> None:
    if a <= 0 or b <= 0:
        raise InvalidError("a, b must be > 0")


@native("DOUBLE", "BIGINT", "BIGINT", "DOUBLE", "BIGINT")
def wilson_interval(successes: int, trials: int, z: float, sign: int) -> float:
    if successes < 0:
        raise InvalidError("number of successes must not be negative")
    if trials <= 0:
        raise InvalidError("number of trials must be positive")
    if successes > trials:
        raise InvalidError("number of successes must not be larger than number of trials")
    if z < 0:
        raise InvalidError("z-score must not be negative")
    p = successes / trials
    middle = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return (middle + sign * spread) / (1 + z * z / trials)


@native("DOUBLE", "DOUBLE[]")
def skewness(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 3:
        return None
    mean = sum(known) / len(known)
    second = sum((value - mean) ** 2 for value in known)
    third = sum((value - mean) ** 3 for value in known)
    return math.sqrt(len(known)) * third / second**1.5 if second else math.nan


@native("MAP(DOUBLE, DOUBLE)", "DOUBLE[]", "DOUBLE[]", "BIGINT")
def numeric_histogram(values: list[float | None], weights: list[float | None], buckets: int) -> Any:
    """Ben-Haim and Tom-Tov's histogram: the two nearest centroids are merged until `buckets` are left."""
    if buckets < 2:
        raise InvalidError("numeric_histogram bucket count must be greater than one")
    merged: dict[float, float] = {}
    for value, weight in zip(values, weights, strict=True):
        if value is not None and weight is not None:
            merged[value] = merged.get(value, 0.0) + weight
    points = sorted(merged.items())
    while len(points) > buckets:
        at = min(range(len(points) - 1), key=lambda index: points[index + 1][0] - points[index][0])
        (one, left), (other, right) = points[at : at + 2]
        points[at : at + 2] = [((one * left + other * right) / (left + right), left + right)]
    return points


@native("DOUBLE", "DOUBLE[]", "DOUBLE[]", "DOUBLE")
def weighted_percentile(values: list[float | None], weights: list[float | None], p: float) -> float | None:
    pairs = sorted(
        (value, weight) for value, weight in zip(values, weights, strict=True) if value is not None and weight
    )
    total, passed = sum(weight for _, weight in pairs), 0.0
    for value, weight in pairs:
        passed += weight
        if passed >= p * total:
            return value
    return pairs[-1][0] if pairs else None


@native("BIGINT", "BIGINT", nulls=True)
def checksum_of_integer(value: int | None) -> int:
    return _CHECKSUM_PRIME - _WORD if value is None else _term(value.to_bytes(8, "little", signed=True))


@native("BIGINT", "BLOB", nulls=True)
def checksum_of_bytes(value: bytes | None) -> int:
    return _CHECKSUM_PRIME - _WORD if value is None else _term(value)


@native("BIGINT", "DOUBLE", nulls=True)
def checksum_of_double(value: float | None) -> int:
    return _CHECKSUM_PRIME - _WORD if value is None else _term(struct.pack("<d", value))


def _term(data: bytes) -> int:
    """One row's share of checksum(): its XxHash64 times a prime, as a signed word."""
    product = xx_hash(data) * _CHECKSUM_PRIME % _WORD
    return product - _WORD if product >= _WORD // 2 else product


@native("BLOB", "VARCHAR")
def checksum_bytes(total: str) -> bytes:
    return (int(total) % _WORD).to_bytes(8, "little")


@native("DOUBLE", "DOUBLE")
def cbrt(value: float) -> float:
    """The cube root, one step of Newton's after the C library's: Java's is exact where a root is."""
    root = math.cbrt(value)
    return root - (root * root * root - value) / (3 * root * root) if root and math.isfinite(root) else root


@native("BIGINT", "BIGINT", "BIGINT", "BIGINT", "VARCHAR")
def bit_shift(value: int, shift: int, bits: int, operation: str) -> int:
    """Shift in a word of `bits`; the sign is kept by `arithmetic` alone, and too far gives 0."""
    word = value % (1 << bits)
    if operation == "left":
        word = (word << shift) % (1 << bits) if 0 <= shift < bits else 0
    elif operation == "right":
        word = word >> shift if 0 <= shift < bits else 0
    else:
        word = (value >> min(max(shift, 0), bits)) % (1 << bits)
    return word - (1 << bits) if word >> (bits - 1) else word


@native("BIGINT", "BIGINT", "BIGINT")
def bit_count(value: int, bits: int) -> int:
    if not 2 <= bits <= 64:
        raise InvalidError(f"Bits specified in bit_count must be between 2 and 64, got {bits}")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        text = f"Number must be representable with the bits specified. {value} can not be represented with {bits} bits"
        raise InvalidError(text)
    return (value % (1 << bits)).bit_count()


@native("DOUBLE", "MAP(VARCHAR, DOUBLE)", "MAP(VARCHAR, DOUBLE)")
def cosine_similarity(left: Any, right: Any) -> float | None:
    one, other = dict(left), dict(right)
    if None in one.values() or None in other.values():
        return None
    sizes = [math.sqrt(sum(value * value for value in item.values())) for item in (one, other)]
    if not all(sizes):
        return None
    dot: float = sum(value * other.get(key, 0.0) for key, value in one.items())
    return dot / (sizes[0] * sizes[1])
