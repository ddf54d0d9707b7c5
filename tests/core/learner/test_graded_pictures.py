"""Classes that are grades of one thing, from clicks to the mask and into a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.learner import learner
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.head import Samples
from fcnlab.core.learner.model import LabelledSamples, Model, model_from_arrays, model_to_arrays, with_current_settings
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.core.tiling.large import unrefined_probabilities, unrefined_segmentation
from fcnlab.domain.events import Point
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import CheckpointError

POINTS = [
    *(Point(40, 45, 1), Point(4, 4, 0), Point(84, 60, 0), Point(50, 107, 2), Point(30, 40, 1), Point(89, 134, 0)),
    *(Point(20, 100, 2), Point(4, 70, 3), Point(45, 80, 3)),
]
HW = (90, 135)
GRADED = [(0, 1, 2, 3), (3, 1, 0, 2), (1, 2, 3), (2, 3)]
CLASSES = tuple((class_id, f"class {class_id}") for class_id in range(4))


@pytest.fixture(scope="module")
def picture(encoder, rgb) -> learner.Picture:
    return learner.prepare(rgb, encoder.encode(rgb, scales=(1.0, 0.5), position=True))


def answer(picture, points, spec, *, start=None):
    clicks = canonical_clicks(points, HW)
    samples = [learner.extract_samples(picture, clicks, spec, background=0)]
    head = learner.fit(samples, spec, start=start)
    return head, learner.segment(picture, head, clicks, spec, background=0), clicks


def model_of(picture, spec) -> Model:
    clicks = canonical_clicks(POINTS, HW)
    samples = learner.extract_samples(picture, clicks, spec, background=0)
    return Model(spec, CLASSES, learner.fit([samples], spec), 0, (LabelledSamples("one", clicks, samples),))


def stored_and_read(model: Model) -> Model:
    arrays, spec = model_to_arrays(model)
    return model_from_arrays(arrays, json.loads(json.dumps(spec)))


@pytest.mark.parametrize("grades", GRADED)
@pytest.mark.parametrize("object_mode", [False, True])
def test_every_click_is_obeyed_and_probabilities_sum_to_one(picture, grades, object_mode):
    head, given, clicks = answer(picture, POINTS, LearnerSpec(grades=grades, object_mode=object_mode))

    assert head.scale is not None
    assert given.class_ids == (0, 1, 2, 3)
    assert given.probabilities.shape == (4, *HW)
    assert np.allclose(given.probabilities.sum(axis=0), 1, atol=1e-4)
    assert all(full_size(given, HW, clicks)[point.row, point.col] == point.class_id for point in POINTS)


@pytest.mark.parametrize("grades", GRADED)
def test_the_order_of_clicks_and_the_last_head_do_not_matter(picture, grades):
    spec = LearnerSpec(grades=grades)
    _, one, _ = answer(picture, POINTS, spec)
    _, other, _ = answer(picture, POINTS[::-1], spec)
    warm_head = None
    for n in range(2, len(POINTS) + 1):
        warm_head, warm, _ = answer(picture, POINTS[:n], spec, start=warm_head)

    assert np.array_equal(one.probabilities, other.probabilities)
    assert np.abs(warm.probabilities - one.probabilities).max() < 2e-3


@pytest.mark.parametrize("grades", [(0, 2), (2, 0), (1, 3), (3, 2)])
def test_fewer_than_two_grades_with_points_or_two_alone_give_the_mask_without_grades(picture, grades):
    points = [point for point in POINTS if point.class_id in (0, 2)]

    _, plain, _ = answer(picture, points, LearnerSpec())
    _, graded, _ = answer(picture, points, LearnerSpec(grades=grades))

    assert np.array_equal(plain.class_map, graded.class_map)
    assert np.array_equal(plain.probabilities, graded.probabilities)


@pytest.mark.parametrize("grades", GRADED)
def test_the_head_alone_says_the_same_at_once_and_pixel_by_pixel(picture, grades):
    head, _, _ = answer(picture, POINTS, LearnerSpec(grades=grades))

    whole = unrefined_segmentation(picture.stages, head)
    small = unrefined_probabilities(picture.stages, head)

    assert whole.probabilities.shape == (4, *HW)
    assert np.allclose(whole.probabilities.sum(axis=0), 1, atol=1e-4)
    assert small.shape[0] == 4
    inner = whole.probabilities[:, 20:60:4, 20:100:4] + whole.probabilities[:, 23:63:4, 23:103:4]
    assert np.abs(inner / 2 - small[:, 5:15, 5:25]).mean() < 0.05


@pytest.mark.parametrize("grades", GRADED)
def test_a_model_with_grades_comes_back_from_a_checkpoint_as_it_was(picture, grades):
    model = model_of(picture, LearnerSpec(grades=grades))

    again = stored_and_read(model)

    assert again.spec == model.spec
    assert again.head.scale is not None
    assert model.head.scale is not None
    assert again.head.scale.places == model.head.scale.places
    assert again.head.class_ids == model.head.class_ids
    for one, other in (
        (again.head.weights, model.head.weights),
        (again.head.bias, model.head.bias),
        (again.head.scale.thresholds, model.head.scale.thresholds),
    ):
        assert np.array_equal(one, other)
    clicks = canonical_clicks(POINTS, HW)
    masks = [learner.segment(picture, m.head, clicks, m.spec, background=0).class_map for m in (model, again)]
    assert np.array_equal(*masks)


def test_a_model_without_grades_is_stored_as_earlier_versions_read_it(picture):
    arrays, spec = model_to_arrays(model_of(picture, LearnerSpec()))

    assert "head.thresholds" not in arrays
    assert "head_grade_places" not in spec
    assert "grades" not in spec["learner"]


@pytest.mark.parametrize(
    "thresholds",
    [None, (2.0, 1.0, 0.0), (0.0, 1.0), (0.0, np.nan, 1.0), (0.0, 1.0, np.inf)],
)
def test_thresholds_that_are_none_are_explained(picture, thresholds):
    arrays, spec = model_to_arrays(model_of(picture, LearnerSpec(grades=(0, 1, 2, 3))))

    del arrays["head.thresholds"]
    if thresholds is not None:
        arrays["head.thresholds"] = np.array(thresholds, np.float32)

    with pytest.raises(CheckpointError, match="save or fetch it again"):
        model_from_arrays(arrays, spec)


@pytest.mark.parametrize("places", [[0, 1, 2, 4], [0, 1, 2, 2], [-1] * 4, [0, 1, -2, 3], ["low"], None, [], [0, 1, 2]])
def test_grades_that_do_not_fit_the_head_are_explained(picture, places):
    arrays, spec = model_to_arrays(model_of(picture, LearnerSpec(grades=(0, 1, 2, 3))))

    with pytest.raises(CheckpointError, match="save or fetch it again"):
        model_from_arrays(arrays, {**spec, "head_grade_places": places})
    del spec["head_grade_places"]
    with pytest.raises(CheckpointError, match="save or fetch it again"):
        model_from_arrays(arrays, spec)


@pytest.mark.parametrize("grades", GRADED)
@pytest.mark.parametrize("used", [(0, 1, 3), (1, 2), (0, 2), (0, 3), (0, 1)])
def test_a_class_that_was_removed_is_gone_from_masks_and_the_others_stay(picture, grades, used):
    model = model_of(picture, LearnerSpec(grades=grades))
    no_clicks = canonical_clicks([], HW)
    before = unrefined_probabilities(picture.stages, model.head)[list(used)]

    now = with_current_settings(
        model,
        classes=tuple(pair for pair in CLASSES if pair[0] in used),
        background=None,
        spec=LearnerSpec(),
        clicks={},
    )
    now = stored_and_read(replace(now, classes=CLASSES))
    segmentation = learner.segment(picture, now.head, no_clicks, now.spec, background=None)
    after = unrefined_probabilities(picture.stages, now.head)

    assert segmentation.class_ids == used
    assert set(np.unique(segmentation.class_map)) <= set(used)
    assert np.isfinite(segmentation.probabilities).all()
    sure = before.sum(axis=0) > 0.05
    assert np.abs(before / np.maximum(before.sum(axis=0), 1e-6) - after)[:, sure].max() < 1e-3


def test_with_many_clicks_for_each_grade_the_head_is_that_of_classes_without_an_order():
    rng = np.random.default_rng(0)

    def samples(n_each: int) -> list[learner.ImageSamples]:
        class_ids = np.repeat([3, 5, 9], n_each)
        features = rng.normal(size=(len(class_ids), 4)).astype(np.float32) + class_ids[:, None].astype(np.float32)
        clicked = Samples(features, class_ids, np.ones(len(class_ids), np.float32))
        return [learner.ImageSamples(clicked, Samples(features[:0], class_ids[:0], clicked.weights[:0]), None)]

    spec = LearnerSpec(grades=(9, 3, 5))
    few, many = samples(learner.GRADED_UP_TO), samples(learner.GRADED_UP_TO + 1)

    graded = learner.fit(few, spec)
    assert graded.scale is not None
    plain, warm = learner.fit(many, spec), learner.fit(many, spec, start=graded)
    assert plain.scale is None
    np.testing.assert_array_equal(plain.weights, learner.fit(many, LearnerSpec()).weights)
    np.testing.assert_allclose(warm.weights, plain.weights, atol=2e-3)
