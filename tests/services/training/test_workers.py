"""Laws of worker processes: who starts one, and what the server leaves to it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import ProcessId, TrainingSpec
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.training import workers
from fcnlab.services.training.trainings import pause_training, start_training
from fcnlab.services.training.workers import CoreShare, ensure_worker, ensure_workers, is_machine_shared
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.presence import this_process
from tests.support.tabs import new_project


@pytest.fixture
def lab(settings: Settings) -> Iterator[Lab]:
    lab = open_lab(settings.model_copy(update={"import_roots": (Path("/some where"),), "device": "cpu"}))
    yield lab
    lab.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """Commands and options of the processes that would be started; instead, each ends at once."""
    calls: list[tuple[list[str], dict[str, Any]]] = []
    start = subprocess.Popen

    def note(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        calls.append((command, options))
        return start(["true"])

    monkeypatch.setattr(workers.subprocess, "Popen", note)
    return calls


def project_with_training(lab: Lab, name: str) -> tuple[int, int]:
    project_id, images = new_project(lab, name=name)
    points = [Point(3, 5, 0), Point(30, 60, 1)]
    add_points(lab, points, image_id=images[0], labeller="ann", source=PointSource.CLICK)
    network = NetworkSpec(NetworkName.UNET, 2)
    queued = start_training(lab, project_id=project_id, network=network, training=TrainingSpec(), labeller="ann")
    return project_id, queued.id


def hold(lab: Lab, project_id: int, process: ProcessId, *, seconds_ago: float = 0) -> None:
    with writing(lab.sessions) as session:
        now = lab.clock() - timedelta(seconds=seconds_ago)
        repository_trainings.take_lease(session, project_id=project_id, process=process, now=now)


def test_a_worker_gets_the_settings_of_the_installation(lab: Lab, started: list[Any]) -> None:
    project_id, _ = project_with_training(lab, "cells")

    assert ensure_worker(lab, project_id=project_id)

    ((command, options),) = started
    assert command[-3:] == ["worker", "--project", f"#{project_id}"]
    assert options["start_new_session"]
    assert options["env"]["FCNLAB_DATA_DIR"] == str(lab.settings.data_dir)
    assert json.loads(options["env"]["FCNLAB_IMPORT_ROOTS"]) == ["/some where"]
    own = {name: value for name, value in options["env"].items() if name.startswith("FCNLAB_")}
    assert set(own) >= {f"FCNLAB_{name.upper()}" for name in Settings.model_fields}
    assert (own["FCNLAB_DEVICE"], own["FCNLAB_DEMO"], own["FCNLAB_THREADS"]) == ("cpu", "false", "1")


def test_no_worker_is_started_beside_a_living_one(lab: Lab, started: list[Any]) -> None:
    project_id, _ = project_with_training(lab, "cells")
    hold(lab, project_id, replace(this_process(), host="another-machine"))

    assert not ensure_worker(lab, project_id=project_id)
    hold(lab, project_id, replace(this_process(), host="another-machine"), seconds_ago=31)
    assert ensure_worker(lab, project_id=project_id)

    assert len(started) == 1


def test_a_server_that_starts_replaces_lost_workers_and_wakes_no_paused_training(lab: Lab, started: list[Any]) -> None:
    interrupted, _ = project_with_training(lab, "first")
    _, number = project_with_training(lab, "second")
    pause_training(lab, training_id=number)
    served, _ = project_with_training(lab, "third")
    hold(lab, interrupted, replace(this_process(), pid=2**22 + 1))
    hold(lab, served, this_process())

    assert ensure_workers(lab, only=served) == ()
    assert ensure_workers(lab) == (interrupted,)


def test_a_long_log_is_put_aside(lab: Lab, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LOG_BYTES", 10)
    project_id, _ = project_with_training(lab, "cells")
    log = workers.log_file(lab, project_id=project_id)
    log.write_text("what the worker before had to say")

    ensure_worker(lab, project_id=project_id)

    assert log.read_text() == ""
    assert log.with_suffix(".old").read_text() == "what the worker before had to say"


@pytest.mark.parametrize(("own", "beside"), [(4, 3), (1, 1)])
def test_the_server_leaves_a_worker_beside_it_one_thread_and_keeps_at_least_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, own: int, beside: int
) -> None:
    monkeypatch.setattr(workers, "POLL_S", 0.0)
    before = torch.get_num_threads()
    torch.set_num_threads(own)
    project_id, _ = project_with_training(lab, "cells")
    share = CoreShare(lab)
    seen = []

    for process in (None, this_process(), replace(this_process(), pid=2**22 + 1)):
        if process is not None:
            with writing(lab.sessions) as session:
                repository_trainings.give_back_lease(session, project_id=project_id, process=this_process())
            hold(lab, project_id, process)
        share.adjust()
        seen.append(torch.get_num_threads())

    torch.set_num_threads(before)
    assert seen == [own, beside, own]


def test_a_worker_elsewhere_takes_nothing_from_this_machine(lab: Lab) -> None:
    first, _ = project_with_training(lab, "first")
    second, _ = project_with_training(lab, "second")

    hold(lab, first, replace(this_process(), host="another-machine"))
    assert not is_machine_shared(lab)

    hold(lab, second, this_process())
    assert is_machine_shared(lab)
