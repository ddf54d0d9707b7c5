"""Laws of the tables of trainings, models and comparisons."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from fcnlab.domain.counting import KeptEpoch
from fcnlab.domain.models import ModelDraft, ModelKind
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import Training, TrainingProgress, TrainingSpec, TrainingState, Wanted
from fcnlab.errors import UnknownModel, UnknownProject, UnknownTraining
from fcnlab.storage.database import (
    repository_comparisons,
    repository_models,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import Sessions, reading, writing
from fcnlab.storage.files.presence import this_process
from tests.support.tables import ELSEWHERE, NOW, make_project, take

NETWORK = NetworkSpec(NetworkName.FCN8S, 2, upsampling="bilinear")
SPEC = TrainingSpec(epochs=7, source_weights=("query=2",))
SCORE = PointScore(0.75, 0.5, 0.9, 8, {0: 1.0, 5: 0.5}, {"random_query": 8}, 0.5, 2, KeptEpoch(3, 4, "unet"))


def queue(sessions: Sessions, project_id: int, *, images: tuple[int, ...] | None = None) -> Training:
    with writing(sessions) as session:
        return repository_trainings.add_training(
            session,
            project_id=project_id,
            network=NETWORK,
            training=SPEC,
            image_ids=images,
            comparison_id=None,
            labeller="ann",
            now=NOW,
        )


def progress(epoch: int, *, score: PointScore | None = None, loss: float = 0.5) -> TrainingProgress:
    return TrainingProgress(epoch, 7, NetworkName.FCN16S, loss, 2.0 * epoch, 3.5, 14 - 2.0 * epoch, score, epoch == 2)


def report(sessions: Sessions, training_id: int, *reports: TrainingProgress) -> None:
    for one in reports:
        with writing(sessions) as session:
            repository_trainings.record_epoch(session, training_id=training_id, progress=one, now=NOW)


def draft(training_id: int | None = None, name: str = "first") -> ModelDraft:
    return ModelDraft(
        name=name,
        kind=ModelKind.NETWORK,
        spec=NETWORK.to_dict(),
        training=SPEC,
        classes=((0, "background", "#0072B2"), (5, "cell", "#E69F00")),
        point_set_hash="ab",
        n_points=12,
        score=SCORE,
        parent_id=None,
        training_id=training_id,
        labeller="ann",
        file="1.safetensors",
        size=3_000_000_000,
        seconds=61.5,
    )


def test_a_training_comes_back_as_it_was_stored(sessions: Sessions, project_id: int) -> None:
    stored = queue(sessions, project_id, images=(3, 1))

    with reading(sessions) as session:
        found = repository_trainings.training(session, training_id=stored.id)

    assert found == stored
    assert (found.network, found.training, found.image_ids) == (NETWORK, SPEC, (3, 1))
    assert (found.state, found.wanted, found.epochs) == (TrainingState.QUEUED, Wanted.RUN, 7)


def test_curves_come_back_as_they_were_reported(sessions: Sessions, project_id: int) -> None:
    training_id = queue(sessions, project_id).id
    reports = (progress(1), progress(2, score=SCORE), progress(3, score=replace(SCORE, sources={"click": 8})))

    report(sessions, training_id, *reports)

    with reading(sessions) as session:
        assert [one.progress for one in repository_trainings.epochs(session, training_id=training_id)] == list(reports)
        assert repository_trainings.training(session, training_id=training_id).epoch == 3


def test_epochs_that_happen_again_replace_what_was_reported(sessions: Sessions, project_id: int) -> None:
    training_id = queue(sessions, project_id).id
    report(sessions, training_id, progress(1), progress(2), progress(3))

    report(sessions, training_id, progress(2, loss=0.125))

    with reading(sessions) as session:
        found = repository_trainings.epochs(session, training_id=training_id)
    assert [(one.progress.epoch, one.progress.loss) for one in found] == [(1, 0.5), (2, 0.125)]


def test_a_worker_takes_the_interrupted_training_and_then_the_oldest(sessions: Sessions, project_id: int) -> None:
    other = make_project(sessions, "other")
    queue(sessions, other)
    first, second, third = (queue(sessions, project_id).id for _ in range(3))
    order = []
    with writing(sessions) as session:
        repository_trainings.set_state(session, training_id=second, state=TrainingState.RUNNING, now=NOW)
        assert repository_trainings.projects_for_a_worker(session) == (project_id, other)

    while True:
        with writing(sessions) as session:
            found = repository_trainings.next_training(session, project_id=project_id)
            if found is None:
                break
            order.append(found.id)
            repository_trainings.set_state(session, training_id=found.id, state=TrainingState.FINISHED, now=NOW)

    assert order == [second, first, third]


def test_the_first_start_and_the_end_of_a_training_keep_their_time(sessions: Sessions, project_id: int) -> None:
    training_id = queue(sessions, project_id).id
    changes = (TrainingState.RUNNING, TrainingState.PAUSED, TrainingState.RUNNING, TrainingState.FAILED)

    with writing(sessions) as session:
        for minutes, state in enumerate(changes):
            now = NOW + timedelta(minutes=minutes)
            found = repository_trainings.set_state(session, training_id=training_id, state=state, now=now)
            assert (found.finished_at is None) == found.is_open

    assert (found.started_at, found.finished_at) == (NOW, NOW + timedelta(minutes=3))


def test_a_model_comes_back_as_it_was_stored(sessions: Sessions, project_id: int) -> None:
    training_id = queue(sessions, project_id).id
    with writing(sessions) as session:
        stored = repository_models.add_model(session, project_id=project_id, draft=draft(training_id), now=NOW)
        repository_trainings.finish_training(session, training_id=training_id, model_id=stored.id, now=NOW)

    with reading(sessions) as session:
        found = repository_models.model(session, model_id=stored.id)
        training = repository_trainings.training(session, training_id=training_id)

    assert found == stored
    assert (found.score, found.classes, found.size) == (SCORE, draft().classes, 3_000_000_000)
    assert (training.state, training.model_id) == (TrainingState.FINISHED, found.id)


def test_a_project_uses_its_own_models_until_they_are_removed(sessions: Sessions, project_id: int) -> None:
    other = make_project(sessions, "other")
    with writing(sessions) as session:
        own = repository_models.add_model(session, project_id=project_id, draft=draft(), now=NOW)
        repository_models.use_model(session, project_id=project_id, model_id=own.id)
        assert repository_projects.project(session, project_id=project_id).model_id == own.id
        with pytest.raises(UnknownModel):
            repository_models.use_model(session, project_id=other, model_id=own.id)

        repository_models.remove_model(session, model_id=own.id, now=NOW)

        assert repository_projects.project(session, project_id=project_id).model_id is None
        assert repository_models.models(session, project_id=project_id) == ()
        assert len(repository_models.models(session, project_id=project_id, include_removed=True)) == 1
        with pytest.raises(UnknownModel):
            repository_models.use_model(session, project_id=project_id, model_id=own.id)


def test_a_comparison_keeps_its_results(sessions: Sessions, project_id: int) -> None:
    spec = {"minutes": 5, "networks": ["fcn8s", "unet"]}
    with writing(sessions) as session:
        made = repository_comparisons.add_comparison(session, project_id=project_id, spec=spec, labeller="ann", now=NOW)
        for results in ({"unet": 0.4, "fcn8s": 0.3}, {"unet": 0.5}):
            repository_comparisons.record_results(session, comparison_id=made.id, results=results)

    with reading(sessions) as session:
        (found,) = repository_comparisons.comparisons(session, project_id=project_id)

    assert found == replace(made, results={"unet": 0.5, "fcn8s": 0.3})


def test_deleting_a_project_deletes_what_was_trained_for_it(sessions: Sessions, project_id: int) -> None:
    other = make_project(sessions, "other")
    for owner in (project_id, other):
        training_id = queue(sessions, owner).id
        report(sessions, training_id, progress(1))
        take(sessions, owner, this_process())
        with writing(sessions) as session:
            parent = repository_models.add_model(session, project_id=owner, draft=draft(training_id), now=NOW)
            child = replace(draft(training_id), parent_id=parent.id)
            repository_models.add_model(session, project_id=owner, draft=child, now=NOW)
            repository_comparisons.add_comparison(session, project_id=owner, spec={}, labeller="ann", now=NOW)

    with writing(sessions) as session:
        repository_projects.begin_deletion(session, project_id=project_id, now=NOW)

    counts = {"models": 2, "trainings": 1, "training_epochs": 1, "leases": 1, "comparisons": 1}
    with reading(sessions) as session:
        left = {name: session.scalar(text(f"SELECT count(*) FROM {name}")) for name in counts}
        assert left == counts
        assert len(repository_models.models(session, project_id=other)) == 2


def test_what_is_not_there_is_named(sessions: Sessions, project_id: int) -> None:
    with reading(sessions) as session:
        with pytest.raises(UnknownTraining, match="17"):
            repository_trainings.training(session, training_id=17)
        with pytest.raises(UnknownModel, match="18"):
            repository_models.model(session, model_id=18)
    with pytest.raises(UnknownProject):
        queue(sessions, project_id + 1)
    with pytest.raises(UnknownProject):
        take(sessions, project_id + 1, ELSEWHERE)
