"""ALS fold-in: the factor of somebody whom the model was not fitted on, from the item factors alone (compiled)."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def solve_user(factors, gram, alpha, items, weights, count, out):  # type: ignore[no-untyped-def]  # compiled
    """Conjugate gradients for (gram + sum alpha w y y') x = sum (1 + alpha w) y; writes x into `out` float32 (f,)."""
    f = factors.shape[1]
    residual = np.zeros(f, np.float64)
    for n in range(count):
        confidence = 1.0 + alpha * weights[n]
        for d in range(f):
            residual[d] += confidence * factors[items[n], d]
    x = np.zeros(f, np.float64)
    direction = residual.copy()
    product = np.empty(f, np.float64)
    error = 0.0
    for d in range(f):
        error += residual[d] * residual[d]
    start = error
    for _ in range(f):
        if error <= 1e-12 * start or error == 0.0:
            break
        for d in range(f):
            total = 0.0
            for e in range(f):
                total += gram[d, e] * direction[e]
            product[d] = total
        for n in range(count):
            dot = 0.0
            for d in range(f):
                dot += factors[items[n], d] * direction[d]
            dot *= alpha * weights[n]
            for d in range(f):
                product[d] += dot * factors[items[n], d]
        curvature = 0.0
        for d in range(f):
            curvature += direction[d] * product[d]
        step = error / curvature
        grown = 0.0
        for d in range(f):
            x[d] += step * direction[d]
            residual[d] -= step * product[d]
            grown += residual[d] * residual[d]
        for d in range(f):
            direction[d] = residual[d] + grown / error * direction[d]
        error = grown
    for d in range(f):
        out[d] = x[d]
