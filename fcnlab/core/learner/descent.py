"""L-BFGS for smooth convex functions, able to go on where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MEMORY = 24
LINE_STEPS = 12
FLATTENING = 0.6
"""A step is long enough, and not too long, when the slope along it has fallen to this part of what it was."""


@dataclass(frozen=True, slots=True)
class Curvature:
    """What a descent learned about its function: steps and the changes of gradient over them, oldest first."""

    steps: tuple[Vector, ...] = ()
    changes: tuple[Vector, ...] = ()

    def with_pair(self, step: Vector, change: Vector) -> Curvature:
        """The newest `MEMORY` pairs; a pair without positive curvature is left out."""
        if float(step @ change) <= 1e-12 * float(change @ change):
            return self
        return Curvature((*self.steps, step)[-MEMORY:], (*self.changes, change)[-MEMORY:])

    def direction(self, gradient: Vector) -> Vector:
        """Minus the approximate inverse Hessian times the gradient: the two-loop recursion."""
        result = -gradient
        if not self.steps:
            return result / max(float(np.abs(gradient).sum()), 1e-12)
        shares = []
        for step, change in zip(reversed(self.steps), reversed(self.changes), strict=True):
            share = float(step @ result) / float(step @ change)
            result -= share * change
            shares.append(share)
        result *= float(self.steps[-1] @ self.changes[-1]) / float(self.changes[-1] @ self.changes[-1])
        for step, change, share in zip(self.steps, self.changes, reversed(shares), strict=True):
            result += (share - float(change @ result) / float(step @ change)) * step
        return result


def descend(
    gradient_at: Callable[[Vector], Vector],
    start: Vector,
    *,
    curvature: Curvature,
    tolerance: float,
    max_steps: int,
) -> tuple[Vector, Curvature]:
    """The minimum of a convex function, found from its gradient alone.

    Function values are not compared: near the minimum they differ by less than float32 can tell, slopes do not.

    Args:
        gradient_at: (n,) -> (n,).
        curvature: of an earlier descent on nearly the same function, or an empty one.
        tolerance: largest gradient component at which to stop.

    Returns the place (n,) and what was learned on the way. Reference: Liu, Nocedal 1989, "On the limited memory
    BFGS method for large scale optimization".
    """
    position, gradient = start, gradient_at(start)
    for _ in range(max_steps):
        if float(np.abs(gradient).max()) <= tolerance:
            break
        direction = curvature.direction(gradient)
        slope = float(direction @ gradient)
        if not slope < 0:  # an outdated curvature points uphill: forget it
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
