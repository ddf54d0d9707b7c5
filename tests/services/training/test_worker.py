"""Laws of the worker: what it does with trainings that are queued, paused, resumed and cancelled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.training import Training, TrainingProgress, TrainingState
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.models.models import models
from fcnlab.services.training import lease_holder
from fcnlab.services.training.lease_holder import LeaseHolder
from fcnlab.services.training.trainings import cancel_training, pause_training, resume_training, training
from fcnlab.services.training.worker import run_worker, work_on
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.checkpoints import load_checkpoint
from tests.support import worker_bench
from tests.support.tiny_trainer import TinyTrained, TinyTrainer
from tests.support.worker_bench import eventually, has_worker, losses, meanwhile, start, state_of

lab, project_id = worker_bench.lab, worker_bench.project_id


def test_a_worker_trains_what_is_queued_and_ends(lab: Lab, project_id: int) -> None:
    first, second = start(lab, project_id), start(lab, project_id, epochs=5)

    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert [state_of(lab, one.id) for one in (first, second)] == [TrainingState.FINISHED] * 2
    assert [len(losses(lab, one.id)) for one in (first, second)] == [3, 5]
    with reading(lab.sessions) as session:
        assert repository_trainings.leases(session) == ()


def test_a_finished_training_leaves_a_model_and_its_checkpoint(lab: Lab, project_id: int) -> None:
    number = start(lab, project_id).id

    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    (model,) = models(lab, project_id=project_id)
    arrays, spec = load_checkpoint(lab.folders.checkpoints / model.file)
    assert training(lab, training_id=number).model_id == model.id
    assert (model.training_id, model.n_points, model.labeller) == (number, 2, "ann")
    assert model.classes == ((0, "background", "#0072B2"), (1, "cell", "#E69F00"))
    assert model.size == (lab.folders.checkpoints / model.file).stat().st_size
    assert arrays["weight"].shape == (2, 2)
    assert spec["network"] == training(lab, training_id=number).network.to_dict()
    assert list(lab.folders.resume.iterdir()) == []


def test_points_clicked_meanwhile_join_the_next_epoch(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)
    with LeaseHolder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        add_points(lab, [Point(9, 9, 0)], image_id=1, labeller="ann", source=PointSource.CLICK)

        for _ in steps:
            pass

    assert models(lab, project_id=project_id)[0].n_points == 3


def test_a_training_paused_and_resumed_ends_where_it_would_have(lab: Lab, project_id: int) -> None:
    through, halting = start(lab, project_id, epochs=6), start(lab, project_id, epochs=6)
    with LeaseHolder(lab, project_id=project_id) as holder:
        for _ in work_on(lab, holder, through, TinyTrainer()):
            pass
        for progress in work_on(lab, holder, halting, TinyTrainer()):
            if progress.epoch == 2:
                pause_training(lab, training_id=halting.id)

    assert state_of(lab, halting.id) is TrainingState.PAUSED
    assert len(losses(lab, halting.id)) == 3
    resume_training(lab, training_id=halting.id)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)
    assert losses(lab, halting.id) == losses(lab, through.id)
    assert state_of(lab, halting.id) is TrainingState.FINISHED


def test_who_stops_asking_for_epochs_pauses_the_training(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)
    with LeaseHolder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        steps.close()

    assert state_of(lab, queued.id) is TrainingState.PAUSED
    assert (lab.folders.resume / queued.resume_file).is_file()


def test_a_cancelled_training_stops_in_the_middle_of_an_epoch_and_the_next_one_follows(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "POLL_S", 0.05)
    long, short = start(lab, project_id, epochs=2), start(lab, project_id, epochs=2)

    def patient(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        epoch_s = 300.0 if training.id == long.id else 0.0
        return (yield from TinyTrainer(epoch_s)(lab, training, resume=resume, checkpoint=checkpoint))

    def cancel_it() -> None:
        eventually(lambda: state_of(lab, long.id) is TrainingState.RUNNING)
        cancel_training(lab, training_id=long.id)

    canceller = meanwhile(cancel_it)
    run_worker(lab, project_id=project_id, trainer=patient, idle_s=0)

    canceller.join()
    assert [state_of(lab, one.id) for one in (long, short)] == [TrainingState.CANCELLED, TrainingState.FINISHED]
    assert list(lab.folders.resume.iterdir()) == []


def test_a_pause_does_not_wait_for_the_end_of_a_long_epoch(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "POLL_S", 0.05)
    monkeypatch.setattr(lease_holder, "PAUSE_WITHIN_S", 0.1)
    queued = start(lab, project_id)

    def pause_it() -> None:
        eventually(lambda: state_of(lab, queued.id) is TrainingState.RUNNING)
        assert pause_training(lab, training_id=queued.id).state is TrainingState.RUNNING

    pauser = meanwhile(pause_it)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(300), idle_s=0)

    pauser.join()
    assert state_of(lab, queued.id) is TrainingState.PAUSED


def test_a_pause_taken_back_while_it_interrupts_costs_the_epoch_and_nothing_else(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "POLL_S", 0.05)
    monkeypatch.setattr(lease_holder, "PAUSE_WITHIN_S", 0.0)
    queued, tries = start(lab, project_id), []

    def indecisive(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        tries.append(resume)
        steps = TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint)
        if len(tries) == 1:
            yield next(steps)
            try:  # whichever pause is seen: the first may interrupt as well as the second
                pause_training(lab, training_id=training.id)
                resume_training(lab, training_id=training.id)
                pause_training(lab, training_id=training.id)
                time.sleep(300)
            finally:
                resume_training(lab, training_id=training.id)
        return (yield from steps)

    run_worker(lab, project_id=project_id, trainer=indecisive, idle_s=0)

    assert state_of(lab, queued.id) is TrainingState.FINISHED
    assert tries == [None, lab.folders.resume / queued.resume_file]


def test_a_worker_asked_to_end_while_it_takes_the_lease_leaves_none(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = LeaseHolder._take

    def take_and_be_asked(holder: LeaseHolder) -> None:
        take(holder)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)  # the signal arrives here

    monkeypatch.setattr(LeaseHolder, "_take", take_and_be_asked)
    handler = signal.getsignal(signal.SIGTERM)

    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=300)

    assert not has_worker(lab, project_id=project_id)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_worker_with_nothing_to_do_ends_when_it_is_asked_to(lab: Lab, project_id: int) -> None:
    def end_it() -> None:
        eventually(lambda: has_worker(lab, project_id=project_id))
        os.kill(os.getpid(), signal.SIGTERM)

    ender = meanwhile(end_it)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=300)

    ender.join()
    assert not has_worker(lab, project_id=project_id)
