"""Survey: how much of the images each class covers, from answers at random pixels; without database or browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers, unknown_as_class
from fcnlab.core.surveys.comparing import ClassComparison
from fcnlab.core.surveys.comparing import compare as compare_estimates
from fcnlab.core.surveys.estimates import ESTIMATORS, CoverEstimate, Method
from fcnlab.core.surveys.planning import expected_widths, need_of, neyman_allocation
from fcnlab.core.surveys.points import plan_points
from fcnlab.core.surveys.posterior import DirichletPosterior, posterior_of, scaled_posterior
from fcnlab.domain.project import IGNORE, checked_classes
from fcnlab.domain.survey import WHOLE, Plan, SurveySpec
from fcnlab.errors import InvalidSurvey
from fcnlab.segmenter.checks import as_array, whole_numbers
from fcnlab.validation import checked_call

MOST_SIDE = 2**31 - 1

Pixel = tuple[str, int, int]
"""Name of an image, row and column."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveyPixels:
    """Pixels to ask about, in the order of asking: names of images (N), rows and columns (N,) int64 in full size."""

    images: tuple[str, ...]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class _SurveyImage:
    hw: tuple[int, int]
    stratum: str

    @property
    def size(self) -> float:
        return float(self.hw[0] * self.hw[1])


@dataclass(frozen=True, slots=True, eq=False)
class _PredictedMask:
    """Share (K,) of each class, and the class at the pixels that are asked about."""

    shares: NDArray[np.float64]
    at: Mapping[tuple[int, int], int]


class Survey:
    """Images drawn at random, pixels drawn at random in each, answers of people: shares of classes with intervals.

    Args:
        classes: names, two or more; class ids are places in this list.
        prior: of posteriors: "uniform", "jeffreys", or pseudo-counts of each class, a number.
        level: how often intervals hold the true share.

    Raises:
        InvalidClasses: no class, too many, or one name twice.
        InvalidSurvey: a single class, or a prior or level that is none.
    """

    @checked_call(InvalidSurvey, leave=("classes",))
    def __init__(self, classes: Sequence[str], *, prior: str | float = "jeffreys", level: float = 0.9) -> None:
        self.classes = checked_classes(classes)
        if len(self.classes) < 2:
            raise InvalidSurvey("shares are of two classes or more")
        spec = SurveySpec("survey", {WHOLE: 1}, prior=prior, level=level)
        self.prior, self.level = spec.prior, spec.level
        self._images: dict[str, _SurveyImage] = {}
        self._planned: dict[Pixel, None] = {}
        self._answers: dict[Pixel, int] = {}
        self._masks: dict[str, _PredictedMask] = {}
        self._n_per_image = 1

    @checked_call(InvalidSurvey, leave=("images", "strata"))
    def add_images(self, images: Mapping[str, tuple[int, int]], *, strata: Mapping[str, str] | None = None) -> None:
        """Say which images the shares are to be of. `plan` does it by itself; call this for points drawn elsewhere.

        Args:
            images: height and width by name.
            strata: the stratum of each image by its name; None: no strata.

        Raises:
            InvalidSurvey: no images, a size that is none, or an image without a stratum.
        """
        self._images |= _checked_images(images, strata)

    @checked_call(InvalidSurvey, leave=("images", "strata", "n_images"))
    def plan(
        self,
        images: Mapping[str, tuple[int, int]],
        *,
        n_images: int | Mapping[str, int],
        n_per_image: int = 10,
        strata: Mapping[str, str] | None = None,
        plan: Plan = "random",
        seed: int = 0,
    ) -> SurveyPixels:
        """Draw images and pixels. A larger plan of the same seed begins with the images of a smaller one.

        Args:
            images: height and width of all images the shares are to be of, by name.
            n_images: how many to draw of each stratum, or by the name of the stratum; fewer where it has no more.
            n_per_image: pixels in each of them.
            strata: the stratum of each image by its name; None: no strata.
            plan: "random" pixels anywhere, "stratified": one in each of as many equal parts, or a "grid".
            seed: the same images and pixels come from the same seed.

        Raises:
            InvalidSurvey: see `add_images`; no such stratum, or a number that cannot be.
        """
        added = _checked_images(images, strata)
        by_stratum: dict[str, dict[str, tuple[int, int]]] = {}
        for name, image in added.items():
            by_stratum.setdefault(image.stratum, {})[name] = image.hw
        wanted = _checked_counts(n_images, by_stratum)
        spec = SurveySpec("survey", wanted, n_per_image, plan, seed)
        most = {stratum: min(n, len(by_stratum.get(stratum, ""))) for stratum, n in spec.n_images.items()}
        drawn = plan_points(by_stratum, most, n_per_image, plan=plan, seed=seed)
        turns = [each for together in zip_longest(*drawn.values()) for each in together if each is not None]
        pixels = [
            (each.key, int(row), int(col)) for each in turns for row, col in zip(each.rows, each.cols, strict=True)
        ]
        self._images |= added
        self._planned |= dict.fromkeys(pixels)
        self._n_per_image = n_per_image
        rows, cols = (np.array([pixel[place] for pixel in pixels], np.int64) for place in (1, 2))
        return SurveyPixels(tuple(pixel[0] for pixel in pixels), rows, cols)

    def answer(self, images: Sequence[str], rows: ArrayLike, cols: ArrayLike, class_ids: ArrayLike) -> None:
        """Store answers (N,) each; -1 is "don't know". A pixel that is answered again takes the new answer.

        Where pixels were planned only those can be answered.

        Raises:
            InvalidPoints: no whole numbers.
            InvalidSurvey: no such image, pixel or class. Nothing is stored then.
        """
        if not isinstance(images, str | Sequence | np.ndarray):
            raise InvalidSurvey("images are the names of as many images as there are answers")
        names: list[Any] = [images] if isinstance(images, str) else [*images]
        columns = [whole_numbers(values, name) for values, name in ((rows, "rows"), (cols, "cols"))]
        ids = whole_numbers(class_ids, "class_ids")
        lengths = [len(names), *map(len, columns), len(ids)]
        if len(set(lengths)) > 1:
            raise InvalidSurvey(f"images, rows, columns and class ids are as many, not {', '.join(map(str, lengths))}")
        if len(ids) and not (ids.min() >= UNKNOWN and ids.max() < len(self.classes)):
            raise InvalidSurvey(f"answers are 0 to {len(self.classes) - 1}, or -1 for don't know")
        pixels = list(zip(names, columns[0].tolist(), columns[1].tolist(), strict=True))
        for name, row, col in pixels:
            height, width = self._image(name).hw
            if not (0 <= row < height and 0 <= col < width):
                raise InvalidSurvey(f"row {row}, column {col} is outside image {name!r} of {height} x {width} pixels")
            if self._planned and (name, row, col) not in self._planned:
                raise InvalidSurvey(f"row {row}, column {col} of image {name!r} was not planned: chance has to choose")
        self._answers |= dict(zip(pixels, ids.tolist(), strict=True))

    def add_mask(self, image: str, mask: ArrayLike) -> None:
        """The predicted mask (H, W) of an image: class ids, IGNORE (255) where nothing is said.

        "corrected" and "by_confusion" need the mask of every image, asked about or not. What predicts must not have
        learned from the answers.

        Raises:
            InvalidSurvey: no such image, another size, a class id that is none, or nothing is said of any pixel.
            InvalidImage: it is no array.
        """
        image_hw, pixels = self._image(image).hw, as_array(mask)
        if pixels.shape != image_hw or not np.issubdtype(pixels.dtype, np.integer):
            raise InvalidSurvey(f"the mask of {image!r} is {pixels.dtype} {pixels.shape}; wanted class ids {image_hw}")
        said = pixels[pixels != IGNORE]
        if not said.size or said.min() < 0 or said.max() >= len(self.classes):
            raise InvalidSurvey(f"the mask of {image!r} has class ids that are none, or says nothing")
        shares = np.bincount(said.ravel(), minlength=len(self.classes)) / said.size
        asked = {(row, col) for name, row, col in (*self._planned, *self._answers) if name == image}
        self._masks[image] = _PredictedMask(shares, {place: int(pixels[place]) for place in asked})

    @checked_call(InvalidSurvey)
    def estimate(
        self,
        method: Method = "from_answers",
        *,
        stratum: str | None = None,
        unknown: str = "left out",
    ) -> CoverEstimate:
        """Shares of classes with intervals, in the order of `classes`.

        Args:
            method: "from_answers" alone; "corrected" by the predicted masks of all images; "by_confusion" of the
                model; "as_if_independent", which promises too much.
            stratum: one of them; None: all together.
            unknown: "don't know" is "left out", and shares are of the pixels whose class can be told, or "a class", the
                last one.

        Raises:
            InvalidSurvey: there is nothing to estimate from, and the message says what is missing.
        """
        with_masks = method in ("corrected", "by_confusion")
        return ESTIMATORS[method](self._strata(stratum, unknown, with_masks=with_masks), level=self.level)

    @checked_call(InvalidSurvey)
    def posterior(
        self, *, stratum: str | None = None, image: str | None = None, unknown: str = "left out"
    ) -> DirichletPosterior:
        """The Dirichlet posterior of shares: of all images, of a stratum, or of the pixels of an image.

        That of several images is of as many independent answers as the clustered ones are worth.

        Raises:
            InvalidSurvey: see `estimate`; every pixel was answered, so that nothing is left to chance.
        """
        if image is None:
            estimate = self.estimate(stratum=stratum, unknown=unknown)
            return scaled_posterior(estimate.shares, estimate.effective_answers, self.prior)
        self._image(image)
        n_classes = len(self.classes)
        ids = np.array([class_id for (name, _, _), class_id in self._answers.items() if name == image], np.int64)
        if _checked_reading(unknown) == "a class":
            ids, n_classes = np.where(ids == UNKNOWN, n_classes, ids), n_classes + 1
        return posterior_of(np.bincount(ids[ids != UNKNOWN], minlength=n_classes), self.prior)

    @checked_call(InvalidSurvey, leave=("first", "second"))
    def compare(
        self, first: str | CoverEstimate, second: str | CoverEstimate, *, seed: int = 0
    ) -> tuple[ClassComparison, ...]:
        """How much more of each class the first has, and how many times as much.

        Args:
            first, second: strata, or estimates, of another survey too; not of the same images.
            seed: of the draws that intervals are made from.

        Raises:
            InvalidSurvey: see `estimate`; estimates of other classes or another level.
        """
        both = [each if isinstance(each, CoverEstimate) else self.estimate(stratum=each) for each in (first, second)]
        if seed < 0:
            raise InvalidSurvey(f"a seed is 0 or more, not {seed}")
        return compare_estimates(both[0], both[1], np.random.default_rng(seed))

    @checked_call(InvalidSurvey)
    def expected_width(
        self, n_more_images: int, n_per_image: int | None = None, *, stratum: str = WHOLE
    ) -> NDArray[np.float64]:
        """(K,) widths that the intervals of a stratum, from answers alone, will have after so many further images.

        Args:
            n_more_images: 0: as many as now.
            n_per_image: points in each of these; None: as planned.
            stratum: its name; the default is for surveys without strata.

        Raises:
            InvalidSurvey: more images than are left, or answers that do not show how images differ.
        """
        (answers,) = self._strata(stratum, "left out", with_masks=False)
        n = self._n_per_image if n_per_image is None else n_per_image
        return expected_widths(answers, n_more_images, n, level=self.level)

    @checked_call(InvalidSurvey)
    def share_out(self, n_more_images: int) -> dict[str, int]:
        """How many of so many further images each stratum should get, so that shares of all are surest (Neyman).

        Raises:
            InvalidSurvey: more images than are left, or answers that do not show how images differ.
        """
        strata = self._strata(None, "left out", with_masks=False)
        needs = [need_of(answers, self._n_per_image) for answers in strata]
        return dict(zip((each.name for each in strata), neyman_allocation(needs, n_more_images), strict=True))

    def _image(self, name: Any) -> _SurveyImage:
        image = self._images.get(name) if isinstance(name, str) else None
        if image is None:
            raise InvalidSurvey(f"image {name!r} is none of the survey: plan it, or add it with its size")
        return image

    def _strata(self, stratum: str | None, unknown: str, *, with_masks: bool) -> list[StratumAnswers]:
        names = sorted({image.stratum for image in self._images.values()})
        if not names:
            raise InvalidSurvey("the survey is of no images yet: plan it")
        if stratum is not None and stratum not in names:
            raise InvalidSurvey(f"there is no stratum {stratum!r}; there are {', '.join(map(repr, names))}")
        chosen = names if stratum is None else [stratum]
        answers = [self._stratum(name, with_masks=with_masks) for name in chosen]
        return answers if _checked_reading(unknown) == "left out" else [unknown_as_class(each) for each in answers]

    def _stratum(self, stratum: str, *, with_masks: bool) -> StratumAnswers:
        population = {name: image for name, image in self._images.items() if image.stratum == stratum}
        answered = [(pixel, class_id) for pixel, class_id in self._answers.items() if pixel[0] in population]
        if not answered:
            raise InvalidSurvey(f"no pixel of {f'stratum {stratum!r}' if stratum else 'the survey'} is answered yet")
        surveyed = sorted({pixel[0] for pixel, _ in answered})
        row_of = {name: row for row, name in enumerate(surveyed)}
        return StratumAnswers(
            np.array([row_of[pixel[0]] for pixel, _ in answered], np.int64),
            np.array([class_id for _, class_id in answered], np.int64),
            len(self.classes),
            np.array([population[name].size for name in surveyed]),
            len(population),
            sum(image.size for image in population.values()),
            self._predictions(population, surveyed, [pixel for pixel, _ in answered]) if with_masks else None,
            stratum,
        )

    def _predictions(
        self, population: Mapping[str, _SurveyImage], surveyed: Sequence[str], answered: Iterable[Pixel]
    ) -> Predictions:
        names = list(population)
        missing = [name for name in names if name not in self._masks]
        if missing:
            raise InvalidSurvey(
                f"{len(missing)} images have no predicted mask, {missing[0]!r} first: add_mask gives it"
            )
        predicted = []
        for name, row, col in answered:
            class_id = self._masks[name].at.get((row, col), IGNORE)
            if class_id == IGNORE:
                raise InvalidSurvey(f"the mask of {name!r} says nothing of row {row}, column {col}: give it again")
            predicted.append(class_id)
        place_of = {name: place for place, name in enumerate(names)}
        return Predictions(
            np.array(predicted, np.int64),
            np.array([place_of[name] for name in surveyed], np.int64),
            np.array([self._masks[name].shares for name in names]),
            np.array([image.size for image in population.values()]),
        )


def _checked_images(images: Any, strata: Any) -> dict[str, _SurveyImage]:
    if not isinstance(images, Mapping) or not images:
        raise InvalidSurvey("images are given by their names, each with its height and width; there are none")
    if strata is not None and not isinstance(strata, Mapping):
        raise InvalidSurvey("strata are given by the names of images")
    checked = {}
    for name, hw in images.items():
        stratum = WHOLE if strata is None else strata.get(name)
        if not isinstance(name, str) or not name or not isinstance(stratum, str):
            raise InvalidSurvey(f"image {name!r} has no name, or no stratum: both are texts")
        checked[name] = _SurveyImage(_checked_size(name, hw), stratum)
    return checked


def _checked_size(name: str, hw: Any) -> tuple[int, int]:
    sides = np.asarray(hw) if isinstance(hw, tuple | list | np.ndarray) else np.zeros(0)
    is_size = sides.shape == (2,) and np.issubdtype(sides.dtype, np.integer)
    if not is_size or not (sides.min() >= 1 and sides.max() <= MOST_SIDE):
        raise InvalidSurvey(f"image {name!r} is {hw!r}: wanted its height and width in pixels")
    return int(sides[0]), int(sides[1])


def _checked_counts(n_images: Any, strata: Iterable[str]) -> dict[str, int]:
    counts = dict(n_images) if isinstance(n_images, Mapping) else dict.fromkeys(strata, n_images)
    for stratum, n in counts.items():
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise InvalidSurvey(f"{n!r} images of stratum {stratum!r}: wanted a whole number")
    return {stratum: int(n) for stratum, n in counts.items()}


def _checked_reading(unknown: str) -> str:
    if unknown not in ("left out", "a class"):
        raise InvalidSurvey(f'"don\'t know" is "left out" or "a class", not {unknown!r}')
    return unknown
