"""Laws of measuring on masks of experts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.lab import Lab
from fcnlab.services.comparing.model_difference import ModelDifference, model_differences
from fcnlab.services.comparing.truth_scores import TruthProgress, truth_scores
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.models.models import keep_instant
from fcnlab.services.projects import projects
from tests.support.export_bench import HEIGHT, WIDTH, Bench
from tests.support.label_imports import give_truth
from tests.support.model_bench import add_network


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    bench = Bench(lab, tmp_path, ["one.png", "two.png", "three.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0), (80, 120, 0))
    return bench


def own_mask(bench: Bench, name: str) -> np.ndarray:
    bench.learner.refresh()
    image = projects.image(bench.lab, image_id=bench.images[name])
    return predicted_mask(bench.learner, image, bench.learner.source_of(bench.learner.cold_model()))


def measured(bench: Bench, *versions: object) -> list[TruthProgress]:
    run = lambda work: work(bench.learner)  # noqa: E731
    return list(truth_scores(bench.lab, run, project_id=bench.project.id, versions=versions))  # type: ignore[arg-type]


def test_a_model_whose_mask_is_the_truth_is_perfect_and_another_is_not(bench: Bench, tmp_path: Path) -> None:
    network = add_network(bench.lab, bench.project.id)
    give_truth(bench.lab, tmp_path, bench.project.id, {name: own_mask(bench, name) for name in ("one.png", "two.png")})

    *_, last = measured(bench, None, network)

    assert (last.done, last.total, last.n_images, last.left_out) == (2, 2, 2, ())
    assert last.scores is not None
    assert last.scores[0].mean_iou == 1
    assert last.scores[0].per_class == {0: 1.0, 1: 1.0}
    assert last.scores[1].mean_iou < 1


def test_pixels_that_experts_left_open_count_nowhere(bench: Bench, tmp_path: Path) -> None:
    network = add_network(bench.lab, bench.project.id)
    truth = own_mask(bench, "one.png")
    wrong = 1 - truth
    wrong[:, : WIDTH // 2] = 255
    half = truth.copy()
    half[:, WIDTH // 2 :] = 255
    give_truth(bench.lab, tmp_path, bench.project.id, {"one.png": half})
    *_, good = measured(bench, None, network)
    give_truth(bench.lab, tmp_path / "again", bench.project.id, {"one.png": wrong})

    *_, bad = measured(bench, None, network)

    assert good.scores is not None
    assert bad.scores is not None
    assert good.scores[0].mean_iou == 1
    assert bad.scores[0].mean_iou == 0


def test_without_expert_masks_nothing_is_measured(bench: Bench) -> None:
    kept = keep_instant(bench.lab, bench.learner, labeller="ann")

    assert [step.scores for step in measured(bench, None, kept) if step.scores] == []


def test_a_lost_mask_is_named(bench: Bench, tmp_path: Path) -> None:
    kept = keep_instant(bench.lab, bench.learner, labeller="ann")
    give_truth(bench.lab, tmp_path, bench.project.id, {"one.png": np.zeros((HEIGHT, WIDTH))})
    for file in (bench.lab.folders.masks / str(bench.project.id)).glob("expert-*"):
        file.unlink()

    *_, last = measured(bench, None, kept)

    assert (last.n_images, last.left_out) == (0, ("one.png",))


def test_two_models_on_one_image_are_measured_on_the_expert_mask_before_the_kept_one(
    bench: Bench, tmp_path: Path
) -> None:
    network = add_network(bench.lab, bench.project.id)
    bench.mark_done("one.png")
    truth = own_mask(bench, "one.png")
    images = [projects.image(bench.lab, image_id=bench.images["one.png"])]

    def found() -> ModelDifference:
        steps = model_differences(bench.lab, lambda work: work(bench.learner), images=images, versions=(None, network))
        return next(step.difference for step in steps if step.difference is not None)

    kept = found()
    give_truth(bench.lab, tmp_path, bench.project.id, {"one.png": 1 - truth})
    expert = found()

    assert kept.ious is not None
    assert expert.ious is not None
    assert (kept.by_expert, kept.ious[0]) == (False, 1.0)
    assert (expert.by_expert, expert.ious[0]) == (True, 0.0)
