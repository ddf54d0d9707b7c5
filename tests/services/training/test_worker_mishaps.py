"""Laws of the worker: what is left when it fails, loses its lease, is stopped or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fcnlab.domain.network import NetworkName
from fcnlab.domain.training import Training, TrainingProgress, TrainingState
from fcnlab.errors import DatabaseUnavailable, NoPoints, WorkerBusy
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import delete_project
from fcnlab.services.training import lease_holder
from fcnlab.services.training.lease_holder import Interrupted, LeaseHolder
from fcnlab.services.training.trainings import curves, resume_training, training, trainings
from fcnlab.services.training.worker import run_worker, work_on
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.checkpoints import save_checkpoint
from fcnlab.storage.files.presence import this_process
from tests.support import worker_bench
from tests.support.paths import ROOT
from tests.support.tiny_trainer import TinyTrained, TinyTrainer
from tests.support.worker_bench import eventually, losses, meanwhile, start, state_of

WORKER = """
import sys
from pathlib import Path
from fcnlab.lab import open_lab
from fcnlab.services.training.worker import run_worker
from fcnlab.settings import Settings
from tests.support.tiny_trainer import TinyTrainer

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
run_worker(lab, project_id=int(sys.argv[2]), trainer=TinyTrainer(0.2), idle_s=0)
"""
lab, project_id = worker_bench.lab, worker_bench.project_id


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
        repository_trainings.take_lease(session, project_id=project_id, process=other, now=lab.clock())
    start(lab, project_id)

    with pytest.raises(WorkerBusy, match="another-machine"):
        run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert [one.state for one in trainings(lab, project_id=project_id)] == [TrainingState.QUEUED]


def test_a_worker_that_lost_its_lease_changes_nothing_any_more(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id)
    other = replace(this_process(), host="another-machine")
    with LeaseHolder(lab, project_id=project_id) as holder:
        steps = work_on(lab, holder, queued, TinyTrainer())
        next(steps)
        with writing(lab.sessions) as session:
            repository_trainings.give_back_lease(session, project_id=project_id, process=this_process())
            repository_trainings.take_lease(session, project_id=project_id, process=other, now=lab.clock())

        with pytest.raises(WorkerBusy):
            next(steps)

    assert len(losses(lab, queued.id)) == 1
    assert state_of(lab, queued.id) is TrainingState.RUNNING
    assert (lab.folders.resume / queued.resume_file).is_file()
    with reading(lab.sessions) as session:
        assert [lease.process for lease in repository_trainings.leases(session)] == [other]


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
        assert repository_trainings.leases(session) == ()


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
    with LeaseHolder(lab, project_id=project_id) as holder:
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


@pytest.mark.parametrize("failure", [RuntimeError("anything"), DatabaseUnavailable("the disk is full"), MemoryError()])
def test_a_lease_that_cannot_be_renewed_ends_training_before_it_is_anybodys(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    for name, seconds in (("POLL_S", 0.02), ("HEARTBEAT_S", 0.05), ("STALE_S", 0.4)):
        monkeypatch.setattr(lease_holder, name, seconds)
    queued = start(lab, project_id, epochs=1)
    begun: list[float] = []
    renew = repository_trainings.renew_lease

    def fails(*values: object, **options: object) -> bool:
        if len(begun) == 1:
            raise failure
        return renew(*values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(repository_trainings, "renew_lease", fails)

    def endless_at_first(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        begun.append(time.monotonic())
        if len(begun) == 1:
            time.sleep(60)
            raise AssertionError("it trained on without a lease")
        return (yield from TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint))

    run_worker(lab, project_id=project_id, trainer=endless_at_first, idle_s=0)

    assert len(begun) == 2
    assert state_of(lab, queued.id) is TrainingState.FINISHED


def test_a_lease_that_another_process_took_ends_training_at_once(
    lab: Lab, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("POLL_S", 0.02), ("HEARTBEAT_S", 0.05)):
        monkeypatch.setattr(lease_holder, name, seconds)
    queued = start(lab, project_id)
    other = replace(this_process(), host="elsewhere")

    def robbed(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        with writing(lab.sessions) as session:
            held = repository_trainings.lease_of(session, project_id=project_id)
            assert held is not None
            repository_trainings.give_back_lease(session, project_id=project_id, process=held.process)
            repository_trainings.take_lease(session, project_id=project_id, process=other, now=lab.clock())
        time.sleep(60)
        raise AssertionError("it trained on without a lease")
        yield  # a generator

    with pytest.raises(WorkerBusy):
        run_worker(lab, project_id=project_id, trainer=robbed, idle_s=0)

    assert state_of(lab, queued.id) is TrainingState.RUNNING


def test_epochs_that_have_to_be_done_again_are_not_shown(lab: Lab, project_id: int) -> None:
    queued = start(lab, project_id, epochs=5)
    seen: list[int] = []

    def keeps_the_second(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        seen.append(len(losses(lab, queued.id)))
        if resume is not None:
            seen.append(curves_epoch(lab, queued.id))
            return (yield from TinyTrainer()(lab, training, resume=None, checkpoint=checkpoint.with_suffix(".other")))
        for number in range(1, 5):
            if number == 2:
                save_checkpoint(checkpoint, {}, {"kind": "training", "epoch": 2})
            yield TrainingProgress(number, 5, NetworkName.UNET, 0.5, float(number), 1.0, 1.0)
        raise Interrupted

    with suppress(Interrupted), LeaseHolder(lab, project_id=project_id) as holder:
        for _ in work_on(lab, holder, queued, keeps_the_second):
            pass
    assert len(losses(lab, queued.id)) == 2
    assert training(lab, training_id=queued.id).epoch == 2

    run_worker(lab, project_id=project_id, trainer=keeps_the_second, idle_s=0)

    assert seen == [0, 2, 2]
    assert state_of(lab, queued.id) is TrainingState.FINISHED


def curves_epoch(lab: Lab, number: int) -> int:
    return training(lab, training_id=number).epoch
