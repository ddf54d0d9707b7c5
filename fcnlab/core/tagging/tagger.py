"""The tagger: from the answers about some images to the probability that a class is in any other, in a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.tagging.calibrating import Calibration, calibrated
from fcnlab.core.tagging.hidden_layer import Directions, Networks, answer_weights, directions_of, train
from fcnlab.errors import InvalidTag
from fcnlab.threads import on_one_thread

MEMBERS = 6
"""Networks whose log odds are averaged."""

FOLDS = 5
FOLD_MEMBERS = 1
"""Networks of a fold: what they say is compared with answers, and thrown away."""


@dataclass(frozen=True, slots=True, eq=False)
class Tagger:
    """What was learned from answers; `tag_probabilities` says it of images.

    Attributes:
        class_ids: the tags that were asked for.
        learned: the L of them that at least one image has and one has not, in that order; of others nothing is said.
        directions, networks: the hidden layer and what lies before it; L outputs.
        calibration: of the outputs; its `n_answers` are those about images held out of the fit.
        digest: of answers, features and seed that it was learned from.
    """

    class_ids: tuple[int, ...]
    learned: tuple[int, ...]
    directions: Directions
    networks: Networks
    calibration: Calibration
    digest: str


@on_one_thread
def fit_tagger(
    features: NDArray[np.float32],
    answers: NDArray[np.int8],
    class_ids: Sequence[int],
    *,
    start: Tagger | None = None,
    seed: int = 0,
) -> Tagger:
    """Learn all tags together: one hidden layer, an output per tag, cross-entropy over what was answered.

    Images without an answer change nothing; nor does the order of images. Probabilities are calibrated on images held
    out of the fit, by cross-validation over images.

    Args:
        features: (N, F) float32, of `pooling.pooled_features`.
        answers: (N, K) int8: 1 yes, 0 no, -1 unknown.
        class_ids: K of them.
        start: an earlier tagger; if it was learned from the same, it is returned. What is learned is not changed by it.
        seed: of all that is left to chance.

    Raises:
        InvalidTag: shapes or values that do not fit together.
    """
    classes = tuple(int(class_id) for class_id in class_ids)
    _check(features, answers, classes)
    order = _canonical_order(features, answers)
    features, answers = features[order], answers[order]
    digest = _digest(features, answers, classes, seed)
    if start is not None and start.digest == digest:
        return start
    columns = _learnable(answers)
    learned = tuple(classes[column] for column in columns)
    if not learned:
        return _nothing_learned(classes, features.shape[1], digest)
    answers = np.ascontiguousarray(answers[:, columns])
    directions = directions_of(features, seed=seed)
    places = directions.along(features)
    folds = _folds(np.arange(len(answers)), seed)
    networks = train(places, answers, _weights(answers, folds, MEMBERS, FOLD_MEMBERS), seed=seed)
    log_odds, is_held_out = _held_out(networks.part(slice(MEMBERS, None)), places, answers, folds)
    calibration = calibrated(log_odds, answers, is_held_out)
    return Tagger(classes, learned, directions, networks.part(slice(MEMBERS)), calibration, digest)


@on_one_thread
def tag_probabilities(tagger: Tagger, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Calibrated probabilities (M, L) float32 of yes, in the order of `tagger.learned`.

    Raises:
        InvalidTag: the features (M, F) are not as many as those it learned from, or not all finite.
    """
    width = len(tagger.directions.mean)
    if features.ndim != 2 or features.shape[1] != width:
        raise InvalidTag(
            f"the tagger learned from {width} features per image, these are {features.shape}: "
            "pool the images with the encoder that it learned with, or learn again"
        )
    _check_finite(features)
    return tagger.calibration.probabilities(_mean_log_odds(tagger.networks, tagger.directions.along(features)))


@on_one_thread
def held_out_probabilities(
    features: NDArray[np.float32],
    answers: NDArray[np.int8],
    class_ids: Sequence[int],
    *,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Probabilities (N, K) float32 by taggers that did not learn from the image, and where there are such (N, K) bool.

    By cross-validation in at most FOLDS parts; calibration, too, comes from answers about other parts. There is none
    where all others leave a tag without a yes or without a no; the probability is 0.5 there, and means nothing.

    Args:
        features, answers, class_ids, seed: see `fit_tagger`. Images without an answer get probabilities, too.
        groups: (N,) what images belong together, such as frames of a film; they stay in one part. None: none do.

    Raises:
        InvalidTag: shapes or values that do not fit together.
    """
    classes = tuple(int(class_id) for class_id in class_ids)
    _check(features, answers, classes)
    if groups is not None and len(groups) != len(features):
        raise InvalidTag(f"{len(groups)} groups for {len(features)} images: give every image the group it belongs to")
    order = np.array(sorted(range(len(features)), key=lambda row: _row_key(features, answers, row)), np.int64)
    together = np.arange(len(order)) if groups is None else _first_places(np.asarray(groups)[order])
    folds = _folds(together, seed)
    probabilities = np.full(answers.shape, 0.5, np.float32)
    is_told = np.zeros(answers.shape, np.bool_)
    sorted_answers = answers[order]
    columns = _learnable(answers)
    if columns and folds.max(initial=0) > 0:
        told = sorted_answers[:, columns]
        is_answered = (told >= 0).any(axis=1)
        directions = directions_of(features[order][is_answered], seed=seed)
        places = directions.along(features[order])
        networks = train(places, told, _weights(told, folds, 0, MEMBERS), seed=seed)
        log_odds, is_held_out = _held_out(networks, places, told, folds)
        for fold in range(int(folds.max()) + 1):
            is_here = folds == fold
            calibration = calibrated(log_odds[~is_here], told[~is_here], is_held_out[~is_here])
            rows = order[is_here]
            probabilities[np.ix_(rows, columns)] = calibration.probabilities(log_odds[is_here])
            is_told[np.ix_(rows, columns)] = is_held_out[is_here]
        probabilities[~is_told] = 0.5
    return probabilities, is_told


def _check(features: NDArray[np.float32], answers: NDArray[np.int8], classes: tuple[int, ...]) -> None:
    if features.ndim != 2 or answers.shape != (len(features), len(classes)):
        raise InvalidTag(
            f"features are {features.shape} and answers {answers.shape} for {len(classes)} classes: "
            "both have a row per image, answers a column per class"
        )
    if len(set(classes)) != len(classes):
        raise InvalidTag(f"the classes {classes} name one class twice: name each once")
    if not np.isin(answers, (-1, 0, 1)).all():
        raise InvalidTag("an answer about a tag is 1 (yes), 0 (no) or -1 (unknown)")
    _check_finite(features)


def _check_finite(features: NDArray[np.float32]) -> None:
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InvalidTag(f"the features of image {row} (counted from 0) are not all numbers: encode it again")


def _row_key(features: NDArray[np.float32], answers: NDArray[np.int8], row: int) -> bytes:
    return bytes(features[row].tobytes() + answers[row].tobytes())


def _canonical_order(features: NDArray[np.float32], answers: NDArray[np.int8]) -> NDArray[np.int64]:
    """The rows of images with an answer, in an order that does not depend on the one they came in."""
    rows = np.flatnonzero((answers >= 0).any(axis=1)).tolist()
    return np.array(sorted(rows, key=lambda row: _row_key(features, answers, row)), np.int64)


def _digest(features: NDArray[np.float32], answers: NDArray[np.int8], classes: tuple[int, ...], seed: int) -> str:
    digest = hashlib.sha256(repr((features.shape, classes, seed)).encode())
    digest.update(features.tobytes())
    digest.update(answers.tobytes())
    return digest.hexdigest()


def _learnable(answers: NDArray[np.int8]) -> list[int]:
    """Columns of the tags that have a yes and a no."""
    return np.flatnonzero((answers == 1).any(axis=0) & (answers == 0).any(axis=0)).tolist()


def _first_places(groups: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) numbers of groups, counted in the order in which they first come."""
    _, first, places = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[places], np.int64)


def _folds(together: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(N,) the part of each image; images with one number (from 0 on) in `together` are in one part."""
    n_groups = int(together.max(initial=-1)) + 1
    parts = np.arange(n_groups) % max(1, min(FOLDS, n_groups))
    return np.asarray(np.random.default_rng(seed).permutation(parts)[together], np.int64)


def _weights(answers: NDArray[np.int8], folds: NDArray[np.int64], n_whole: int, n_each: int) -> NDArray[np.float32]:
    """(G, N, K) weights of answers: for `n_whole` networks all, then for `n_each` per fold those of the others."""
    per_fold = []
    for fold in range(int(folds.max()) + 1):
        left = np.where((folds == fold)[:, None], np.int8(-1), answers)
        per_fold += [answer_weights(left)] * n_each
    return np.stack([answer_weights(answers)] * n_whole + per_fold)


def _held_out(
    networks: Networks, places: NDArray[np.float32], answers: NDArray[np.int8], folds: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(N, K) log odds by the networks of each image's fold, and whether these had a yes and a no to learn from."""
    n_folds = int(folds.max()) + 1
    n_each = len(networks.inner) // n_folds
    log_odds = np.zeros(answers.shape, np.float32)
    is_held_out = np.zeros(answers.shape, np.bool_)
    for fold in range(n_folds):
        is_here = folds == fold
        members = networks.part(slice(fold * n_each, (fold + 1) * n_each))
        log_odds[is_here] = _mean_log_odds(members, places[is_here])
        is_held_out[np.ix_(is_here, _learnable(answers[~is_here]))] = True
    return log_odds, is_held_out


def _mean_log_odds(networks: Networks, places: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(networks.log_odds(places).mean(axis=0), np.float32)


def _nothing_learned(classes: tuple[int, ...], width: int, digest: str) -> Tagger:
    """A tagger without outputs."""
    directions = Directions(np.zeros(width, np.float32), np.zeros((width, 1), np.float32))
    empty = Networks(*(np.zeros(shape, np.float32) for shape in ((1, 1, 1), (1, 1, 1), (1, 1, 0), (1, 1, 0))))
    return Tagger(classes, (), directions, empty, Calibration(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)), digest)
