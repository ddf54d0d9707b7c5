"""What the program says of a score: what it was taken on, and which way that bends it, as far as that is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from fcnlab.commands.models import score_in_words
from fcnlab.domain.counting import KeptEpoch
from fcnlab.domain.events import PointSource
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.scores import (
    EXPERT_MASK,
    SOURCES_IN_WORDS,
    Gain,
    GradeScore,
    PointScore,
    gain_in_words,
    grades_in_words,
    kappa_in_brief,
    kept_in_brief,
    kept_in_words,
    score_from_dict,
    score_in_a_sentence,
    score_to_dict,
    sources_in_words,
    taken_on,
)

LOW, HIGH, UNKNOWN = "too low", "too high", "is not known"


def score_on(**sources: int) -> PointScore:
    return PointScore(0.8, 0.7, 0.9, sum(sources.values()) or 40, {0: 0.8}, sources)


def test_every_source_of_points_has_words() -> None:
    assert set(SOURCES_IN_WORDS) == {*PointSource, EXPERT_MASK}


@pytest.mark.parametrize(
    ("sources", "bend"),
    [
        ({"click": 40}, LOW),
        ({"query": 40}, LOW),
        ({"simulation": 40}, LOW),
        ({"click": 20, "query": 20}, LOW),
        ({"click": 20, "random_query": 5}, LOW),
        ({"expert_mask": 40}, HIGH),
        ({"expert_mask": 40, "random_query": 5}, HIGH),
        ({"random_query": 40}, "nobody chose"),
        ({"expert_mask": 39, "click": 1}, UNKNOWN),
        ({"import": 40}, UNKNOWN),
        ({"scribble": 40}, UNKNOWN),
        ({"scribble": 1, "click": 39}, UNKNOWN),
        ({"import": 1, "expert_mask": 39}, UNKNOWN),
        ({"import": 1, "random_query": 39}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_a_bias_is_named_only_where_it_is_known_of_all_points(sources: dict[str, int], bend: str) -> None:
    words = taken_on(score_on(**sources))

    assert bend in words
    assert sum(other in words for other in (LOW, HIGH, UNKNOWN)) <= 1 or bend == UNKNOWN
    for source, count in sources.items():
        assert f"{count} {SOURCES_IN_WORDS[source][count != 1]}" in words


def test_points_of_expert_masks_are_never_called_clicks() -> None:
    words = score_in_a_sentence(score_on(expert_mask=100))

    assert "100 points drawn from expert masks" in words
    assert "click" not in words


def test_sources_are_told_apart_in_numbers() -> None:
    assert sources_in_words(score_on(click=20, expert_mask=1, query=3)) == (
        "1 point drawn from expert masks, 3 answers about uncertain pixels and 20 clicks"
    )


def test_a_score_from_before_says_that_nobody_knows_and_random_pixels_stay_random() -> None:
    old = {"accuracy": 0.8, "low": 0.7, "high": 0.9, "n_points": 48, "per_class": {"0": 0.8}}

    clicks, random = (score_from_dict({**old, "drawn": drawn}) for drawn in ("clicks", "query"))

    assert isinstance(clicks, PointScore)
    assert isinstance(random, PointScore)
    assert "48 points of unknown origin" in taken_on(clicks)
    assert f"rather {LOW}" not in taken_on(clicks)
    assert "48 randomly drawn pixels" in taken_on(random)


@pytest.mark.parametrize(
    ("kept", "brief", "words"),
    [
        (KeptEpoch(12, 40, "fcn8s", n_compared=20), "12 of 40", "Epoch 12 of 40 was chosen by the same points"),
        (KeptEpoch(40, 40, "fcn8s"), "40 of 40", "Of epoch 40 of 40."),
        (KeptEpoch(3, 9, "unet", "random", False, 9), "no better than untrained", "better than the untrained network"),
        (KeptEpoch(0, 9, "fcn2s", "fitted", False, 9), "none: the fitted head", "No epoch was better"),
        (KeptEpoch(0, 9, "unet", "model", False, 9), "none: the version before", "the version it began with"),
    ],
)
def test_a_score_says_which_weights_it_is_of_and_what_chose_them(kept: KeptEpoch, brief: str, words: str) -> None:
    score = PointScore(0.8, 0.7, 0.9, 48, {0: 0.8}, {"click": 48}, 0.61, 3, kept)

    assert brief in kept_in_brief(score, 40)
    assert words in kept_in_words(score)
    assert kept_in_words(score) in score_in_a_sentence(score)
    assert "Mean IoU 0.610 on 3 expert masks of validation images." in score_in_a_sentence(score)
    assert score_from_dict(score_to_dict(score)) == score


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.1, "Better than"), (-0.1, -0.01, "Worse than"), (-0.02, 0.1, "Not clearly better than")],
)
def test_a_network_is_better_than_the_instant_learner_only_where_the_interval_says_so(
    low: float, high: float, verdict: str
) -> None:
    score = PointScore(0.8, 0.7, 0.9, 48, over_instant=Gain(0.75, (low + high) / 2, low, high, 48))

    assert gain_in_words(score).startswith(f"{verdict} the instant learner, which is right on 75% of the same points")
    assert gain_in_words(score) in score_in_a_sentence(score)
    assert gain_in_words(score).removesuffix(".") in score_in_words(cast(ModelRecord, SimpleNamespace(score=score)))
    assert score_from_dict(score_to_dict(score)) == score
    assert gain_in_words(PointScore(0.8, 0.7, 0.9, 48)) == ""


def test_without_anything_held_out_the_last_epoch_is_kept_and_said_to_be() -> None:
    assert kept_in_brief(None, 7) == "7 of 7, the last"


GRADES = GradeScore(mae=0.416, kappa=0.713, low=0.61, high=0.8, n_points=1180, lost=3, added=2, n_images=7)


@pytest.mark.parametrize(
    ("grades", "words"),
    [
        (GRADES, "quadratic weighted kappa 0.71 (95 % CI 0.61 to 0.80, over images)"),
        (replace(GRADES, n_images=0), "0.61 to 0.80, over points)"),
        (replace(GRADES, low=None, high=None), "without an interval: more images are needed"),
        (replace(GRADES, kappa=None, low=None, high=None), "needs at least two grades"),
        (replace(GRADES, mae=None, kappa=None, low=None, high=None, n_points=0), "nothing says how far grades are off"),
    ],
)
def test_what_is_known_of_grades_is_said_and_what_is_not_is_explained(grades: GradeScore, words: str) -> None:
    score = replace(score_on(click=40), grades=grades)

    for told in (grades_in_words(grades), score_in_a_sentence(score)):
        assert words in told
        assert "3 of a grade told as a class that is none, 2 the reverse" in told
        assert "nan" not in told.lower()
        assert "None" not in told
    assert score_from_dict(score_to_dict(score)) == score


def test_mean_absolute_error_is_said_with_its_unit_and_its_points() -> None:
    told = grades_in_words(replace(GRADES, lost=0, added=0))

    assert "off by 0.42 on average (MAE, in grades) on 1,180 points" in told
    assert "Left out" not in told
    assert kappa_in_brief(GRADES) == "0.71 (0.61–0.80)"


def test_a_score_without_grades_says_nothing_of_them() -> None:
    assert grades_in_words(None) == ""
    assert kappa_in_brief(None) == ""
    assert "rade" not in score_in_a_sentence(score_on(click=40))
