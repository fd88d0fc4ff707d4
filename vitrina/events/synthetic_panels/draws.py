"""Random numbers by address: the same seed, stream, customer and slot give the same number, whoever asks and when.

So a panel does not depend on how its customers are divided into blocks, and the oracle replays single customers. The
mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP, _LANE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x ^= x >> np.uint64(30)
    x *= _FIRST
    x ^= x >> np.uint64(27)
    x *= _SECOND
    x ^= x >> np.uint64(31)
    return x


def uniforms(seed: int, stream: int, customers: NDArray[np.int64], slots: int) -> NDArray[np.float64]:
    """(customers, slots) numbers strictly between 0 and 1."""
    key = _mix(np.array([seed, stream], dtype=np.uint64) * _STEP + _LANE)
    base = _mix(customers.astype(np.uint64) * _STEP + (key[:1] ^ (key[1:] << np.uint64(1))))
    bits = _mix(base[:, None] + np.arange(slots, dtype=np.uint64) * _LANE)
    bits >>= np.uint64(12)
    return (bits.astype(np.float64) + 0.5) * 2.0**-52


def normals(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers of two uniform ones (Box and Muller, 1958)."""
    return np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)


def chosen(uniform: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place in `weights` (n,), which need not sum to 1, that each number falls on."""
    bounds = np.cumsum(weights)
    return np.searchsorted(bounds[:-1] / bounds[-1], uniform, side="right")
