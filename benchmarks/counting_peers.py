"""Counters without a network, from scikit-image, their settings fitted on the pictures that networks learn from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.color import rgb2gray
from skimage.feature import blob_log, peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import regionprops
from skimage.segmentation import watershed

from benchmarks.counting_sets import CountedPicture
from fcnlab.core.counting.scoring import f_score, match_points, radius_for

Places = NDArray[np.float64]
Finder = Callable[[CountedPicture], Places]
"""Gives rows and columns (N, 2) of the objects found."""

FITTED_ON = 8
"""Pictures that settings are fitted on; more change nothing and take long."""

NEARLY = 0.9
SHARES_OF_SPACING = ((0.1, 0.2), (0.2, 0.35), (0.35, 0.6))
THRESHOLDS = (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3)


def fitted_blob_log(train: Sequence[CountedPicture]) -> Finder:
    """Laplacian of Gaussian; polarity, sizes and threshold are fitted on `train`, see `_best`."""
    spacing = usual_spacing(train)
    settings = itertools.product((False, True), SHARES_OF_SPACING, THRESHOLDS)
    return _best([_log_finder(dark, low * spacing, high * spacing, at) for dark, (low, high), at in settings], train)


def fitted_watershed(train: Sequence[CountedPicture]) -> Finder:
    """Otsu's threshold, then a watershed of the distance to the background; polarity, smoothing and the distance of
    peaks are fitted on `train`, see `_best`."""
    spacing = usual_spacing(train)
    settings = itertools.product((False, True), (0.5, 1.0, 2.0), (0.2, 0.35, 0.5, 0.8))
    return _best([_watershed_finder(dark, sigma, max(1, round(at * spacing))) for dark, sigma, at in settings], train)


def usual_spacing(pictures: Sequence[CountedPicture]) -> float:
    """Median over pictures of the median distance to the nearest neighbour."""
    distances = [
        np.median(cKDTree(picture.places).query(picture.places, 2)[0][:, 1])
        for picture in pictures
        if picture.count > 1
    ]
    return float(np.median(distances))


def _grey(picture: CountedPicture, dark: bool) -> NDArray[np.float64]:
    grey = np.asarray(rgb2gray(picture.rgb), np.float64)
    grey = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6)
    return 1 - grey if dark else grey


def _log_finder(dark: bool, low: float, high: float, threshold: float) -> Finder:
    def find(picture: CountedPicture) -> Places:
        low_sigma, high_sigma = max(low, 0.7), max(high, 0.8)
        grey = _grey(picture, dark)
        blobs = blob_log(grey, min_sigma=low_sigma, max_sigma=high_sigma, num_sigma=4, threshold=threshold)
        return np.asarray(blobs[:, :2], np.float64)

    return find


def _watershed_finder(dark: bool, sigma: float, min_distance: int) -> Finder:
    def find(picture: CountedPicture) -> Places:
        grey = ndimage.gaussian_filter(_grey(picture, dark), sigma)
        inside = grey > threshold_otsu(grey)
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), 1.0)
        seeds = np.zeros(grey.shape, np.int32)
        peaks = peak_local_max(depth, min_distance=min_distance, labels=inside.astype(np.int32), exclude_border=False)
        seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        parts = regionprops(watershed(-depth, seeds, mask=inside))
        return np.array([part.centroid for part in parts], np.float64).reshape(-1, 2)

    return find


def _best(finders: Sequence[Finder], train: Sequence[CountedPicture]) -> Finder:
    """The smallest error of the count among those that find objects about as well as the best one."""
    chosen = train[:: max(1, len(train) // FITTED_ON)][:FITTED_ON]
    radius = radius_for(usual_spacing(train))
    errors, scores = [], []
    for find in finders:
        detected = [find(picture) for picture in chosen]
        matched = sum(
            len(match_points(picture.places, its, radius)[0]) for picture, its in zip(chosen, detected, strict=True)
        )
        n_found, n_true = sum(map(len, detected)), sum(picture.count for picture in chosen)
        scores.append(f_score(matched, n_true, n_found))
        errors.append(np.mean([abs(len(its) - picture.count) for picture, its in zip(chosen, detected, strict=True)]))
    return finders[int(np.argmin(np.where(np.array(scores) >= NEARLY * max(scores), errors, np.inf)))]
