"""Laws of comparisons: the same points and held-out images for all, and results that stay whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fcnlab.adapters import repository_images
from fcnlab.adapters.database import writing
from fcnlab.adapters.files import write_whole
from fcnlab.adapters.png import mask_png, read_mask
from fcnlab.comparisons import LARGER, LINEAR, ComparisonSpec, Measured, Timing
from fcnlab.domain import ImageState, StoredMask
from fcnlab.errors import InvalidSetting, NoPoints, TrainingRefused, UnknownComparison, UnknownImage
from fcnlab.lab import Lab, open_lab, utc_now
from fcnlab.runs import Comparison, Training, TrainingState
from fcnlab.services import comparing, holding, measuring
from fcnlab.services.models import delete_model
from fcnlab.services.networks import NetworkPredictor, load_network
from fcnlab.services.projects import create_project, delete_project
from fcnlab.services.trainings import models, training, trainings
from fcnlab.services.worker import Trained, fine_tune, run_worker
from fcnlab.settings import Settings
from fcnlab.specs import SCRATCH, NetworkName, NetworkSpec, PointScore, TrainingProgress
from tests.services.bars import HEIGHT, WIDTH, Site

UNET = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
SLIDING = NetworkSpec(NetworkName.SLIDING, 2, encoder=SCRATCH, width=4)
SPEC = ComparisonSpec((UNET, SLIDING), minutes=0.01, has_instant=False, holdout=0.34, working_side=64)


@pytest.fixture
def site(settings: Settings) -> Site:
    """Six clicked pictures, two of which will be held out; the clock is the real one, since leases live by it."""
    site = Site(open_lab(settings), 6)
    for number in range(6):
        site.click(number)
    return site


def start(site: Site, spec: ComparisonSpec = SPEC) -> Comparison:
    return comparing.start_comparison(site.lab, project_id=site.project.id, spec=spec, labeller="ann")


def work(site: Site, trainer: Callable[..., Generator[TrainingProgress, None, Trained]] = fine_tune) -> None:
    run_worker(site.lab, project_id=site.project.id, trainer=trainer, idle_s=0)


def states(lab: Lab, found: Comparison) -> dict[str, TrainingState]:
    return {one.key: one.state for one in comparing.standing(lab, comparison_id=found.id).participants}


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
    for one in comparing.standing(site.lab, comparison_id=found.id).participants:
        assert one.measured is not None
        assert (one.measured.n_points, one.measured.score and one.measured.score.n_points) == counts
    assert measuring.bench_of(site.lab, comparison_id=found.id).points.plan() == spec.plan()


def test_equal_seeds_hold_out_equal_images_and_others_do_not_always(site: Site) -> None:
    chosen = [ComparisonSpec.from_dict(start(site, replace(SPEC, seed=seed)).spec).held_out for seed in (0, 0, 1, 2, 3)]

    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 1


def test_results_are_stored_with_files_that_lie_there_and_survive_a_restart(site: Site, settings: Settings) -> None:
    found = start(site)
    spec = ComparisonSpec.from_dict(found.spec)
    truth = (site.pixels[site.images.index(spec.held_out[0])][..., 0] > 100).astype(np.uint8)
    keep_truth(site, spec.held_out[0], truth)
    work(site)
    before = comparing.standing(site.lab, comparison_id=found.id)
    site.lab.close()

    lab = open_lab(settings)
    after = comparing.standing(lab, comparison_id=found.id)

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
    bench = measuring.bench_of(site.lab, comparison_id=1)

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

    instant, network = comparing.standing(site.lab, comparison_id=found.id).participants
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
    monkeypatch.setattr(measuring, "LARGER_FROM", 10)
    found = start(site, replace(SPEC, networks=(UNET,), has_instant=True))

    results = measuring.measure_instant(site.lab, comparison_id=found.id)

    assert list(results) == [LINEAR, LARGER]
    larger = Measured.from_dict(results[LARGER])
    assert larger.score is not None
    assert larger.score.accuracy > 0.9
    assert larger.learned > Measured.from_dict(results[LINEAR]).learned


def failing_once(
    lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
) -> Generator[TrainingProgress, None, Trained]:
    if training.network.network is NetworkName.UNET:
        raise NoPoints("no memory for this one")
    return (yield from fine_tune(lab, training, resume=resume, checkpoint=checkpoint))


def test_one_failure_is_told_and_leaves_the_others(site: Site) -> None:
    found = start(site)

    work(site, failing_once)

    first, second = comparing.standing(site.lab, comparison_id=found.id).participants
    assert (first.state, first.message, first.measured) == (TrainingState.FAILED, "no memory for this one", None)
    assert second.state is TrainingState.FINISHED
    assert second.measured is not None
    (stored,) = comparing.comparisons(site.lab, project_id=site.project.id)
    assert stored.state is TrainingState.FINISHED


def test_an_encoder_that_is_not_there_fails_the_instant_learner_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = start(site, replace(SPEC, networks=(UNET,), has_instant=True))

    def refuse(*_arguments: object, **_options: object) -> None:
        raise NoPoints("nothing to look with")

    monkeypatch.setattr("fcnlab.services.instant.load_encoder", refuse)
    work(site)

    instant, network = comparing.standing(site.lab, comparison_id=found.id).participants
    assert (instant.state, instant.message) == (TrainingState.FAILED, "nothing to look with")
    assert network.state is TrainingState.FINISHED


def test_cancelling_ends_all_and_keeps_what_is_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LOOK_S", 0.05)
    long = replace(SPEC, networks=(UNET, replace(UNET, width=8), SLIDING), minutes=5)
    found = start(site, long)
    quick = trainings(site.lab, project_id=site.project.id)[-1].id
    begun = threading.Event()

    def trainer(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, Trained]:
        if training.id == quick:
            training = replace(training, training=replace(training.training, epochs=1))
        else:
            begun.set()
        return (yield from fine_tune(lab, training, resume=resume, checkpoint=checkpoint))

    def cancel() -> None:
        begun.wait(60)
        time.sleep(0.3)
        comparing.cancel_comparison(site.lab, comparison_id=found.id)

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    work(site, trainer)
    canceller.join()

    assert list(states(site.lab, found).values()) == [
        TrainingState.FINISHED,
        TrainingState.CANCELLED,
        TrainingState.CANCELLED,
    ]
    (stored,) = comparing.comparisons(site.lab, project_id=site.project.id)
    assert stored.state is TrainingState.CANCELLED
    assert list(stored.results) == [f"training-{quick}"]


def test_a_comparison_makes_no_models_unless_one_is_kept_and_kept_ones_outlive_it(site: Site) -> None:
    found = start(site)
    work(site)
    first, second = (one.training for one in comparing.standing(site.lab, comparison_id=found.id).participants)
    assert first is not None
    assert second is not None
    assert models(site.lab, project_id=site.project.id) == ()

    kept = comparing.keep_as_version(site.lab, training_id=first.id)

    assert comparing.keep_as_version(site.lab, training_id=first.id) == kept
    assert models(site.lab, project_id=site.project.id) == (kept,)
    delete_model(site.lab, model_id=kept.id)
    assert comparing.standing(site.lab, comparison_id=found.id).participants[0].model_id is None
    kept = comparing.keep_as_version(site.lab, training_id=first.id)
    assert comparing.standing(site.lab, comparison_id=found.id).participants[0].model_id == kept.id
    assert kept.classes == tuple((one.id, one.name, one.colour) for one in site.project.classes)
    comparing.delete_comparison(site.lab, comparison_id=found.id)
    path = site.lab.folders.checkpoints / kept.file
    mask = NetworkPredictor(load_network(path, device="cpu"), device="cpu").mask(site.pixels[0])
    assert mask.shape == (HEIGHT, WIDTH)
    assert training(site.lab, training_id=first.id).comparison_id is None
    assert [one.id for one in trainings(site.lab, project_id=site.project.id)] == [first.id]
    assert not (site.lab.folders.checkpoints / second.checkpoint_file).exists()
    assert not (site.lab.folders.comparisons / str(found.id)).exists()
    with pytest.raises(UnknownComparison):
        comparing.standing(site.lab, comparison_id=found.id)


def test_a_comparison_that_goes_on_is_not_deleted_and_has_nothing_to_keep(site: Site) -> None:
    found = start(site)
    queued = comparing.standing(site.lab, comparison_id=found.id).participants[0].training
    assert queued is not None

    with pytest.raises(TrainingRefused, match="cancel it"):
        comparing.delete_comparison(site.lab, comparison_id=found.id)
    with pytest.raises(TrainingRefused, match="no result"):
        comparing.keep_as_version(site.lab, training_id=queued.id)


def test_deleting_the_project_deletes_files_of_its_comparisons(site: Site) -> None:
    start(site, replace(SPEC, networks=(UNET,)))
    work(site)
    assert list(site.lab.folders.comparisons.iterdir())

    delete_project(site.lab, project_id=site.project.id)

    for folder in (site.lab.folders.comparisons, site.lab.folders.checkpoints, site.lab.folders.resume):
        assert list(folder.iterdir()) == []


def test_what_cannot_be_compared_is_refused(site: Site) -> None:
    with pytest.raises(InvalidSetting, match="at least one"):
        replace(SPEC, networks=())
    with pytest.raises(InvalidSetting, match="twice"):
        replace(SPEC, networks=(UNET, UNET))
    with pytest.raises(InvalidSetting, match="same time"):
        replace(SPEC, minutes=0)
    with pytest.raises(UnknownImage):
        start(site, replace(SPEC, image_ids=(4711,)))
    bare = create_project(site.lab, name="bare")
    with pytest.raises(NoPoints):
        comparing.start_comparison(site.lab, project_id=bare.id, spec=SPEC, labeller="ann")


def test_the_time_of_a_sliding_window_is_extrapolated_from_some_pixels(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(site, replace(SPEC, networks=(SLIDING,)))
    work(site)
    (one,) = site.lab.folders.checkpoints.iterdir()
    model = load_network(one, device="cpu")
    picture = np.zeros((90, 70, 3), np.uint8)

    whole = measuring.network_timing(model, picture, device="cpu")
    monkeypatch.setattr(measuring, "PATIENCE_S", 0.0)
    part = measuring.network_timing(model, picture, device="cpu")

    assert (whole.is_extrapolated, part.is_extrapolated) == (False, True)
    assert whole.hw == part.hw == (64, 50)
    assert part.seconds == pytest.approx(whole.seconds, rel=3)


def test_a_spec_and_results_come_back_as_they_were() -> None:
    spec = replace(SPEC, as_of=datetime(2026, 1, 1, tzinfo=UTC).isoformat(), held_out=(3, 4), class_ids=(0, 1))
    score = PointScore(0.5, 0.4, 0.6, 10, {0: 0.25, 1: 0.75}, "query")
    measured = Measured(score, 0.5, 2, Timing(0.25, (38, 64), 1024, 1), 10, 5, 24, 1.5, {3: "1/training-1-3.png"})

    assert ComparisonSpec.from_dict(spec.to_dict()) == spec
    assert Measured.from_dict(measured.to_dict()) == measured
