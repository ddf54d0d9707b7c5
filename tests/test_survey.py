"""fcnlab.Survey: surveys without database or browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fcnlab
from fcnlab.domain.survey import WHOLE
from fcnlab.errors import FcnlabError, InvalidSurvey
from fcnlab.lab import Lab
from tests.support.survey_bench import Bench
from tests.support.tabs import HEIGHT, WIDTH

THIRD = WIDTH // 3
IMAGES = {f"{number:02}.png": (HEIGHT, WIDTH) for number in range(12)}
STRATA = {name: "deep" if number % 3 == 0 else "flat" for number, name in enumerate(IMAGES)}
MASK = np.tile((np.arange(WIDTH) < THIRD).astype(np.uint8), (HEIGHT, 1))


def truth(pixels: Any) -> np.ndarray[Any, Any]:
    return (pixels.cols < THIRD).astype(np.int64)


def answered(*, strata: bool = False, n_images: Any = 6, n_per_image: int = 20) -> fcnlab.Survey:
    survey = fcnlab.Survey(["sand", "coral"])
    pixels = survey.plan(IMAGES, n_images=n_images, n_per_image=n_per_image, strata=STRATA if strata else None)
    survey.answer(pixels.images, pixels.rows, pixels.cols, truth(pixels))
    return survey


def test_the_interval_holds_the_true_share() -> None:
    estimate = answered().estimate()

    sand, coral = estimate.classes
    assert sand.share + coral.share == pytest.approx(1)
    assert coral.low <= THIRD / WIDTH <= coral.high
    assert (estimate.n_images, estimate.n_answers, estimate.level) == (6, 120, 0.9)


def test_it_says_what_the_service_says_of_the_same_answers(lab: Lab) -> None:
    bench = Bench(lab, n_images=8)
    stored = bench.answer_all(bench.plan(n=5, n_per_image=9))
    survey = fcnlab.Survey(["background", "cell"])
    survey.add_images({str(image_id): (HEIGHT, WIDTH) for image_id in bench.images})
    points = bench.points(stored)

    survey.answer(
        [str(point.image_id) for point in points],
        [point.row for point in points],
        [point.col for point in points],
        [point.class_id if point.class_id is not None else -1 for point in points],
    )

    total = bench.report(stored).total
    assert total.posterior is not None
    assert survey.estimate() == total.estimates["from_answers"]
    assert survey.posterior().mean.tolist() == pytest.approx(total.posterior.mean.tolist())


def test_masks_of_all_images_correct_the_answers_and_make_intervals_shorter() -> None:
    survey = answered()
    with pytest.raises(InvalidSurvey, match=r"12 images have no predicted mask, '00.png' first"):
        survey.estimate("corrected")
    for name in IMAGES:
        survey.add_mask(name, MASK)

    corrected, alone = survey.estimate("corrected").classes[1], survey.estimate().classes[1]

    assert corrected.high - corrected.low < alone.high - alone.low
    assert corrected.low <= THIRD / WIDTH <= corrected.high


def test_answers_that_came_after_a_mask_ask_for_it_again() -> None:
    survey = fcnlab.Survey(["sand", "coral"])
    survey.add_images({"a": (3, 5), "b": (3, 5)})
    survey.answer(["a", "b"], [0, 1], [4, 3], [0, 1])
    for name in ("a", "b"):
        survey.add_mask(name, np.eye(3, 5, dtype=np.uint8))
    survey.estimate("by_confusion")
    survey.answer("a", 2, 4, 1)

    with pytest.raises(InvalidSurvey, match="row 2, column 4: give it again"):
        survey.estimate("corrected")


def test_a_larger_plan_keeps_the_pixels_of_the_smaller_and_another_seed_draws_others() -> None:
    survey = fcnlab.Survey(["sand", "coral"])
    small = survey.plan(IMAGES, n_images=3, n_per_image=5)
    large = survey.plan(IMAGES, n_images=6, n_per_image=5)
    other = fcnlab.Survey(["sand", "coral"]).plan(IMAGES, n_images=3, n_per_image=5, seed=1)

    assert (len(small), len(large)) == (15, 30)
    assert large.images[:15] == small.images
    assert large.cols[:15].tolist() == small.cols.tolist()
    assert other.cols.tolist() != small.cols.tolist()


def test_dont_know_is_left_out_or_a_class() -> None:
    survey = answered()
    pixels = survey.plan(IMAGES, n_images=6, n_per_image=20)
    survey.answer(pixels.images[:30], pixels.rows[:30], pixels.cols[:30], np.full(30, -1))

    left_out, as_class = survey.estimate(), survey.estimate(unknown="a class")

    assert (left_out.n_answers, as_class.n_answers) == (90, 120)
    assert (len(left_out.classes), len(as_class.classes)) == (2, 3)
    assert as_class.classes[2].share == pytest.approx(0.25)
    assert len(survey.posterior(unknown="a class").mean) == 3


def test_strata_are_estimated_together_and_alone_compared_and_given_further_images() -> None:
    survey = answered(strata=True, n_images={"deep": 2, "flat": 5})

    deep, flat = survey.estimate(stratum="deep"), survey.estimate(stratum="flat")

    assert (deep.n_images, flat.n_images) == (2, 5)
    together = (4 * deep.shares + 8 * flat.shares) / 12
    assert survey.estimate().shares.tolist() == pytest.approx(together.tolist())
    first, second = survey.compare("deep", "flat"), survey.compare(deep, flat)
    assert first == second
    assert first[1].difference.low <= deep.shares[1] - flat.shares[1] <= first[1].difference.high
    shared = survey.share_out(3)
    assert set(shared) == {"deep", "flat"}
    assert sum(shared.values()) == 3
    widths = [survey.expected_width(n, stratum="flat")[1] for n in (0, 1, 3)]
    assert widths == sorted(widths, reverse=True)


def test_an_image_has_a_posterior_of_its_own() -> None:
    survey = answered()
    name = survey.plan(IMAGES, n_images=1, n_per_image=20).images[0]

    posterior = survey.posterior(image=name)

    assert posterior.counts.sum() == 20
    assert posterior.prior.tolist() == [0.5, 0.5]


def test_an_answer_given_again_takes_the_place_of_the_first() -> None:
    survey = fcnlab.Survey(["sand", "coral"], prior="uniform", level=0.95)
    survey.add_images({"a": (3, 5)})
    survey.answer(["a", "a"], [2, 0], [4, 0], [0, 0])

    survey.answer("a", 2, 4, 1)

    assert survey.estimate().shares.tolist() == [0.5, 0.5]
    assert survey.posterior(image="a").prior.tolist() == [1, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: fcnlab.Survey(["sand"]),
        lambda: fcnlab.Survey(["a", "a"]),
        lambda: fcnlab.Survey(["a", "b"], prior="none"),
        lambda: fcnlab.Survey(["a", "b"], prior=float("nan")),
        lambda: fcnlab.Survey(["a", "b"], level=90),
        lambda: fcnlab.Survey(["a", "b"], level=None),  # type: ignore[arg-type]
        lambda: fcnlab.Survey(["a", "b"]).estimate(),
        lambda: fcnlab.Survey(["a", "b"]).estimate("nonsense"),  # type: ignore[arg-type]
        lambda: fcnlab.Survey(["a", "b"]).plan({}, n_images=1),
        lambda: fcnlab.Survey(["a", "b"]).plan({"a": (3, 0)}, n_images=1),
        lambda: fcnlab.Survey(["a", "b"]).plan({"a": (3.5, 4)}, n_images=1),  # type: ignore[dict-item]
        lambda: fcnlab.Survey(["a", "b"]).plan(["a"], n_images=1),  # type: ignore[arg-type]
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images=0),
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images=1.5),  # type: ignore[arg-type]
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images={"reef": 2}),
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images=2, plan="anyhow"),  # type: ignore[arg-type]
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images=2, n_per_image=HEIGHT * WIDTH + 1),
        lambda: fcnlab.Survey(["a", "b"]).plan(IMAGES, n_images=2, strata={"00.png": "a"}),
        lambda: answered().answer("x.png", 0, 0, 0),
        lambda: answered().answer("00.png", HEIGHT, 0, 0),
        lambda: answered().answer("00.png", 0, 0, 2),
        lambda: answered().answer(["00.png"], [0, 1], [0], [0]),
        lambda: answered().answer(None, 0, 0, 0),  # type: ignore[arg-type]
        lambda: answered().answer("00.png", 0.5, 0, 0),
        lambda: answered().add_mask("00.png", MASK.T),
        lambda: answered().add_mask("00.png", MASK + 2),
        lambda: answered().add_mask("00.png", [[1], [2, 3]]),
        lambda: answered().add_mask("00.png", np.full_like(MASK, 255)),
        lambda: answered().estimate(stratum="reef"),
        lambda: answered().estimate(unknown="maybe"),
        lambda: answered().posterior(image="x.png"),
        lambda: answered().compare("", answered().estimate(), seed=-1),
        lambda: answered().expected_width(7),
        lambda: answered().share_out(-1),
        lambda: answered(n_images=1).estimate(),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Any) -> None:
    with pytest.raises(FcnlabError) as caught:
        call()

    assert str(caught.value).strip()
    assert "\n" not in str(caught.value)


def test_a_pixel_that_chance_did_not_choose_is_refused_and_nothing_stored() -> None:
    survey = answered()
    before = survey.estimate()
    pixels = survey.plan(IMAGES, n_images=6, n_per_image=20)
    free = next(col for col in range(WIDTH) if (pixels.images[0], 0, col) not in survey._planned)

    with pytest.raises(InvalidSurvey, match="was not planned"):
        survey.answer([pixels.images[0]] * 2, [pixels.rows[0], 0], [pixels.cols[0], free], [0, 0])

    assert survey.estimate() == before


def test_without_strata_the_only_one_has_no_name() -> None:
    assert set(answered().share_out(2)) == {WHOLE}
