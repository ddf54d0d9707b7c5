"""L-BFGS for smooth convex functions, able to go on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv

Vector = NDArray[np.float64]
Preconditioner = Callable[[Vector], Vector]

MEMORY = 24
LINE_STEPS = 12
FLATTENING = 0.6
"""A step is long enough, and not too long, when the slope along it has fallen to this part of what it was."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """What a descent learned about its function: steps and the changes of gradient over them, oldest first.

    Attributes:
        steps, changes: (m, n) each, m at most `MEMORY`.
        products: (m, m), each step times each change.
        squares: (m, m), each change times each change.
    """

    steps: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    changes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    def with_pair(self, step: Vector, change: Vector) -> Curvature:
        """The newest `MEMORY` pairs; a pair without positive curvature is left out."""
        if float(step @ change) <= 1e-12 * float(change @ change):
            return self
        kept = slice(max(0, len(self.steps) - MEMORY + 1), None)
        steps = np.vstack([self.steps[kept].reshape(-1, len(step)), step])
        changes = np.vstack([self.changes[kept].reshape(-1, len(step)), change])
        by_change, by_step = steps @ change, changes @ step
        products, squares = (np.empty((len(steps), len(steps))) for _ in range(2))
        products[:-1, :-1], products[:, -1], products[-1] = self.products[kept, kept], by_change, by_step
        squares[:-1, :-1] = self.squares[kept, kept]
        squares[-1] = squares[:, -1] = changes @ change
        return Curvature(steps, changes, products, squares)

    def preconditioned(self, gradient: Vector, precondition: Preconditioner) -> Vector:
        """As `direction`, from an inverse Hessian that is known nearly: the two-loop recursion, for few pairs."""
        result = -gradient
        shares = []
        for k in reversed(range(len(self.steps))):
            share = float(self.steps[k] @ result) / float(self.products[k, k])
            result -= share * self.changes[k]
            shares.append(share)
        result = precondition(result)
        for k, share in enumerate(reversed(shares)):
            result += (share - float(self.changes[k] @ result) / float(self.products[k, k])) * self.steps[k]
        return result

    def direction(self, gradient: Vector) -> Vector:
        """Minus the approximate inverse Hessian times the gradient, in a few products with all pairs at once.

        Reference: Byrd, Nocedal, Schnabel 1994, "Representations of quasi-Newton matrices and their use in limited
        memory methods", theorem 2.2.
        """
        if not len(self.steps):
            return -gradient / max(float(np.abs(gradient).sum()), 1e-12)
        scale = self.products[-1, -1] / self.squares[-1, -1]
        along_steps, along_changes = self.steps @ gradient, self.changes @ gradient
        first = dtrsv(self.products, along_steps)  # reads the upper triangle alone
        middle = np.diag(self.products) * first + scale * (self.squares @ first - along_changes)
        second = dtrsv(self.products, middle, trans=1)
        return np.asarray(scale * (first @ self.changes - gradient) - second @ self.steps, np.float64)


def descend(
    gradient_at: Callable[[Vector], Vector],
    start: Vector,
    *,
    curvature: Curvature,
    tolerance: float,
    max_steps: int,
    precondition: Preconditioner | None = None,
) -> tuple[Vector, Curvature]:
    """The minimum of a convex function, found from its gradient alone.

    Function values are not compared: near the minimum they differ by less than float32 can tell, slopes do not.

    Args:
        gradient_at: (n,) -> (n,).
        curvature: of an earlier descent on nearly the same function, or an empty one.
        tolerance: largest gradient component at which to stop.
        precondition: nearly the inverse Hessian times a vector; then `curvature` should be empty.

    Returns the place (n,) and what was learned on the way. Reference: Liu, Nocedal 1989, "On the limited memory
    BFGS method for large scale optimization".
    """
    position, gradient = start, gradient_at(start)
    for _ in range(max_steps):
        if float(np.abs(gradient).max()) <= tolerance:
            break
        direction = curvature.preconditioned(gradient, precondition) if precondition else curvature.direction(gradient)
        slope = float(direction @ gradient)
        if not slope < 0:  # what is known of the curvature is outdated, and points uphill: forget it
            precondition = precondition if len(curvature.steps) else None
            curvature = Curvature()
            continue
        moved, new_gradient = _line_search(gradient_at, position, direction, slope)
        curvature = curvature.with_pair(moved - position, new_gradient - gradient)
        position, gradient = moved, new_gradient
    return position, curvature


def _line_search(
    gradient_at: Callable[[Vector], Vector], position: Vector, direction: Vector, slope: float
) -> tuple[Vector, Vector]:
    """A place along the direction where the slope is flat enough, and its gradient."""
    length, below, above = 1.0, 0.0, np.inf
    for _ in range(LINE_STEPS):
        moved = position + length * direction
        gradient = gradient_at(moved)
        new_slope = float(direction @ gradient)
        if abs(new_slope) <= FLATTENING * abs(slope):
            break
        if new_slope < 0:
            below = length
            length = 4 * length if above == np.inf else (below + above) / 2
        else:
            above = length
            length = below + (above - below) * max(0.1, min(0.5, -slope / (new_slope - slope)))
    return moved, gradient
