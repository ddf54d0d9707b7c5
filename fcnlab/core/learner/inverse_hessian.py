"""Nearly the inverse Hessian of the head's loss: with it a fit to one point more takes few steps among any number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg

FEW_GRADIENTS = 16
"""A fit with a good inverse Hessian needs no more of them."""

MOST_ADDED = 64
"""More samples than these at once are not added one by one."""

MOST_APART = 64
"""Added samples are worked into the matrix when they are more."""

KEY_COLUMNS = 48


@dataclass(frozen=True, slots=True, eq=False)
class InverseHessian:
    """The inverse Hessian of the loss by the parameters of one class, as it was when most of its samples were added.

    It is `matrix` less the products of `added`: a few samples more change few directions.

    Attributes:
        matrix: (D + 1, D + 1) float32; the bias is the last parameter.
        added: (n, D + 1) float32, a row for each of the last n samples.
        keys: (N,) uint64, see `sample_keys`: the samples that are in it.
        gradients_at_first: how many the first fit with it needed, 0 before there was one; gradients: the last one.
    """

    matrix: NDArray[np.float32]
    added: NDArray[np.float32]
    keys: NDArray[np.uint64]
    gradients_at_first: int = 0
    gradients: int = 0

    @property
    def is_old(self) -> bool:
        """Whether the loss has changed so much that it is worth while to make a new one."""
        return self.gradients > max(FEW_GRADIENTS, 1.5 * self.gradients_at_first)

    def used(self, gradients: int) -> InverseHessian:
        """The same after a fit that needed so many gradients."""
        return replace(self, gradients=gradients, gradients_at_first=self.gradients_at_first or gradients)

    def times(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its product with the parameters of each class, flat (M * (D + 1),)."""
        vectors = parameters.reshape(-1, len(self.matrix)).astype(np.float32)
        return np.asarray(self._times_rows(vectors).ravel(), np.float64)

    def _times_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its product with rows (n, D + 1)."""
        return np.asarray(rows @ self.matrix - (rows @ self.added.T) @ self.added, np.float32)

    def is_new(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which samples (N,) are not in it."""
        return np.asarray(~np.isin(keys, self.keys), np.bool_)

    def with_samples(
        self, features: NDArray[np.float32], curvatures: NDArray[np.float64], keys: NDArray[np.uint64]
    ) -> InverseHessian:
        """The same with some samples (n, D) that are new.

        `curvatures` (n,): second derivative of each sample's loss by its score. Reference: Woodbury 1950, "Inverting
        modified matrices".
        """
        if not len(keys):
            return self
        rows = _with_ones(features)
        turned = self._times_rows(rows)
        inner = np.diag(1 / curvatures) + turned @ rows.T
        change = linalg.solve_triangular(np.linalg.cholesky(inner), turned, lower=True).astype(np.float32)
        added, matrix = np.concatenate([self.added, change]), self.matrix
        if len(added) > MOST_APART:
            matrix, added = matrix - added.T @ added, added[:0]
        return replace(self, matrix=matrix, added=added, keys=np.concatenate([self.keys, keys]))


def inverse_hessian(
    features: NDArray[np.float32],
    curvatures: NDArray[np.float64],
    keys: NDArray[np.uint64],
    penalty: NDArray[np.float64],
) -> InverseHessian:
    """The inverse Hessian of samples (N, D) and a penalty (D + 1,) on the squares of the parameters.

    `curvatures`, `keys`: see `InverseHessian.with_samples`.
    """
    rows = torch.from_numpy(_with_ones(features))
    hessian = (rows * torch.from_numpy(curvatures[:, None]).float()).T @ rows
    hessian.diagonal().add_(torch.from_numpy(penalty).float())
    matrix = torch.linalg.inv(hessian).numpy()
    return InverseHessian(matrix, np.empty((0, len(matrix)), np.float32), keys)


def sample_keys(features: NDArray[np.float32], class_ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Names (N,) of samples, by the bits of their last features and their class; equal samples have equal ones."""
    bits = np.ascontiguousarray(features[:, -KEY_COLUMNS:]).view(np.uint32).astype(np.uint64)
    odd = np.random.default_rng(0).integers(1 << 62, size=bits.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return np.asarray(bits @ odd + class_ids.astype(np.uint64), np.uint64)


def _with_ones(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1)
