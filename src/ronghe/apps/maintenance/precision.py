"""An inverse covariance Φ in factor form: what many properties cost grows with their number, not with its square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """Φ = diag(unique) − shared·sharedᵀ, with unique float64[k] and shared float64[k, r]. Rows of `judged` = False are zero."""

    unique: Floats
    shared: Floats

    @classmethod
    def of(cls, loadings: Floats, alone: Floats, judged: NDArray[np.bool_]) -> Precision:
        """The inverse of loadings·loadingsᵀ + diag(alone), by Woodbury's identity. loadings float64[k, r], alone float64[k] > 0."""
        weighted = np.where(judged[:, None], loadings / alone[:, None], 0.0)
        inner = np.linalg.inv(np.eye(loadings.shape[1]) + loadings.T @ weighted)
        return cls(np.where(judged, 1 / alone, 0.0), np.asfortranarray(weighted @ np.linalg.cholesky(inner)))

    def diagonal(self) -> Floats:
        """Φ_ii."""
        diagonal: Floats = self.unique - np.einsum("ij,ij->i", self.shared, self.shared)
        return diagonal

    def rows(self, some: NDArray[np.intp]) -> Floats:
        """Some rows of Φ."""
        out: Floats = -self.shared[some] @ self.shared.T
        out[np.arange(len(some)), some] += self.unique[some]
        return out

    def times(self, d: Floats) -> Floats:
        """Φd."""
        out: Floats = self.unique * d
        out -= self.shared @ (d @ self.shared)
        return out
