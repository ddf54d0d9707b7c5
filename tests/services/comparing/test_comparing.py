"""Laws of comparisons: equal choices for all, and results that stay whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fcnlab.domain.comparison import ComparisonSpec, Measured, Timing
from fcnlab.domain.network import NetworkName
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import Training, TrainingProgress, TrainingState
from fcnlab.errors import InvalidSetting, NoPoints, TrainingRefused, UnknownComparison, UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.comparing import comparisons
from fcnlab.services.models.files import NetworkPredictor, load_network
from fcnlab.services.models.models import delete_model, models
from fcnlab.services.projects.projects import create_project, delete_project
from fcnlab.services.training import lease_holder
from fcnlab.services.training.trainings import training, trainings
from fcnlab.services.training.worker import Trained, fine_tune
from tests.support import comparison_bench
from tests.support.bars import HEIGHT, WIDTH, Site
from tests.support.comparison_bench import SLIDING, SPEC, UNET, start, states, work

site = comparison_bench.site


def test_equal_seeds_hold_out_equal_images_and_others_do_not_always(site: Site) -> None:
    chosen = [ComparisonSpec.from_dict(start(site, replace(SPEC, seed=seed)).spec).held_out for seed in (0, 0, 1, 2, 3)]

    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 1


def failing_once(
    lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
) -> Generator[TrainingProgress, None, Trained]:
    if training.network.network is NetworkName.UNET:
        raise NoPoints("no memory for this one")
    return (yield from fine_tune(lab, training, resume=resume, checkpoint=checkpoint))


def test_one_failure_is_told_and_leaves_the_others(site: Site) -> None:
    found = start(site)

    work(site, failing_once)

    first, second = comparisons.comparison_status(site.lab, comparison_id=found.id).participants
    assert (first.state, first.message, first.measured) == (TrainingState.FAILED, "no memory for this one", None)
    assert second.state is TrainingState.FINISHED
    assert second.measured is not None
    (stored,) = comparisons.comparisons(site.lab, project_id=site.project.id)
    assert stored.state is TrainingState.FINISHED


def test_an_encoder_that_is_not_there_fails_the_instant_learner_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = start(site, replace(SPEC, networks=(UNET,), has_instant=True))

    def refuse(*_arguments: object, **_options: object) -> None:
        raise NoPoints("nothing to look with")

    monkeypatch.setattr("fcnlab.services.comparing.instant_participant.load_encoder", refuse)
    work(site)

    instant, network = comparisons.comparison_status(site.lab, comparison_id=found.id).participants
    assert (instant.state, instant.message) == (TrainingState.FAILED, "nothing to look with")
    assert network.state is TrainingState.FINISHED


def test_cancelling_ends_all_and_keeps_what_is_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_holder, "POLL_S", 0.05)
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
        comparisons.cancel_comparison(site.lab, comparison_id=found.id)

    canceller = threading.Thread(target=cancel, daemon=True)
    canceller.start()
    work(site, trainer)
    canceller.join()

    assert list(states(site.lab, found).values()) == [
        TrainingState.FINISHED,
        TrainingState.CANCELLED,
        TrainingState.CANCELLED,
    ]
    (stored,) = comparisons.comparisons(site.lab, project_id=site.project.id)
    assert stored.state is TrainingState.CANCELLED
    assert list(stored.results) == [f"training-{quick}"]


def test_a_comparison_makes_no_models_unless_one_is_kept_and_kept_ones_outlive_it(site: Site) -> None:
    found = start(site)
    work(site)
    first, second = (
        one.training for one in comparisons.comparison_status(site.lab, comparison_id=found.id).participants
    )
    assert first is not None
    assert second is not None
    assert models(site.lab, project_id=site.project.id) == ()

    kept = comparisons.keep_as_version(site.lab, training_id=first.id)

    assert comparisons.keep_as_version(site.lab, training_id=first.id) == kept
    assert models(site.lab, project_id=site.project.id) == (kept,)
    delete_model(site.lab, model_id=kept.id)
    assert comparisons.comparison_status(site.lab, comparison_id=found.id).participants[0].model_id is None
    kept = comparisons.keep_as_version(site.lab, training_id=first.id)
    assert comparisons.comparison_status(site.lab, comparison_id=found.id).participants[0].model_id == kept.id
    assert kept.classes == tuple((one.id, one.name, one.colour) for one in site.project.classes)
    comparisons.delete_comparison(site.lab, comparison_id=found.id)
    path = site.lab.folders.checkpoints / kept.file
    mask = NetworkPredictor(load_network(path, device="cpu"), device="cpu").mask(site.pixels[0])
    assert mask.shape == (HEIGHT, WIDTH)
    assert training(site.lab, training_id=first.id).comparison_id is None
    assert [one.id for one in trainings(site.lab, project_id=site.project.id)] == [first.id]
    assert not (site.lab.folders.checkpoints / second.checkpoint_file).exists()
    assert not (site.lab.folders.comparisons / str(found.id)).exists()
    with pytest.raises(UnknownComparison):
        comparisons.comparison_status(site.lab, comparison_id=found.id)


def test_a_comparison_that_goes_on_is_not_deleted_and_has_nothing_to_keep(site: Site) -> None:
    found = start(site)
    queued = comparisons.comparison_status(site.lab, comparison_id=found.id).participants[0].training
    assert queued is not None

    with pytest.raises(TrainingRefused, match="cancel it"):
        comparisons.delete_comparison(site.lab, comparison_id=found.id)
    with pytest.raises(TrainingRefused, match="no result"):
        comparisons.keep_as_version(site.lab, training_id=queued.id)


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
        comparisons.start_comparison(site.lab, project_id=bare.id, spec=SPEC, labeller="ann")


def test_a_spec_and_results_come_back_as_they_were() -> None:
    spec = replace(SPEC, as_of=datetime(2026, 1, 1, tzinfo=UTC).isoformat(), held_out=(3, 4), class_ids=(0, 1))
    score = PointScore(0.5, 0.4, 0.6, 10, {0: 0.25, 1: 0.75}, "query")
    measured = Measured(score, 0.5, 2, Timing(0.25, (38, 64), 1024, 1), 10, 5, 24, 1.5, {3: "1/training-1-3.png"})

    assert ComparisonSpec.from_dict(spec.to_dict()) == spec
    assert Measured.from_dict(measured.to_dict()) == measured
