"""How far grades are off: mean absolute error in grades, and quadratic weighted kappa with its interval.

Quadratic weighted kappa (Cohen 1968, Psychological Bulletin 70:213, doi:10.1037/h0026256) is 1 - D / E: D is the mean
squared difference of truth and answer in grades, E the one that would be expected of answers that have the same shares
but know nothing of the truth.

Its interval is a bootstrap over images, whose points are not independent (Field and Welsh 2007, J. R. Stat. Soc. B
69:369), or over points where their images are not known; percentiles are widened for few images (Hesterberg 2015, The
American Statistician 69:371, section 5.3). As in `scores.score_of`, two points that know nothing of the truth are drawn
with the others, so that few points never look certain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from fcnlab.domain.scores import GradeScore

DRAWS = 2000
PSEUDO_POINTS = 2.0
"""Points without any agreement that are drawn with the others."""

LEAST_IMAGES = 5
"""With points in fewer images there is no interval: what is drawn from them says little of others."""

LEAST_DRAWS = DRAWS // 2
"""With fewer draws in which kappa is defined there is no interval."""

Moments = NDArray[np.float64]
"""(..., 7) sums over pairs of truth a and answer b: 1, |a - b|, (a - b)^2, a, b, a^2, b^2. All figures are functions
of their sums, so that images need not keep a table each."""


def grade_score(
    predicted: NDArray[np.integer],
    truth: NDArray[np.integer],
    *,
    grades: Sequence[int],
    images: NDArray[np.integer] | None = None,
) -> GradeScore | None:
    """How far grades are off at labelled points; None when no class is a grade, or none has a point or an answer.

    Args:
        predicted, truth: (N,) class ids.
        grades: ids of the classes that are grades, the lowest first. Pairs of two grades count, all others are told.
        images: (N,) number of the image of each point; None where nobody knows.
    """
    places = _places(grades, max([*grades, *predicted.tolist(), *truth.tolist()], default=0) + 1)
    true_grades, told_grades = places[truth], places[predicted]
    is_pair = (true_grades >= 0) & (told_grades >= 0)
    lost, added = int(((true_grades >= 0) & ~is_pair).sum()), int(((told_grades >= 0) & ~is_pair).sum())
    a, b = true_grades[is_pair], told_grades[is_pair]
    if images is None:
        pairs, counts = np.unique(np.stack([a, b]), axis=1, return_counts=True)
        return _score(_moments(*pairs), counts.astype(np.float64), lost, added, n_images=None)
    _, groups = np.unique(images[is_pair], return_inverse=True)
    per_image: Moments = np.stack([np.bincount(groups, column) for column in _moments(a, b).T], axis=-1).astype(float)
    return _score(per_image, np.ones(len(per_image)), lost, added, n_images=len(per_image))


class GradeTally:
    """How far grades are off in whole masks, image by image.

    Args:
        grades: ids of the classes that are grades, the lowest first; none: there is nothing to tell.
    """

    def __init__(self, grades: Sequence[int]) -> None:
        self._grades = list(grades)
        first, second = np.mgrid[: len(self._grades), : len(self._grades)]
        self._of_pairs = _moments(first.ravel(), second.ravel())
        self._per_image: list[Moments] = []
        self._lost = self._added = 0

    def add(self, counts: NDArray[np.int64]) -> None:
        """Take a further image: (M, M) pixels by class id, truth by prediction; see `scores.confusion`."""
        among = counts[np.ix_(self._grades, self._grades)]
        self._lost += int(counts[self._grades].sum() - among.sum())
        self._added += int(counts[:, self._grades].sum() - among.sum())
        if among.any():
            self._per_image.append(among.ravel() @ self._of_pairs)

    def score(self) -> GradeScore | None:
        """As `grade_score`, of the pixels of all images so far."""
        n = len(self._per_image)
        moments = np.stack(self._per_image) if n else np.zeros((0, self._of_pairs.shape[1]))
        return _score(moments, np.ones(n), self._lost, self._added, n_images=n)


def quadratic_weighted_kappa(moments: Moments) -> NDArray[np.float64]:
    """Kappa (...) of sums of moments (..., 7); NaN where it is not defined, as of a single grade."""
    n, _, squares, a, b, a2, b2 = np.moveaxis(moments, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = squares / n
        expected = a2 / n + b2 / n - 2 * (a / n) * (b / n)
        return np.asarray(1 - np.where(expected > 1e-12, observed / expected, np.nan), np.float64)


def _score(
    moments: Moments, counts: NDArray[np.float64], lost: int, added: int, *, n_images: int | None
) -> GradeScore | None:
    """The score of units, images or kinds of pairs, that occur so often each."""
    total = counts @ moments
    n_points = round(float(total[0])) if len(moments) else 0
    if not n_points:
        return GradeScore(None, None, None, None, 0, lost, added, n_images or 0) if lost or added else None
    mae = float(total[1] / total[0])
    has_two_grades = total[5] * total[0] - total[3] ** 2 > 1e-9 * total[0] ** 2
    if not has_two_grades:
        return GradeScore(mae, None, None, None, n_points, lost, added, n_images or 0)
    kappa = float(quadratic_weighted_kappa(total))
    low, high = _interval(moments, counts, total, kappa, n_images)
    return GradeScore(mae, kappa, low, high, n_points, lost, added, n_images or 0)


def _interval(
    moments: Moments, counts: NDArray[np.float64], total: Moments, kappa: float, n_images: int | None
) -> tuple[float | None, float | None]:
    """Percentiles of kappa over units drawn anew; none from a few images, nor from a single point."""
    n = n_images if n_images is not None else round(float(total[0]))
    if n < (2 if n_images is None else LEAST_IMAGES):
        return None, None
    unaware = _unaware(total / total[0])
    if n_images is not None:
        units, shares = np.vstack([moments, PSEUDO_POINTS * unaware]), np.append(counts, 1.0)
    else:
        units, shares = np.vstack([moments, unaware]), np.append(counts, PSEUDO_POINTS)
    drawn = np.random.default_rng(0).multinomial(n, shares / shares.sum(), size=DRAWS)
    kappas = quadratic_weighted_kappa(drawn.astype(np.float64) @ units)
    kappas = kappas[np.isfinite(kappas)]
    if len(kappas) < LEAST_DRAWS:
        return None, None
    tail = float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))
    low, high = np.quantile(kappas, [tail, 1 - tail])
    return min(float(low), kappa), max(float(high), kappa)


def _unaware(mean: Moments) -> Moments:
    """Expected moments (7,) of a pair whose answer does not depend on the truth, with the shares of all pairs."""
    _, _, _, a, b, a2, b2 = mean
    squares = a2 + b2 - 2 * a * b
    return np.array([1.0, np.sqrt(squares), squares, a, b, a2, b2])


def _moments(a: NDArray[np.integer], b: NDArray[np.integer]) -> Moments:
    """Moments (N, 7) of single pairs of places."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    away = first - second
    columns = (np.ones_like(first), np.abs(away), away**2, first, second, first**2, second**2)
    return np.stack(columns, axis=-1)


def _places(grades: Sequence[int], n_ids: int) -> NDArray[np.int64]:
    """Place of each class id among the grades, -1 of the others."""
    places = np.full(n_ids, -1, np.int64)
    places[list(grades)] = np.arange(len(grades))
    return places
