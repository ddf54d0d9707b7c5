"""How good a mask is, and how well a network tells labelled pixels apart that it did not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.training.batches import LabelledPicture, collated
from fcnlab.core.training.grade_scores import grade_score
from fcnlab.domain.project import IGNORE
from fcnlab.domain.scores import Gain, PointScore
from fcnlab.domain.training import TrainingSpec

COUNTED_AT_ONCE = 4_000_000
"""Pixels: counting takes sixteen bytes for each."""


def confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], n_classes: int) -> NDArray[np.int64]:
    """(n_classes, n_classes) int64 counts of pixels, truth by prediction; a part of the rows at a time."""
    counts = np.zeros(n_classes * n_classes, np.int64)
    rows = max(1, COUNTED_AT_ONCE // max(1, truth.shape[1]))
    for start in range(0, truth.shape[0], rows):
        part = truth[start : start + rows]
        is_labelled = part != IGNORE
        pairs = part[is_labelled].astype(np.int64) * n_classes + prediction[start : start + rows][is_labelled]
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(n_classes, n_classes)


def iou_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class; NaN for a class neither in truth nor in prediction."""
    overlap = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - overlap
    with np.errstate(invalid="ignore"):
        return np.asarray(overlap / union, np.float64)


def object_iou(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], *, background: int = 0) -> float:
    """IoU of everything that is not background."""
    is_labelled = truth != IGNORE
    wanted, predicted = (truth != background) & is_labelled, (prediction != background) & is_labelled
    union = int((wanted | predicted).sum())
    return float((wanted & predicted).sum() / union) if union else 1.0


def mask_score(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], *, n_classes: int) -> float:
    """IoU of the object, or the mean over the classes that occur when there are more than two."""
    if n_classes == 2:
        return object_iou(truth, prediction)
    return float(np.nanmean(iou_per_class(confusion(truth, prediction, n_classes))))


SURE = 1.96
"""Standard errors on each side of a 95 % interval."""

COOLEST, HOTTEST = 0.05, 20.0
AS_IT_IS = TrainingSpec()


@torch.no_grad()
def logits_of(
    network: PointNetwork, pictures: Sequence[LabelledPicture], *, device: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits (N, K) float32 at the points of all pictures, and the classes (N,) they were labelled as."""
    was_training = network.training
    network.eval()
    logits, classes = [], []
    for picture in pictures:
        batch = collated([picture], AS_IT_IS, None, device=device)
        logits.append(network.logits_at(batch.rgb, batch.images, batch.rows, batch.cols).float().cpu().numpy())
        classes.append(picture.classes)
    network.train(was_training)
    if not logits:
        return np.zeros((0, network.spec.n_classes), np.float32), np.zeros(0, np.int64)
    return np.concatenate(logits), np.concatenate(classes)


def score_points(
    network: PointNetwork,
    pictures: Sequence[LabelledPicture],
    *,
    class_ids: Sequence[int],
    device: str,
    grades: Sequence[int] = (),
) -> PointScore | None:
    """The score of a network on points it did not learn from; None when there are none. See `score_of`."""
    logits, classes = logits_of(network, pictures, device=device)
    if not len(classes):
        return None
    return score_of(logits.argmax(axis=1), classes, class_ids=class_ids, grades=grades, images=images_of(pictures))


def images_of(pictures: Sequence[LabelledPicture]) -> NDArray[np.int64]:
    """The number of the picture of each of their points (N,)."""
    counts = np.array([len(picture.classes) for picture in pictures], np.int64)
    return np.repeat(np.arange(len(pictures)), counts)


def score_of(
    predicted: NDArray[np.intp],
    classes: NDArray[np.int64],
    *,
    class_ids: Sequence[int],
    grades: Sequence[int] = (),
    images: NDArray[np.int64] | None = None,
) -> PointScore:
    """Accuracy with every class counting alike, and its 95 % interval.

    The interval takes the points for independent and adds two right and two wrong ones to every class (Agresti and
    Coull 1998), so that few points never look certain.

    Args:
        predicted, classes: (N,) indices in the list of classes, N at least 1.
        class_ids: the class of each place.
        grades: ids of the classes that are grades, the lowest first.
        images: (N,) number of the image of each point, for the interval of what is told of grades.
    """
    shares: dict[int, float] = {}
    variance = 0.0
    for class_index in np.unique(classes):
        of_class = classes == class_index
        n, right = int(of_class.sum()), int((predicted[of_class] == class_index).sum())
        shares[int(class_ids[class_index])] = right / n
        careful = (right + 2) / (n + 4)
        variance += careful * (1 - careful) / (n + 4)
    accuracy = sum(shares.values()) / len(shares)
    spread = SURE * math.sqrt(variance) / len(shares)
    ids = np.asarray(class_ids, np.int64)
    of_grades = grade_score(ids[predicted], ids[classes], grades=grades, images=images) if grades else None
    return PointScore(
        accuracy,
        max(0.0, accuracy - spread),
        min(1.0, accuracy + spread),
        len(classes),
        shares,
        grades=of_grades,
    )


def gain_of(network: NDArray[np.bool_], instant: NDArray[np.bool_], classes: NDArray[np.int64]) -> Gain:
    """What one of two has over the other on the same points, every class counting alike.

    The interval is that of paired shares with half a point added to each of the four cells (Agresti and Min 2005,
    doi:10.1002/sim.1781), so that few points never look certain. The four cells are those of all points, each with the
    weight that makes classes count alike: added to every class, two points would outweigh classes of a few.

    Args:
        network, instant: (N,) whether each is right on a point, N at least 1.
        classes: (N,) the class of each point.
    """
    _, places, counts = np.unique(classes, return_inverse=True, return_counts=True)
    n = len(classes)
    weights = n / (len(counts) * counts[places])
    difference = network.astype(np.float64) - instant
    gain = float(np.mean(weights * difference))
    middle = gain * n / (n + 2)
    variance = (float(weights @ np.abs(difference)) + 1) / (n + 2) - middle**2
    spread = SURE * math.sqrt(variance * float(np.mean(weights**2)) / (n + 2))
    accuracy = float(np.mean(weights * instant))
    return Gain(accuracy, gain, max(-1.0, middle - spread), min(1.0, middle + spread), n)


def temperature_of(logits: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """What logits have to be divided by so that probabilities are as right as they are sure (Guo et al. 2017).

    Args:
        logits: (N, K) at points that training did not see. classes: (N,) places.

    As in `score_of`, a few points are never taken for certain: two of n + 4 count as of the other classes. So few
    points that are all right do not make a network sure of everything.

    Returns one when there are no points. Reference: arXiv:1706.04599.
    """
    if not len(classes):
        return 1.0

    n, n_classes = logits.shape
    doubt = 2 / (n + 4)

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits.astype(np.float64) / math.exp(log_temperature), axis=1)
        labelled_scores = scores[np.arange(n), classes]
        others = (scores.sum(axis=1) - labelled_scores) / max(1, n_classes - 1)
        return float(-((1 - doubt) * labelled_scores + doubt * others).mean())

    minimum = minimize_scalar(loss, bounds=(math.log(COOLEST), math.log(HOTTEST)), method="bounded")
    return float(math.exp(minimum.x))
