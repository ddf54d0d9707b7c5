"""Laws of the worker: what it does with trainings, and what is left when it is stopped, killed or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fcnlab.adapters import repository_leases
from fcnlab.adapters.checkpoints import load_checkpoint
from fcnlab.adapters.database import reading, writing
from fcnlab.adapters.processes import this_process
from fcnlab.domain import Point, PointSource
from fcnlab.errors import NoPoints, WorkerBusy
from fcnlab.lab import Lab, open_lab
from fcnlab.runs import Training, TrainingState
from fcnlab.services import holding
from fcnlab.services.holding import Holder
from fcnlab.services.labelling import add_points
from fcnlab.services.models import models
from fcnlab.services.projects import delete_project
from fcnlab.services.trainings import (
    cancel_training,
    curves,
    pause_training,
    resume_training,
    start_training,
    training,
    trainings,
)
from fcnlab.services.worker import run_worker, work_on
from fcnlab.services.workers import has_worker
from fcnlab.settings import Settings
from fcnlab.specs import NetworkName, NetworkSpec, TrainingProgress, TrainingSpec
from tests.services.tabs import new_project
from tests.services.tiny_trainer import TinyTrained, TinyTrainer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    """An installation whose clock is the real one: leases live by it."""
    lab = open_lab(settings)
    yield lab
    lab.close()


@pytest.fixture
def project_id(lab: Lab) -> int:
    project_id, images = new_project(lab)
    points = [Point(3, 5, 0), Point(30, 60, 1)]
    add_points(lab, points, image_id=images[0], labeller="ann", source=PointSource.CLICK)
    return project_id


def start(lab: Lab, project_id: int, *, epochs: int = 3) -> Training:
    return start_training(
        lab,
        project_id=project_id,
        network=NetworkSpec(NetworkName.UNET, 2),
        training=TrainingSpec(epochs=epochs),
        labeller="ann",
    )


def state_of(lab: Lab, number: int) -> TrainingState:
    return training(lab, training_id=number).state


def losses(lab: Lab, number: int) -> list[float]:
    return [one.progress.loss for one in curves(lab, training_id=number)]


def eventually(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_worker_trains_what_is_queued_and_ends(lab: Lab, project_id: int) -> None:
    first, second = start(lab, project_id), start(lab, project_id, epochs=5)

    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert [state_of(lab, one.id) for one in (first, second)] == [TrainingState.FINISHED] * 2
    assert [len(losses(lab, one.id)) for one in (first, second)] == [3, 5]
    with reading(lab.sessions) as session:
        assert repository_leases.leases(session) == ()


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
    with Holder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        add_points(lab, [Point(9, 9, 0)], image_id=1, labeller="ann", source=PointSource.CLICK)

        for _ in steps:
            pass

    assert models(lab, project_id=project_id)[0].n_points == 3


def test_a_training_paused_and_resumed_ends_where_it_would_have(lab: Lab, project_id: int) -> None:
    through, halting = start(lab, project_id, epochs=6), start(lab, project_id, epochs=6)
    with Holder(lab, project_id=project_id) as holder:
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
    with Holder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        steps.close()

    assert state_of(lab, queued.id) is TrainingState.PAUSED
    assert (lab.folders.resume / queued.resume_file).is_file()


def test_a_cancelled_training_stops_in_the_middle_of_an_epoch_and_the_next_one_follows(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "LOOK_S", 0.05)
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
    monkeypatch.setattr(holding, "LOOK_S", 0.05)
    monkeypatch.setattr(holding, "PAUSE_WITHIN_S", 0.1)
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
    monkeypatch.setattr(holding, "LOOK_S", 0.05)
    monkeypatch.setattr(holding, "PAUSE_WITHIN_S", 0.0)
    queued, tries = start(lab, project_id), []

    def indecisive(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        tries.append(resume)
        steps = TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint)
        if len(tries) == 1:
            yield next(steps)
            pause_training(lab, training_id=training.id)
            resume_training(lab, training_id=training.id)
            pause_training(lab, training_id=training.id)
            try:
                time.sleep(300)
            finally:
                resume_training(lab, training_id=training.id)
        return (yield from steps)

    run_worker(lab, project_id=project_id, trainer=indecisive, idle_s=0)

    assert state_of(lab, queued.id) is TrainingState.FINISHED
    assert tries == [None, lab.folders.resume / queued.resume_file]


def test_a_worker_with_nothing_to_do_ends_when_it_is_asked_to(lab: Lab, project_id: int) -> None:
    def end_it() -> None:
        eventually(lambda: has_worker(lab, project_id=project_id))
        os.kill(os.getpid(), signal.SIGTERM)

    ender = meanwhile(end_it)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=300)

    ender.join()
    assert not has_worker(lab, project_id=project_id)


def failing(failure: Exception) -> Callable[..., Generator[TrainingProgress, None, TinyTrained]]:
    def train(*arguments: object, **options: object) -> Generator[TrainingProgress, None, TinyTrained]:
        raise failure
        yield  # a generator

    return train


def test_an_explained_failure_is_told_and_the_next_training_follows(lab: Lab, project_id: int) -> None:
    first, second = start(lab, project_id), start(lab, project_id)

    run_worker(lab, project_id=project_id, trainer=failing(NoPoints("click somewhere first")), idle_s=0)

    found = [training(lab, training_id=one.id) for one in (first, second)]
    assert [(one.state, one.message) for one in found] == [(TrainingState.FAILED, "click somewhere first")] * 2
    assert all(one.finished_at is not None for one in found)


def test_of_a_bug_the_log_has_the_details_and_people_hear_where(lab: Lab, project_id: int) -> None:
    number = start(lab, project_id).id

    run_worker(lab, project_id=project_id, trainer=failing(ZeroDivisionError("seven over nothing")), idle_s=0)

    found = training(lab, training_id=number)
    file = lab.folders.logs / f"training-{number}.log"
    assert "something went wrong" in found.message
    assert str(file) in found.message
    assert "seven over nothing" not in found.message
    assert "ZeroDivisionError: seven over nothing" in file.read_text()


def test_a_failed_training_can_be_tried_again_from_where_it_was(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)

    def fails_after_two(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        for progress in TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint):
            yield progress
            if progress.epoch == 2:
                raise NoPoints("all points were removed")
        raise AssertionError

    run_worker(lab, project_id=project_id, trainer=fails_after_two, idle_s=0)
    first = losses(lab, queued.id)
    assert resume_training(lab, training_id=queued.id).message == ""

    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert state_of(lab, queued.id) is TrainingState.FINISHED
    assert losses(lab, queued.id)[:2] == first


def test_a_second_worker_is_refused(lab: Lab, project_id: int) -> None:
    other = replace(this_process(), host="another-machine")
    with writing(lab.sessions) as session:
        repository_leases.take_lease(session, project_id=project_id, process=other, now=lab.clock())
    start(lab, project_id)

    with pytest.raises(WorkerBusy, match="another-machine"):
        run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert [one.state for one in trainings(lab, project_id=project_id)] == [TrainingState.QUEUED]


def test_a_worker_that_lost_its_lease_changes_nothing_any_more(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)
    other = replace(this_process(), host="another-machine")
    with Holder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        with writing(lab.sessions) as session:
            repository_leases.give_back_lease(session, project_id=project_id, process=this_process())
            repository_leases.take_lease(session, project_id=project_id, process=other, now=lab.clock())

        with pytest.raises(WorkerBusy):
            next(steps)

    assert len(losses(lab, queued.id)) == 1
    assert state_of(lab, queued.id) is TrainingState.RUNNING
    assert (lab.folders.resume / queued.resume_file).is_file()
    with reading(lab.sessions) as session:
        assert [lease.process for lease in repository_leases.leases(session)] == [other]


def test_a_deleted_project_ends_its_worker_and_nothing_of_it_stays(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)

    def deletes(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        steps = TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint)
        yield next(steps)
        delete_project(lab, project_id=project_id)
        checkpoint.write_bytes(b"written after the project was deleted")
        yield TrainingProgress(2, 3, NetworkName.UNET, 0.5, 1.0, 1.0, 1.0)
        raise AssertionError

    with pytest.raises(WorkerBusy):
        run_worker(lab, project_id=project_id, trainer=deletes, idle_s=0)

    assert not (lab.folders.resume / queued.resume_file).exists()
    with reading(lab.sessions) as session:
        assert repository_leases.leases(session) == ()


WORKER = """
import sys
from pathlib import Path
from fcnlab.lab import open_lab
from fcnlab.services.worker import run_worker
from fcnlab.settings import Settings
from tests.services.tiny_trainer import TinyTrainer

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
run_worker(lab, project_id=int(sys.argv[2]), trainer=TinyTrainer(0.2), idle_s=0)
"""


def worker_process(lab: Lab, project_id: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WORKER, str(lab.settings.data_dir), str(project_id)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)


def test_a_worker_asked_to_end_leaves_its_training_to_the_next_one(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)

    def end_it() -> None:
        eventually(lambda: state_of(lab, queued.id) is TrainingState.RUNNING)
        os.kill(os.getpid(), signal.SIGTERM)

    ender = meanwhile(end_it)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(300), idle_s=0)

    ender.join()
    assert state_of(lab, queued.id) is TrainingState.RUNNING
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)
    assert state_of(lab, queued.id) is TrainingState.FINISHED


def test_a_killed_worker_is_replaced_and_training_goes_on_from_the_resume_file(lab: Lab, project_id: int) -> None:
    through, killed = start(lab, project_id, epochs=8), start(lab, project_id, epochs=8)
    with Holder(lab, project_id=project_id) as holder:
        for _ in work_on(lab, holder, through, TinyTrainer()):
            pass
    first = worker_process(lab, project_id)
    eventually(lambda: len(losses(lab, killed.id)) >= 3)
    first.kill()
    first.wait(timeout=30)
    done = len(losses(lab, killed.id))
    assert state_of(lab, killed.id) is TrainingState.RUNNING
    began = curves(lab, training_id=killed.id)[0].created_at

    second = worker_process(lab, project_id)

    assert second.wait(timeout=60) == 0
    assert done < 8
    assert state_of(lab, killed.id) is TrainingState.FINISHED
    assert losses(lab, killed.id) == losses(lab, through.id)
    assert curves(lab, training_id=killed.id)[0].created_at == began, "the first epoch was trained again"
