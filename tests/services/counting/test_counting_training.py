"""Learning to count from a project: what is learned from, what is held out, pairs of objectives, what is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

from fcnlab.domain.counting import CountScore, Objective
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.models import ModelRecord, best_counter
from fcnlab.domain.scores import PointScore, score_from_dict, score_to_dict
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.counting.counters import open_counter
from fcnlab.services.counting.training_points import CountingPoints
from fcnlab.services.labelling.events import add_points
from fcnlab.services.models.models import models, use_model
from fcnlab.services.projects.projects import projects
from fcnlab.services.training.finetuning import train
from fcnlab.services.training.lease_holder import LeaseHolder
from fcnlab.services.training.trainings import curves, start_counting, start_training
from fcnlab.services.training.worker import fine_tune, work_on
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint
from tests.services.training.test_finetuning import finished
from tests.support.bars import Site
from tests.support.dots import HEIGHT, SPACING, WIDTH, dotted
from tests.support.dots_project import QUICK, SMALL, Dots


@pytest.fixture
def dots(lab: Lab) -> Dots:
    return Dots(lab)


def points_of(dots: Dots, spec: TrainingSpec = QUICK) -> CountingPoints:
    found = CountingPoints(dots.lab, dots.project.id, spec)
    found.prepare_for(SMALL)
    return found


def test_empty_images_are_learned_from_and_the_background_is_a_class_without_a_point(dots: Dots) -> None:
    found = points_of(dots, replace(QUICK, holdout=0.0))

    assert found.classes == ((dots.background, "background"), (dots.dot, found.classes[1][1]))
    learned = {one.image: one for one in found.learned_from()}
    assert len(learned) == 9
    assert len(learned["6.png"].classes) == 0
    assert learned["6.png"].is_complete
    assert not learned["7.png"].is_complete
    assert all((one.classes == 1).all() for one in learned.values())


def test_only_images_that_are_all_marked_are_held_out(dots: Dots) -> None:
    held = points_of(dots).held_out()

    assert len(held) == 2
    assert all(one.is_complete for one in held)


def test_spacing_and_magnification_stay_when_a_training_goes_on(dots: Dots) -> None:
    first = points_of(dots)
    dots.mark(0, [(row, 1) for row in range(0, 40, 2)])

    again = CountingPoints(dots.lab, dots.project.id, QUICK, plan=first.plan())

    assert first.spacing == pytest.approx(SPACING, abs=2)
    assert again.spacing == first.spacing
    assert again.training.magnification == first.training.magnification > 1
    assert again.plan() == first.plan()


def test_what_is_said_to_be_all_marked_counts_from_the_next_epoch_on(dots: Dots) -> None:
    found = points_of(dots, replace(QUICK, holdout=0.0))
    before = found.point_set_hash()
    dots.say_complete(7)
    dots.say_complete(6, complete=False)

    learned = {one.image: one for one in found.learned_from()}

    assert learned["7.png"].is_complete
    assert "6.png" not in learned
    assert found.point_set_hash() != before


def test_a_closed_training_goes_on_where_it_was(dots: Dots, tmp_path: Path) -> None:
    file = tmp_path / "training.resume"
    steps = train(dots.lab, dots.job(), resume=None, checkpoint=file)
    next(steps)
    steps.close()

    rest, trained = finished(train(dots.lab, dots.job(), resume=file, checkpoint=file))

    assert [step.epoch for step in rest] == [2]
    assert isinstance(trained.score, CountScore)
    save_checkpoint(tmp_path / "model.safetensors", dict(trained.arrays), dict(trained.spec))
    counter = open_counter(tmp_path / "model.safetensors", device="cpu")
    assert counter.spacing == pytest.approx(SPACING, abs=2)
    assert counter.model.training.magnification > 1
    assert len(counter.learned_images) == 7
    (count,) = counter.count(dotted(50)).counts
    assert count.class_id == dots.dot


def work_off(lab: Lab, project_id: int, *, objectives: tuple[Objective, ...]) -> list[ModelRecord]:
    queued = start_counting(
        lab, project_id=project_id, network=SMALL, training=QUICK, objectives=objectives, labeller="ann"
    )
    with LeaseHolder(lab, project_id=project_id) as holder:
        for one in queued:
            deque(work_on(lab, holder, one, fine_tune), maxlen=0)
    assert all(one.progress.score is not None for one in curves(lab, training_id=queued[0].id))
    return [one for one in models(lab, project_id=project_id) if one.training_id in {one.id for one in queued}]


def used_by(lab: Lab, project_id: int) -> int | None:
    return next(one.model_id for one in projects(lab) if one.id == project_id)


def test_a_pair_holds_out_the_same_images_and_the_project_uses_the_better_one(dots: Dots) -> None:
    made = work_off(dots.lab, dots.project.id, objectives=(Objective.DENSITY, Objective.BLOBS))

    assert {one.objective for one in made} == {Objective.DENSITY, Objective.BLOBS}
    plans = [load_checkpoint(dots.lab.folders.checkpoints / one.file)[1]["plan"] for one in made]
    assert plans[0] == plans[1]
    assert len(plans[0]["held_out"]) == 2
    assert used_by(dots.lab, dots.project.id) == best_counter(made).id


def test_one_that_stands_alone_is_not_used_by_itself(dots: Dots) -> None:
    work_off(dots.lab, dots.project.id, objectives=(Objective.BLOBS,))

    assert used_by(dots.lab, dots.project.id) is None


def test_what_people_chose_meanwhile_stays(dots: Dots) -> None:
    (other,) = work_off(dots.lab, dots.project.id, objectives=(Objective.BLOBS,))
    queued = start_counting(
        dots.lab,
        project_id=dots.project.id,
        network=SMALL,
        training=QUICK,
        objectives=(Objective.DENSITY, Objective.BLOBS),
        labeller="ann",
    )
    with LeaseHolder(dots.lab, project_id=dots.project.id) as holder:
        for one in queued:
            deque(work_on(dots.lab, holder, one, fine_tune), maxlen=0)
            use_model(dots.lab, project_id=dots.project.id, model_id=other.id)

    assert used_by(dots.lab, dots.project.id) == other.id


def test_projects_and_objectives_must_agree(dots: Dots) -> None:
    masks = Site(dots.lab, 2)
    masks.click(0)

    with pytest.raises(InvalidSetting, match="makes masks"):
        start_training(dots.lab, project_id=masks.project.id, network=SMALL, training=QUICK, labeller="ann")
    with pytest.raises(InvalidSetting, match="counts objects"):
        start_training(dots.lab, project_id=dots.project.id, network=SMALL, training=TrainingSpec(), labeller="ann")
    with pytest.raises(InvalidSetting, match="makes masks"):
        CountingPoints(dots.lab, masks.project.id, QUICK)


def test_without_a_marked_object_there_is_nothing_to_learn(lab: Lab) -> None:
    bare = Dots(lab, complete=1, begun=0)
    add_points(lab, [Point(1, 1, bare.background)], image_id=bare.images[0], labeller="a", source=PointSource.CLICK)

    with pytest.raises(NoPoints, match="no object is marked"):
        start_counting(
            lab,
            project_id=bare.project.id,
            network=SMALL,
            training=QUICK,
            objectives=(Objective.DENSITY,),
            labeller="ann",
        )


def test_scores_of_both_kinds_survive_the_database() -> None:
    counts = CountScore(2.5, 3.0, 0.1, (2.5, 3.0, 4.0, 5.0), 0.9, 0.8, 0.85, 6, 120, {3: 2.5})
    points = PointScore(0.8, 0.7, 0.9, 48, {0: 0.9, 1: 0.7}, {"random_query": 48})

    assert score_from_dict(score_to_dict(counts)) == counts
    assert score_from_dict(score_to_dict(points)) == points
    old = {
        "accuracy": 0.8,
        "low": 0.7,
        "high": 0.9,
        "n_points": 48,
        "per_class": {"0": 0.9, "1": 0.7},
        "drawn": "query",
    }
    assert score_from_dict(old) == points


def test_pictures_of_the_tests_are_not_square() -> None:
    assert HEIGHT != WIDTH
