"""ALS fold-in: the factor of somebody whom the model was not fitted on, from the item factors alone (compiled)."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

STEPS: Final = 24
"""Most steps of conjugate gradients; the residual is small enough long before for the shapes that occur."""

TOLERANCE: Final = 1e-9
"""Squared residual, as a share of the first one, at which the solution is good enough for float32."""

NOTHING: Final = 1e-30
"""Squared residual under which float32 products vanish."""


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dot(left, right):  # type: ignore[no-untyped-def]  # compiled
    """Inner product of two float32 vectors; summed in the order that the processor likes, always the same one."""
    total = np.float32(0.0)
    for d in range(len(left)):
        total += left[d] * right[d]
    return total


@numba.njit(cache=True, nogil=True)
def solve_user(factors, gram, alpha, items, weights, count, out):  # type: ignore[no-untyped-def]  # compiled
    """Conjugate gradients for (gram + sum alpha w y y') x = sum (1 + alpha w) y; writes x into `out` float32 (f,).

    factors float32 (items, f), gram float32 (f, f); items int32 and weights float32 hold `count` interactions.
    """
    f = factors.shape[1]
    residual = np.zeros(f, np.float32)
    for n in range(count):
        confidence = np.float32(1.0) + np.float32(alpha) * weights[n]
        row = factors[items[n]]
        for d in range(f):
            residual[d] += confidence * row[d]
    direction = residual.copy()
    product = np.empty(f, np.float32)
    for d in range(f):
        out[d] = 0.0
    error = dot(residual, residual)
    small = np.float32(TOLERANCE) * error
    for _ in range(STEPS):
        if error <= small or error < NOTHING:
            break
        for d in range(f):
            product[d] = dot(gram[d], direction)
        for n in range(count):
            row = factors[items[n]]
            share = np.float32(alpha) * weights[n] * dot(row, direction)
            for d in range(f):
                product[d] += share * row[d]
        curvature = dot(direction, product)
        if curvature <= 0.0:  # float32 has nothing more to give
            break
        step = error / curvature
        for d in range(f):
            out[d] += step * direction[d]
            residual[d] -= step * product[d]
        grown = dot(residual, residual)
        ratio = grown / error
        for d in range(f):
            direction[d] = residual[d] + ratio * direction[d]
        error = grown
