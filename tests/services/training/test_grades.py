"""Trainings of a project whose classes are grades: what they are told, what they learn, what their files hold."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcnlab.domain.counting import Objective
from fcnlab.domain.network import NetworkName, NetworkSpec, Order
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError, InvalidSetting
from fcnlab.lab import Lab
from fcnlab.services.models.files import NetworkPredictor, load_network
from fcnlab.services.training.finetuning import TrainedNetwork, TrainingJob, train
from fcnlab.services.training.trainings import start_training, trainings
from fcnlab.storage.files.checkpoints import load_spec, save_checkpoint
from tests.support.graded import QUICK, SMALL, GradedSite

LONGER = replace(QUICK, epochs=60, learning_rate=1e-2)


def trained_on(
    site: GradedSite, folder: Path, *, order: Order | None = None, training: TrainingSpec = QUICK
) -> TrainedNetwork:
    network = replace(SMALL, order=order)
    job = TrainingJob(site.project_id, network, replace(training, grades=site.grades))
    return finished(train(site.lab, job, resume=None, checkpoint=folder / "resume"))


def finished(steps: Generator[TrainingProgress, None, TrainedNetwork]) -> TrainedNetwork:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: TrainedNetwork = end.value
            return result


@pytest.mark.parametrize(("order", "stored"), [(None, "cumulative"), ("corn", "corn")])
def test_a_checkpoint_stands_alone_and_tells_grades_apart(
    lab: Lab, tmp_path: Path, order: Order | None, stored: Order
) -> None:
    site = GradedSite(lab, 6)

    trained = trained_on(site, tmp_path, order=order, training=LONGER)
    site.set_grades(())
    save_checkpoint(tmp_path / "model.safetensors", dict(trained.arrays), dict(trained.spec))
    model = load_network(tmp_path / "model.safetensors", device="cpu")

    spec = model.network.spec
    assert spec.order == stored
    assert tuple(model.class_ids[place] for place in spec.grades) == site.grades
    assert model.training.grades == site.grades
    assert isinstance(trained.score, PointScore)
    assert model.score == trained.score
    grades = trained.score.grades
    assert grades is not None
    assert grades.n_images == 2
    assert grades.kappa is not None
    assert grades.kappa > 0.6
    mask = NetworkPredictor(model, device="cpu").mask(site.pixels[0])
    assert (mask == site.masks[0]).mean() > 0.75


def test_without_the_order_a_network_is_that_of_a_project_without_grades_and_its_grades_are_scored(
    lab: Lab, tmp_path: Path
) -> None:
    graded = GradedSite(lab, 4)

    trained = trained_on(graded, tmp_path, order="none")
    job = TrainingJob(graded.project_id, SMALL, QUICK)
    without = finished(train(lab, job, resume=None, checkpoint=tmp_path / "resume"))

    assert trained.spec["network"] == without.spec["network"]
    assert set(trained.arrays) == set(without.arrays)
    assert all(np.array_equal(trained.arrays[name], without.arrays[name]) for name in trained.arrays)
    assert isinstance(trained.score, PointScore)
    assert isinstance(without.score, PointScore)
    assert trained.score.grades is not None
    assert without.score.grades is None


def test_an_interrupted_training_with_grades_ends_like_one_that_was_not(lab: Lab, tmp_path: Path) -> None:
    site = GradedSite(lab, 4)
    whole = trained_on(site, tmp_path)
    job = TrainingJob(site.project_id, SMALL, replace(QUICK, grades=site.grades))
    begun = train(lab, job, resume=None, checkpoint=tmp_path / "cut")
    next(begun)
    begun.close()

    resumed = finished(train(lab, job, resume=tmp_path / "cut", checkpoint=tmp_path / "cut"))

    assert all(np.array_equal(whole.arrays[name], resumed.arrays[name]) for name in whole.arrays)


def test_a_version_goes_on_as_it_was_and_not_in_another_order(lab: Lab, tmp_path: Path) -> None:
    site = GradedSite(lab, 4)
    for order in ("none", "corn"):
        trained = trained_on(site, tmp_path, order=order)
        save_checkpoint(lab.folders.checkpoints / f"{order}.safetensors", dict(trained.arrays), dict(trained.spec))

    for order in ("none", "corn"):
        onward = trained_on(site, tmp_path, training=replace(QUICK, parent=f"{order}.safetensors"))
        assert onward.spec["network"] == load_spec(lab.folders.checkpoints / f"{order}.safetensors")["network"]
    with pytest.raises(CheckpointError) as other_layer:
        trained_on(site, tmp_path, order="cumulative", training=replace(QUICK, parent="corn.safetensors"))
    site.grades = site.grades[::-1]
    with pytest.raises(CheckpointError) as other_order:
        trained_on(site, tmp_path, training=replace(QUICK, parent="corn.safetensors"))

    assert "order of grades" in str(other_layer.value)
    assert "faint, light, moderate, severe" in str(other_order.value)


def test_a_queued_training_knows_the_grades_of_its_project(lab: Lab) -> None:
    site = GradedSite(lab, 2)

    for order in (None, "none", "corn"):
        start_training(
            lab,
            project_id=site.project_id,
            network=replace(SMALL, order=order),
            training=QUICK,
            labeller="ann",
        )

    queued = sorted(trainings(lab, project_id=site.project_id), key=lambda one: one.id)
    assert [one.network.order for one in queued] == [None, "none", "corn"]
    assert {one.training.grades for one in queued} == {site.grades}


@pytest.mark.parametrize(
    ("network", "has_grades", "words"),
    [
        (replace(SMALL, order="corn"), False, "needs grades"),
        (NetworkSpec(NetworkName.LARGER_HEAD, 5, order="cumulative"), True, "larger-head is fitted without steps"),
    ],
)
def test_an_order_that_cannot_be_used_is_refused_before_it_is_queued(
    lab: Lab, network: NetworkSpec, *, has_grades: bool, words: str
) -> None:
    site = GradedSite(lab, 2, has_grades=has_grades)

    with pytest.raises(InvalidSetting) as refused:
        start_training(lab, project_id=site.project_id, network=network, training=QUICK, labeller="ann")

    assert words in str(refused.value)
    assert trainings(lab, project_id=site.project_id) == ()


def test_grades_and_counting_do_not_go_together() -> None:
    with pytest.raises(InvalidSetting) as refused:
        TrainingSpec(objective=Objective.DENSITY, grades=(1, 2, 3))

    assert "counts" in str(refused.value)


def test_specs_of_projects_without_grades_are_what_earlier_versions_read() -> None:
    assert set(SMALL.to_dict()).isdisjoint({"order", "grades"})
    assert "grades" not in QUICK.to_dict()
    assert NetworkSpec.from_dict(SMALL.to_dict()) == SMALL
    graded = replace(QUICK, grades=(3, 1, 2))
    assert TrainingSpec.from_dict(graded.to_dict()) == graded
