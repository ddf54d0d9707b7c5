from __future__ import annotations

import pickle

import numpy as np
import pytest

from fcnlab.core.tagging.scores import expected_calibration_error, tag_scores
from fcnlab.core.tagging.tagger import (
    fit_tagger,
    held_out_probabilities,
    tag_probabilities,
)
from fcnlab.errors import InvalidTag
from tests.core.tagging.conftest import CLASS_IDS, TaggedImages


def test_it_tells_images_apart_that_it_has_not_seen(images: TaggedImages) -> None:
    tagger = fit_tagger(images.features[:100], images.answers[:100], CLASS_IDS)

    probabilities = tag_probabilities(tagger, images.features[100:])

    assert probabilities.shape == (300, 3)
    assert probabilities.dtype == np.float32
    score = tag_scores(probabilities, images.answers[100:])
    assert score.mean_average_precision is not None
    assert score.mean_average_precision.value > 0.8


def test_what_is_learned_does_not_depend_on_the_order_of_images(images: TaggedImages) -> None:
    features, answers = images.features[:40], images.answers[:40]
    order = np.random.default_rng(1).permutation(40)

    first = tag_probabilities(fit_tagger(features, answers, CLASS_IDS), images.features)
    second = tag_probabilities(fit_tagger(features[order], answers[order], CLASS_IDS), images.features)

    assert np.array_equal(first, second)


def test_the_same_seed_gives_the_same_and_another_seed_something_else(images: TaggedImages) -> None:
    given = images.features[:40], images.answers[:40], CLASS_IDS

    first, again, other = (tag_probabilities(fit_tagger(*given, seed=seed), images.features) for seed in (4, 4, 5))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_images_without_an_answer_change_nothing(images: TaggedImages) -> None:
    answers = images.answers[:60].copy()
    answers[30:] = -1

    few = tag_probabilities(fit_tagger(images.features[:30], answers[:30], CLASS_IDS), images.features)
    more = tag_probabilities(fit_tagger(images.features[:60], answers, CLASS_IDS), images.features)

    assert np.array_equal(few, more)


def test_only_tags_with_a_yes_and_a_no_are_learned(images: TaggedImages) -> None:
    answers = images.answers[:30].copy()
    answers[:, 0] = np.where(answers[:, 0] == 1, 1, -1)
    answers[:, 2] = -1

    tagger = fit_tagger(images.features[:30], answers, CLASS_IDS)

    assert tagger.class_ids == CLASS_IDS
    assert tagger.learned == (7,)
    assert tag_probabilities(tagger, images.features).shape == (400, 1)


@pytest.mark.parametrize("n_images", [0, 1, 5])
def test_without_anything_to_learn_nothing_is_said(images: TaggedImages, n_images: int) -> None:
    answers = np.full((n_images, 3), 1, np.int8)

    tagger = fit_tagger(images.features[:n_images], answers, CLASS_IDS)

    assert tagger.learned == ()
    assert tag_probabilities(tagger, images.features).shape == (400, 0)


def test_two_images_are_enough_for_a_guess(images: TaggedImages) -> None:
    answers = np.array([[1, 0, -1], [0, 1, 1]], np.int8)

    tagger = fit_tagger(images.features[:2], answers, CLASS_IDS)
    probabilities = tag_probabilities(tagger, images.features[:2])

    assert tagger.learned == (3, 7)
    assert tagger.calibration.n_answers.tolist() == [0, 0]
    assert (probabilities[0] > probabilities[1]).tolist() == [True, False]


def test_images_that_are_all_alike_get_the_share_of_yes() -> None:
    features = np.full((12, 6), 3.0, np.float32)
    answers = np.array([[1]] * 9 + [[0]] * 3, np.int8)

    probabilities = tag_probabilities(fit_tagger(features, answers, (0,)), features)

    assert np.ptp(probabilities) == 0
    assert 0.6 < float(probabilities[0, 0]) < 0.85


def test_probabilities_are_calibrated_on_images_it_has_not_seen(images: TaggedImages) -> None:
    tagger = fit_tagger(images.features[:150], images.answers[:150], CLASS_IDS)

    error = expected_calibration_error(tag_probabilities(tagger, images.features[150:]), images.answers[150:])

    assert tagger.calibration.n_answers.tolist() == [150] * 3
    assert error is not None
    assert error < 0.08


def test_a_start_never_changes_what_is_learned(images: TaggedImages) -> None:
    earlier = fit_tagger(images.features[:30], images.answers[:30], CLASS_IDS)
    given = images.features[:31], images.answers[:31], CLASS_IDS

    after, fresh = fit_tagger(*given, start=earlier), fit_tagger(*given)

    assert np.array_equal(tag_probabilities(after, images.features), tag_probabilities(fresh, images.features))
    assert fit_tagger(*given, start=after) is after
    assert fit_tagger(*given, start=after, seed=1) is not after


def test_a_tagger_survives_being_stored(images: TaggedImages) -> None:
    tagger = fit_tagger(images.features[:40], images.answers[:40], CLASS_IDS)
    wanted = tag_probabilities(tagger, images.features)

    pickled = pickle.loads(pickle.dumps(tagger))

    assert np.array_equal(tag_probabilities(pickled, images.features), wanted)
    assert pickled.learned == tagger.learned


def test_held_out_probabilities_come_from_other_images(images: TaggedImages) -> None:
    features = np.repeat(images.features[:40], 2, axis=0)
    answers = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(np.int8).repeat(2, axis=0)
    groups = np.arange(40).repeat(2)

    leaking, _ = held_out_probabilities(features, answers, CLASS_IDS)
    kept, is_told = held_out_probabilities(features, answers, CLASS_IDS, groups=groups)

    def right(probabilities: np.ndarray) -> float:
        return float(((probabilities > 0.5) == answers).mean())

    assert is_told.all()
    assert right(leaking) > right(kept) + 0.1
    assert right(kept) < 0.65


def test_held_out_probabilities_are_nowhere_undefined(images: TaggedImages) -> None:
    answers = np.full((6, 3), -1, np.int8)
    answers[:, 0] = [1, 0, 0, 0, 0, 0]
    answers[0, 1] = 1

    probabilities, is_told = held_out_probabilities(images.features[:6], answers, CLASS_IDS)

    assert np.isfinite(probabilities).all()
    assert not is_told[0, 0]
    assert not is_told[:, 1:].any()
    assert (probabilities[~is_told] == 0.5).all()


def test_held_out_probabilities_follow_their_images(images: TaggedImages) -> None:
    features, answers = images.features[:50], images.answers[:50]
    order = np.random.default_rng(2).permutation(50)

    first, _ = held_out_probabilities(features, answers, CLASS_IDS)
    second, _ = held_out_probabilities(features[order], answers[order], CLASS_IDS)

    assert np.array_equal(first[order], second)


def test_what_does_not_fit_together_is_explained(images: TaggedImages) -> None:
    features, answers = images.features[:30], images.answers[:30]
    broken = features.copy()
    broken[4, 2] = np.nan
    tagger = fit_tagger(features, answers, CLASS_IDS)

    with pytest.raises(InvalidTag, match="a row per image"):
        fit_tagger(features[:29], answers, CLASS_IDS)
    with pytest.raises(InvalidTag, match="image 4"):
        fit_tagger(broken, answers, CLASS_IDS)
    with pytest.raises(InvalidTag, match="unknown"):
        fit_tagger(features, answers + np.int8(2), CLASS_IDS)
    with pytest.raises(InvalidTag, match="twice"):
        fit_tagger(features, answers, (3, 3, 7))
    with pytest.raises(InvalidTag, match="30 features"):
        tag_probabilities(tagger, features[:, :20])
    with pytest.raises(InvalidTag, match="group"):
        held_out_probabilities(features, answers, CLASS_IDS, groups=[1, 2])
