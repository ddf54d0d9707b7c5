"""`fcnlab train`, `worker`, `trainings` and `models`, from outside."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fcnlab.cli import main
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.training import Training, TrainingProgress, TrainingState, Wanted
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects.projects import add_class, projects, set_learner
from fcnlab.services.training import lease_holder, worker, workers
from fcnlab.services.training.trainings import cancel_training, curves, training, trainings
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.presence import this_process
from tests.support.tabs import new_project
from tests.support.tiny_trainer import TinyTrained, TinyTrainer


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The installation of the commands, with a project `cells` that has points of both classes."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    monkeypatch.setattr(worker, "fine_tune", TinyTrainer())
    lab = open_lab(Settings())
    _, images = new_project(lab)
    points = [Point(3, 5, 0), Point(30, 60, 1)]
    add_points(lab, points, image_id=images[0], labeller="ann", source=PointSource.CLICK)
    yield lab
    lab.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Projects for which a worker process was wanted; none is started."""
    wanted: list[int] = []
    monkeypatch.setattr(workers, "ensure_worker", lambda _lab, *, project_id: wanted.append(project_id) or True)
    return wanted


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def answer_of(*arguments: object, code: int = 0) -> Any:
    return json.loads(call(*arguments, "--json", code=code).stdout)


def test_training_here_tells_every_epoch_and_leaves_a_model(lab: Lab) -> None:
    result = call("train", "-p", "cells", "-n", "unet", "--epochs", 3, "--freeze-encoder", "--json")

    told = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    values = json.loads(result.stdout)
    (listed,) = answer_of("models", "list", "-p", "cells")
    assert [line.split("  ")[0] for line in told] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("loss 0." in line and "validation" in line and "images/s" in line and "left" in line for line in told)
    assert (values["training"]["state"], values["training"]["training"]["freeze_encoder"]) == ("finished", True)
    assert {**values["model"], "in_use": False} == listed
    assert (lab.folders.checkpoints / listed["file"]).is_file()
    short = call("train", "-p", "cells", "--epochs", 1).stdout
    assert "Version 2, fcn8s 2: no validation images, 2 points" in short
    assert "Too short a run to mean anything: fcn8s (1 epoch)" in short
    assert "Too short" not in call("train", "-p", "cells", "--epochs", 12).stdout


def test_training_in_the_background_is_left_to_a_worker(lab: Lab, started: list[int]) -> None:
    values = answer_of("train", "-p", "cells", "--network", "fcn16s", "--background", "--labeller", "Ada")

    assert (values["training"]["state"], values["training"]["labeller"], values["model"]) == ("queued", "Ada", None)
    assert started == [1]


def test_a_worker_in_the_foreground_empties_the_queue(
    lab: Lab, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    polite: list[bool] = []
    monkeypatch.setattr(workers, "become_background", lambda: polite.append(True))
    call("train", "-p", "cells", "--epochs", 2, "--background")

    call("worker", "-p", "#1", "--idle", 0)

    (found,) = answer_of("trainings", "list", "-p", "cells")
    assert (found["state"], found["epoch"]) == ("finished", 2)
    assert polite == [True]


def test_ctrl_c_pauses_and_resume_goes_on_from_there(
    lab: Lab, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        steps = TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint)
        yield next(steps)
        yield next(steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "fine_tune", interrupted)

    told = call("train", "-p", "cells", "--epochs", 5, code=130).stdout

    assert "Paused after epoch 2; go on with: fcnlab trainings resume 1" in told
    assert training(lab, training_id=1).state is TrainingState.PAUSED
    call("trainings", "resume", 1)
    assert started == [1]
    worker.run_worker(lab, project_id=1, trainer=TinyTrainer(), idle_s=0)
    assert training(lab, training_id=1).state is TrainingState.FINISHED
    assert [one.progress.epoch for one in curves(lab, training_id=1)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("code", "said"), [(1, "Training 1 is cancelled"), (130, "Paused after epoch 1")], ids=["cancelled", "ended"]
)
def test_who_stops_a_training_from_elsewhere_ends_its_command(
    lab: Lab, started: list[int], monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    monkeypatch.setattr(lease_holder, "POLL_S", 0.05)

    def stopped(
        lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        steps = TinyTrainer()(lab, training, resume=resume, checkpoint=checkpoint)
        yield next(steps)
        if code == 1:
            cancel_training(lab, training_id=training.id)
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(300)
        return (yield from steps)

    monkeypatch.setattr(worker, "fine_tune", stopped)

    assert said in call("train", "-p", "cells", code=code).stdout
    assert started == []


def test_a_failed_training_is_one_line_and_exit_code_1(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> Generator[TrainingProgress, None, TinyTrained]:
        raise NoPoints("click somewhere first")
        yield  # a generator

    monkeypatch.setattr(worker, "fine_tune", fails)

    result = call("train", "-p", "cells", code=1)

    assert result.stderr.splitlines()[-1] == "Error: training 1 failed: click somewhere first"
    assert "failed, epoch 0 of 40: click somewhere first" in call("trainings", "list", "-p", "cells").stdout


def test_two_do_not_train_one_project_at_once(lab: Lab) -> None:
    other = replace(this_process(), host="another-machine")
    with writing(lab.sessions) as session:
        repository_trainings.take_lease(session, project_id=1, process=other, now=lab.clock())

    assert "another-machine" in call("train", "-p", "cells", code=1).stderr
    assert "another-machine" in call("worker", "-p", "cells", code=1).stderr
    assert trainings(lab, project_id=1) == ()


def test_what_was_queued_meanwhile_gets_a_worker_in_the_end(lab: Lab, started: list[int]) -> None:
    call("train", "-p", "cells", "--background")
    started.clear()

    call("train", "-p", "cells", "--epochs", 1)

    assert started == [1]


def test_trainings_are_paused_resumed_and_cancelled_by_number(lab: Lab, started: list[int]) -> None:
    call("train", "-p", "cells", "--background")

    assert "is paused" in call("trainings", "pause", 1).stderr
    assert training(lab, training_id=1).wanted is Wanted.PAUSE
    assert "goes on" in call("trainings", "resume", 1).stderr
    assert "is cancelled" in call("trainings", "cancel", 1).stderr
    assert training(lab, training_id=1).state is TrainingState.CANCELLED
    assert "start a new one" in call("trainings", "resume", 1, code=1).stderr
    assert "no training 7" in call("trainings", "pause", 7, code=1).stderr


def test_empty_lists_say_what_to_do(lab: Lab) -> None:
    assert "fcnlab train" in call("trainings", "list", "-p", "cells").stdout
    assert "fcnlab train" in call("models", "list", "-p", "cells").stdout


def test_a_setting_out_of_range_is_explained(lab: Lab) -> None:
    assert "holdout" in call("train", "-p", "cells", "--holdout", 2, code=1).stderr
    assert call("train", "-p", "cells", "-n", "perceptron", code=2).stderr


def test_the_order_of_grades_is_chosen_where_there_are_grades(lab: Lab, started: list[int]) -> None:
    refused = call("train", "-p", "cells", "--order", "corn", code=1)
    (project,) = projects(lab)
    add_class(lab, project_id=project.id, name="large")
    set_learner(lab, project_id=project.id, learner=replace(project.learner, grades=(1, 2)))

    chosen = answer_of("train", "-p", "cells", "--order", "corn", "--background")
    usual = answer_of("train", "-p", "cells", "--background")

    assert "name the grades in the settings" in refused.output
    assert (chosen["training"]["network"]["order"], chosen["training"]["training"]["grades"]) == ("corn", [1, 2])
    assert "order" not in usual["training"]["network"]
    assert usual["training"]["training"]["grades"] == [1, 2]
