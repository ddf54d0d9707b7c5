from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages, score_stages
from fcnlab.core.learner import learner
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.samples import SampleTable, canonical_clicks
from fcnlab.domain.events import Point
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import NoPoints

POINTS = [Point(40, 45, 1), Point(4, 4, 0), Point(84, 60, 0), Point(50, 107, 2), Point(30, 40, 1), Point(89, 134, 0)]
TWO = [point for point in POINTS if point.class_id != 2]
SPECS = [LearnerSpec(object_mode=mode, refine=refine) for mode in (False, True) for refine in (False, True)]


@pytest.fixture(scope="module")
def picture(encoder: StageEncoder, rgb) -> learner.Picture:
    return prepared(encoder, rgb)


def prepared(encoder: StageEncoder, rgb: np.ndarray) -> learner.Picture:
    return learner.prepare(rgb, encoder.encode(rgb, scales=(1.0, 0.5), position=True))


def answer(picture, points, spec, *, image_hw=None, start=None):
    clicks = canonical_clicks(points, image_hw or picture.stages.hw)
    head = learner.fit([learner.extract_samples(picture, clicks, spec, background=0)], spec, start=start)
    return head, learner.segment(picture, head, clicks, spec, background=0), clicks


@pytest.mark.parametrize("spec", SPECS)
def test_a_few_clicks_find_the_disc(picture, rgb, spec):
    _, found, _ = answer(picture, TWO, spec)
    rows, cols = np.mgrid[:90, :135]
    disc = np.hypot(rows - 40, cols - 45) < 24

    overlap = ((found.class_map == 1) & disc).sum() / ((found.class_map == 1) | disc).sum()

    assert overlap > 0.85
    assert found.probabilities.shape == (2, 90, 135)
    assert np.allclose(found.probabilities.sum(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("image_hw", [(90, 135), (271, 404)])
def test_every_click_is_obeyed_where_it_was_made(picture, spec, image_hw):
    factor = image_hw[0] / 90
    points = [Point(int(p.row * factor), int(p.col * factor), p.class_id) for p in POINTS]
    points += [Point(points[0].row, points[0].col + 1, 0), Point(image_hw[0] - 1, image_hw[1] - 1, 2)]
    points = list({(p.row, p.col): p for p in points}.values())

    _, found, clicks = answer(picture, points, spec, image_hw=image_hw)
    whole = full_size(found, image_hw, clicks)

    assert whole.shape == image_hw
    assert [int(whole[p.row, p.col]) for p in points] == [p.class_id for p in points]


def test_at_its_own_size_the_map_is_what_full_size_shows(picture):
    _, found, clicks = answer(picture, POINTS, LearnerSpec())

    assert np.array_equal(full_size(found, (90, 135), clicks), found.class_map)
    assert all(found.class_map[p.row, p.col] == p.class_id for p in POINTS)


def test_full_size_shows_the_background_object_mode_put_there(picture):
    spec = LearnerSpec(object_mode=True)
    points = [Point(40, 45, 1), Point(50, 107, 2)]

    _, found, clicks = answer(picture, points, spec)

    assert set(np.unique(full_size(found, (180, 270), clicks))) == set(np.unique(found.class_map))


@pytest.mark.parametrize("hw", [(1, 70), (70, 1), (1, 2)])
@pytest.mark.parametrize("spec", SPECS)
def test_pictures_one_pixel_high_or_wide_are_pictures(encoder, rgb, hw, spec):
    thin = np.ascontiguousarray(rgb[: hw[0], : hw[1]])
    points = [Point(0, 0, 1), Point(hw[0] - 1, hw[1] - 1, 0)]

    _, found, _ = answer(prepared(encoder, thin), points, spec)

    assert found.class_map[0, 0] == 1
    assert found.class_map[-1, -1] == 0


@pytest.mark.parametrize("points", [TWO, POINTS])
def test_a_cold_fit_does_not_know_the_order_of_clicking(picture, points):
    first, one, _ = answer(picture, points, LearnerSpec())
    second, other, _ = answer(picture, points[::-1], LearnerSpec())

    assert np.array_equal(first.weights, second.weights)
    assert np.array_equal(first.bias, second.bias)
    assert np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("points", [TWO, POINTS])
def test_a_warm_fit_agrees_with_the_cold_one_everywhere(picture, points):
    warm_head = None
    for n in range(3, len(points) + 1):
        if len({point.class_id for point in points[:n]}) > 1:
            warm_head, warm, _ = answer(picture, points[:n], LearnerSpec(), start=warm_head)

    _, cold, _ = answer(picture, points, LearnerSpec())

    assert np.abs(warm.probabilities - cold.probabilities).max() < 1e-3


@pytest.mark.parametrize("spec", [LearnerSpec(), LearnerSpec(object_mode=True)])
def test_transposing_everything_transposes_the_result(picture, rgb, spec):
    stages = picture.stages
    turned = Stages(
        stages.infos,
        tuple(one.transpose(1, 2).contiguous() for one in stages.maps),
        stages.means,
        stages.scales,
        stages.hw[::-1],
    )

    _, one, _ = answer(picture, TWO, spec)
    _, other, _ = answer(
        learner.prepare(np.ascontiguousarray(rgb.transpose(1, 0, 2)), turned),
        [Point(p.col, p.row, p.class_id) for p in TWO],
        spec,
    )

    assert np.abs(one.probabilities - other.probabilities.transpose(0, 2, 1)).max() < 0.02
    assert (one.class_map != other.class_map.T).mean() < 0.001


def test_images_without_clicks_are_segmented_by_what_others_taught(picture):
    head, _, _ = answer(picture, POINTS, LearnerSpec())
    nobody = canonical_clicks([], picture.stages.hw)

    found = learner.segment(picture, head, nobody, LearnerSpec(), background=0)

    assert found.class_map[40, 45] == 1
    assert found.class_map[50, 107] == 2


def test_a_click_of_a_class_the_head_never_saw_is_still_obeyed(picture):
    head, _, _ = answer(picture, TWO, LearnerSpec())
    clicks = canonical_clicks([*TWO, Point(50, 107, 7)], picture.stages.hw)

    found = learner.segment(picture, head, clicks, LearnerSpec(), background=0)

    assert found.class_map[50, 107] == 7
    assert full_size(found, picture.stages.hw, clicks)[50, 107] == 7


def test_one_class_alone_is_refused_with_what_is_missing(picture):
    with pytest.raises(NoPoints, match="second class"):
        answer(picture, [Point(40, 45, 1), Point(30, 40, 1)], LearnerSpec())


def test_a_guess_is_the_background_until_a_second_class_is_clicked(picture):
    rows, cols = np.mgrid[:90, :135]
    disc = np.hypot(rows - 40, cols - 45) < 24
    clicks = canonical_clicks([Point(40, 45, 1)], picture.stages.hw)
    guess = learner.first_guess(picture, clicks, background=0)
    samples = replace(learner.extract_samples(picture, clicks, LearnerSpec(), background=0), guess=guess)

    found = learner.segment(picture, learner.fit([samples], LearnerSpec()), clicks, LearnerSpec(), background=0)

    assert set(guess.class_ids.tolist()) == {0}
    assert guess.weights.sum() == pytest.approx(1, abs=1e-5), "as much as one click"
    assert ((found.class_map == 1) & disc).sum() / ((found.class_map == 1) | disc).sum() > 0.5
    both = canonical_clicks([Point(40, 45, 1), Point(4, 4, 0)], picture.stages.hw)
    plain = learner.extract_samples(picture, both, LearnerSpec(), background=0)
    one, other = (learner.fit([some], LearnerSpec()) for some in (plain, replace(plain, guess=guess)))
    assert np.array_equal(one.weights, other.weights)


@pytest.mark.parametrize(
    ("clicked", "n_points", "background", "wanted"),
    [
        *[({1}, 1, 0, True), ({1}, 64, 0, True), ({1}, 65, 0, False), ({0}, 1, 0, False), ({1}, 1, None, False)],
        *[({0, 1}, 2, 0, False), (set(), 0, 0, False)],
    ],
)
def test_few_clicks_of_one_class_that_is_not_the_background_want_a_guess(clicked, n_points, background, wanted):
    assert learner.wants_guess(clicked, n_points, background) is wanted


def test_removing_the_border_from_an_earlier_lesson_changes_nothing_else(picture):
    clicks = canonical_clicks(TWO, picture.stages.hw)
    samples = learner.extract_samples(picture, clicks, LearnerSpec(object_mode=True), background=0)

    assert samples.border is not None
    assert learner.extract_samples(picture, clicks, LearnerSpec(), background=0).border is None
    assert learner.fit([replace(samples, border=None)], LearnerSpec()).class_ids == (0, 1)


def test_stages_of_half_precision_teach_the_same(encoder, rgb, picture):
    stages = encoder.encode(rgb, scales=(1.0, 0.5), position=True)

    assert all(one.dtype == torch.float16 for one in stages.maps)
    assert all(torch.equal(one.float(), other) for one, other in zip(stages.maps, picture.stages.maps, strict=True))


@pytest.mark.parametrize("object_mode", [False, True])
def test_a_weight_of_two_is_a_point_made_twice(picture, object_mode):
    spec = LearnerSpec(object_mode=object_mode)
    weighted = canonical_clicks(POINTS, picture.stages.hw, [2.0, *[1.0] * (len(POINTS) - 1)])
    doubled = canonical_clicks([POINTS[0], *POINTS], picture.stages.hw)
    plain = canonical_clicks(POINTS, picture.stages.hw)

    heads = [
        learner.fit([learner.extract_samples(picture, one, spec, background=0)], spec)
        for one in (weighted, doubled, plain)
    ]

    assert np.allclose(heads[0].weights, heads[1].weights, atol=1e-4)
    assert not np.allclose(heads[0].weights, heads[2].weights, atol=1e-4)


def test_what_a_picture_remembers_of_earlier_clicks_changes_nothing(encoder, rgb):
    clicked, spec = prepared(encoder, rgb), LearnerSpec(object_mode=True)
    answers = [answer(clicked, POINTS[:count], spec) for count in (2, 3, 4, 6)]
    answers.append(answer(clicked, [POINTS[0], POINTS[2]], spec))  # others were taken back

    for count, (head, found, clicks) in zip(("2", "3", "4", "6", "two others"), answers, strict=True):
        fresh = prepared(encoder, rgb)
        samples = learner.extract_samples(fresh, clicks, spec, background=0)
        assert np.array_equal(learner.fit([samples], spec).weights, head.weights), count
        again = learner.segment(fresh, head, clicks, spec, background=0)
        assert np.array_equal(again.probabilities, found.probabilities), count
        assert np.array_equal(again.class_map, found.class_map), count


def test_scores_on_the_grid_are_those_of_all_stages(picture):
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(2, picture.stages.width)).astype(np.float32), np.zeros(2, np.float32)

    fine = score_stages(picture.stages, weights, bias, grid=learner.WALKER_STRIDE)
    grid = score_stages(picture.grid_stages, weights, bias, grid=learner.WALKER_STRIDE)

    assert np.allclose(fine, grid, atol=2e-3)


def test_a_fit_among_many_points_goes_on_in_a_few_gradients_and_ends_where_a_cold_one_does(picture):
    spec = LearnerSpec()

    def samples(count: int) -> list[learner.ImageSamples]:
        rng = np.random.default_rng(3)
        points = {(int(r), int(c)): int(k) for r, c, k in rng.integers((90, 135, 2), size=(count, 3))}
        clicks = canonical_clicks([Point(*at, k) for at, k in points.items()], picture.stages.hw)
        return [learner.extract_samples(picture, clicks, spec, background=0)]

    head = learner.fit(samples(300), spec, start=learner.fit(samples(299), spec))
    assert learner.wants_preparation(head, 300)
    assert not learner.wants_preparation(head, 10), "few points are fitted soon anyway"
    ready, table = learner.prepared(head, samples(300), spec), SampleTable()
    for count in range(301, 306):
        ready = learner.fit(samples(count), spec, start=ready, table=table)
        assert ready.gradients < head.gradients / 3
        assert not learner.wants_preparation(ready, count)

    cold = learner.fit(samples(305), spec)
    assert np.allclose(ready.weights, cold.weights, atol=2e-3 * float(np.abs(cold.weights).max()))
