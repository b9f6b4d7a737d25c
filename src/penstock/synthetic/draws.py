"""Draws that are the same on every machine: a counter hashed by SplitMix64, on 64-bit integers alone.

Floating point, libm and changes in numpy's generators could alter a last digit, and with it every checksum a test compares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def hashed(seed: int, stream: int, counter: Ints) -> NDArray[np.uint64]:
    """Return SplitMix64 of a counter: well spread, order-free, and exact wherever integers have 64 bits."""
    offset = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
    z = counter.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(offset)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def drawn(seed: int, stream: int, counter: Ints, low: int, high: int) -> Ints:
    """Return one integer of low..high (inclusive) a counter."""
    return (hashed(seed, stream, counter) % np.uint64(high - low + 1)).astype(np.int64) + low
