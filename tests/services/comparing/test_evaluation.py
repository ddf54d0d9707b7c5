"""Laws of measuring: the same points and held-out images for all who are compared, and times as they are."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcnlab.commands.comparing import table
from fcnlab.domain.comparison import LARGER, LINEAR, ComparisonSpec, Measured
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.domain.scores import score_in_a_sentence
from fcnlab.domain.training import Training, TrainingProgress, TrainingState
from fcnlab.lab import Lab, open_lab, utc_now
from fcnlab.services.comparing import comparisons, evaluation
from fcnlab.services.comparing.evaluation import Bench
from fcnlab.services.comparing.model_difference import galleries
from fcnlab.services.models.files import load_network
from fcnlab.services.projects import projects
from fcnlab.services.training.worker import Trained, fine_tune
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png, read_mask
from fcnlab.storage.files.whole_files import write_whole
from tests.support import comparison_bench
from tests.support.bars import HEIGHT, WIDTH, Site
from tests.support.comparison_bench import SLIDING, SPEC, UNET, start, states, work
from tests.support.label_imports import give_truth

site = comparison_bench.site


def keep_truth(site: Site, image_id: int, mask: np.ndarray) -> None:
    file = f"{site.project.id}/{image_id}-truth.png"
    write_whole(site.lab.folders.masks / file, mask_png(mask))
    with writing(site.lab.sessions) as session:
        repository_images.set_image_state(session, image_id=image_id, state=ImageState.DONE)
        repository_images.store_mask(session, image_id=image_id, mask=StoredMask(file, "m", "p", utc_now()))


def test_all_learn_from_the_same_points_and_are_scored_on_the_same_images(site: Site) -> None:
    found = start(site)
    spec = ComparisonSpec.from_dict(found.spec)
    jobs = []

    def watching(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, Trained]:
        if jobs:  # a labeller goes on between the first network and the second
            site.click(0, per_class=5)
        trained = yield from fine_tune(lab, training, resume=resume, checkpoint=checkpoint)
        jobs.append((trained.n_points, trained.score.n_points if trained.score else 0))
        return trained

    work(site, watching)

    n_held = len(spec.held_out)
    counts = (36 - 6 * n_held, 6 * n_held)
    assert n_held > 0
    assert jobs == [counts, counts]
    for one in comparisons.comparison_status(site.lab, comparison_id=found.id).participants:
        assert one.measured is not None
        assert (one.measured.n_points, one.measured.score and one.measured.score.n_points) == counts
    assert evaluation.bench_of(site.lab, comparison_id=found.id).points.plan() == spec.plan()


def test_results_are_stored_with_files_that_lie_there_and_survive_a_restart(site: Site, settings: Settings) -> None:
    found = start(site)
    spec = ComparisonSpec.from_dict(found.spec)
    truth = (site.pixels[site.images.index(spec.held_out[0])][..., 0] > 100).astype(np.uint8)
    keep_truth(site, spec.held_out[0], truth)
    work(site)
    before = comparisons.comparison_status(site.lab, comparison_id=found.id)
    site.lab.close()

    lab = open_lab(settings)
    after = comparisons.comparison_status(lab, comparison_id=found.id)

    assert after.comparison.state is TrainingState.FINISHED
    assert after.participants == before.participants
    assert spec.shown_ids[: len(spec.held_out)] == spec.held_out
    for one in after.participants:
        assert one.measured is not None
        assert one.measured.n_masks == 1
        assert 0 <= (one.measured.mean_iou or -1) <= 1
        assert one.measured.timing.hw == (38, 64)
        assert set(one.measured.masks) == set(spec.shown_ids)
        for file in one.measured.masks.values():
            mask = read_mask(lab.folders.comparisons / file)
            assert mask is not None
            assert mask.shape == (HEIGHT, WIDTH)
            assert set(np.unique(mask)) <= {0, 1}
    lab.close()


def test_a_mean_iou_is_taken_on_held_out_masks_and_is_one_for_who_draws_them(site: Site) -> None:
    spec = ComparisonSpec.from_dict(start(site).spec)
    truths = {
        image_id: (pixels[..., 0] > 100).astype(np.uint8)
        for image_id, pixels in zip(site.images, site.pixels, strict=True)
    }
    for image_id, truth in truths.items():
        keep_truth(site, image_id, truth)
    bench = evaluation.bench_of(site.lab, comparison_id=1)

    class Knowing:
        def mask(self, rgb: np.ndarray) -> np.ndarray:
            return (rgb[..., 0] > 100).astype(np.uint8)

    class Blind:
        def mask(self, rgb: np.ndarray) -> np.ndarray:
            return np.zeros(rgb.shape[:2], np.uint8)

    assert bench.mean_iou(Knowing()) == (1.0, len(spec.held_out))
    share = np.mean([truths[one] == 0 for one in spec.held_out])
    assert bench.mean_iou(Blind())[0] == pytest.approx(share / 2)


def test_the_instant_learner_comes_first_and_is_scored_on_the_same_held_out_points(site: Site) -> None:
    found = start(site, replace(SPEC, networks=(UNET,), has_instant=True))
    assert list(states(site.lab, found).values()) == [TrainingState.QUEUED, TrainingState.QUEUED]

    work(site)

    instant, network = comparisons.comparison_status(site.lab, comparison_id=found.id).participants
    assert instant.key == LINEAR
    assert instant.measured is not None
    assert network.measured is not None
    assert instant.measured.score is not None
    assert network.measured.score is not None
    assert instant.measured.score.n_points == network.measured.score.n_points
    assert instant.measured.score.accuracy > 0.9
    assert instant.measured.n_points == network.measured.n_points
    assert 0 < instant.measured.learned < instant.measured.parameters


def test_with_many_points_the_larger_head_takes_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "LARGER_FROM", 10)
    found = start(site, replace(SPEC, networks=(UNET,), has_instant=True))

    results = evaluation.measure_instant(site.lab, comparison_id=found.id)

    assert list(results) == [LINEAR, LARGER]
    larger = Measured.from_dict(results[LARGER])
    assert larger.score is not None
    assert larger.score.accuracy > 0.9
    assert larger.learned > Measured.from_dict(results[LINEAR]).learned


def test_the_time_of_a_sliding_window_is_extrapolated_from_some_pixels(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(site, replace(SPEC, networks=(SLIDING,)))
    work(site)
    (one,) = site.lab.folders.checkpoints.iterdir()
    model = load_network(one, device="cpu")
    picture = np.zeros((90, 70, 3), np.uint8)

    whole = evaluation.network_timing(model, picture, device="cpu")
    monkeypatch.setattr(evaluation, "PATIENCE_S", 0.0)
    part = evaluation.network_timing(model, picture, device="cpu")

    assert (whole.is_extrapolated, part.is_extrapolated) == (False, True)
    assert whole.hw == part.hw == (64, 50)
    assert part.seconds == pytest.approx(whole.seconds, rel=3)


def test_expert_masks_of_held_out_images_come_before_kept_ones(site: Site, tmp_path: Path) -> None:
    spec = ComparisonSpec.from_dict(start(site).spec)
    for image_id in site.images:
        keep_truth(site, image_id, np.zeros((HEIGHT, WIDTH), np.uint8))
    bench = evaluation.bench_of(site.lab, comparison_id=1)
    assert not bench.is_measured_on_experts()
    names = {one.id: one.name for one in projects.images(site.lab, project_id=site.project.id)}
    place = site.images.index(spec.held_out[0])
    learned = next(one for one in site.images if one not in spec.held_out)
    bright = (site.pixels[place][..., 0] > 100).astype(np.uint8)

    give_truth(site.lab, tmp_path / "learned", site.project.id, {names[learned]: bright})
    assert not bench.is_measured_on_experts()
    give_truth(site.lab, tmp_path / "held", site.project.id, {names[spec.held_out[0]]: bright})

    class Knowing:
        def mask(self, rgb: np.ndarray) -> np.ndarray:
            return (rgb[..., 0] > 100).astype(np.uint8)

    assert bench.is_measured_on_experts()
    assert bench.mean_iou(Knowing()) == (1.0, 1)


def untrained(
    lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
) -> Generator[TrainingProgress, None, Trained]:
    """A training none of whose epochs was better than the random weights it began with."""
    trained = yield from fine_tune(lab, training, resume=resume, checkpoint=checkpoint)
    if training.network.network is UNET.network:
        spec = dict(trained.spec)
        kept = {"epoch": 2, "epochs": 5, "network": "unet", "start": "random", "is_better": False, "n_compared": 5}
        return replace(trained, spec={**spec, "score": {**spec["score"], "kept": kept}})  # type: ignore[type-var]
    return trained


def test_a_network_that_learned_nothing_has_no_result_and_says_why(site: Site) -> None:
    found = start(site)

    work(site, untrained)

    now = comparisons.comparison_status(site.lab, comparison_id=found.id)
    unet = now.participants[0]
    assert (unet.state, unet.result) == (TrainingState.FINISHED, None)
    assert "better than the untrained network" in unet.message
    assert "no result" in table(now)[1]
    assert unet.message in "\n".join(table(now))
    assert unet.title not in [tile.title for shown in galleries(site.lab, now) for tile in shown.tiles]
    assert unet.training is not None
    kept = comparisons.keep_as_version(site.lab, training_id=unet.training.id)  # and says so wherever it is shown
    assert kept.score is not None
    assert "better than the untrained network" in score_in_a_sentence(kept.score)


def test_times_are_taken_by_turns_warmed_up_and_told_with_their_spread(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(SPEC, networks=(UNET, SLIDING), has_instant=True, minutes=0.05)
    found = start(site, spec)
    work(site)
    bench = evaluation.bench_of(site.lab, comparison_id=found.id)
    order: list[str] = []
    original = evaluation._work_builder

    def watched(bench: Bench, key: str, *rest: Any) -> Any:
        make = original(bench, key, *rest)
        assert make is not None
        return lambda: order.append(key) or make()  # type: ignore[func-returns-value]

    monkeypatch.setattr(evaluation, "_work_builder", watched)
    again = evaluation.timed_by_turns(bench, bench.comparison.results)

    keys = list(bench.comparison.results)
    rounds = [order[start : start + len(keys)] for start in range(0, 3 * len(keys), len(keys))]
    assert sorted(rounds[0]) == sorted(keys)
    assert rounds[0] == rounds[1] == rounds[2]
    for result in (*bench.comparison.results.values(), *again.values()):
        timing = Measured.from_dict(result).timing
        assert timing.is_by_turns
        assert timing.runs >= 3
        assert 0 < timing.low <= timing.seconds <= timing.high
        assert timing.spread() == f"{timing.low:.3g} to {timing.high:.3g}"
