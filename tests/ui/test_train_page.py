"""The train page, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.adapters import repository_comparisons, repository_leases, repository_models, repository_trainings
from fcnlab.adapters.database import writing
from fcnlab.adapters.processes import this_process
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain import Point, PointSource
from fcnlab.lab import Lab, open_lab
from fcnlab.runs import Epoch, ModelDraft, ModelKind, Training, TrainingState, Wanted
from fcnlab.services.jobs import Jobs
from fcnlab.services.labelling import add_points
from fcnlab.services.projects import create_project
from fcnlab.services.trainings import start_training, training, trainings
from fcnlab.settings import Settings
from fcnlab.specs import NetworkName, NetworkSpec, PointScore, TrainingProgress, TrainingSpec
from fcnlab.ui import session, train_panel, train_watch
from fcnlab.ui.train_charts import DRAWN_AT_MOST, thinned
from tests.services.tabs import new_project

ROUTER = Path(__file__).parents[2] / "app.py"
SCORE = PointScore(0.8125, 0.7, 0.9, 48, {0: 0.9, 1: 0.7})


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The installation that the page opens too."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    monkeypatch.setattr(Jobs, "warm_up", lambda _jobs: None)  # no mask is made here
    st.cache_resource.clear()
    lab = open_lab(Settings())
    session.engine()  # before any training waits, else it starts workers
    yield lab
    session.engine().jobs.close()
    st.cache_resource.clear()
    lab.close()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Projects for which the page wanted a worker; none is started."""
    wanted: list[int] = []
    for module in (train_panel, train_watch):
        monkeypatch.setattr(module, "ensure_worker", lambda _lab, *, project_id: wanted.append(project_id))
    return wanted


@pytest.fixture
def project_id(lab: Lab) -> int:
    """A project with points of both classes."""
    project_id, images = new_project(lab)
    click(lab, images[0], Point(3, 5, 0), Point(30, 60, 1))
    return project_id


def click(lab: Lab, image_id: int, *points: Point) -> None:
    add_points(lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)


def page(labeller: str = "ann") -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"] = labeller
    shown.switch_page("pages/train.py").run()
    assert not shown.exception
    return shown


def press(shown: AppTest, label: str) -> None:
    next(button for button in shown.button if button.label == label).click().run()
    assert not shown.exception


def labels(shown: AppTest) -> set[str]:
    return {button.label for button in shown.button}


def written(shown: AppTest) -> str:
    return "\n".join(one.value for one in (*shown.markdown, *shown.caption))


def queued(lab: Lab, project_id: int, *, minutes: float = 0) -> Training:
    return start_training(
        lab,
        project_id=project_id,
        network=NetworkSpec(NetworkName.FCN8S, 2),
        training=TrainingSpec(epochs=8, minutes=minutes),
        labeller="ann",
    )


def begin(lab: Lab, found: Training, *, epochs: int, score: PointScore | None = SCORE) -> None:
    """Epochs of a training, as its worker would store them."""
    with writing(lab.sessions) as session:
        repository_trainings.set_state(session, training_id=found.id, state=TrainingState.RUNNING, now=lab.clock())
        for number in range(1, epochs + 1):
            step = TrainingProgress(number, 8, NetworkName.FCN16S, 1 / number, 30.0 * number, 2.5, 200.0, score)
            repository_trainings.record_epoch(session, training_id=found.id, progress=step, now=lab.clock())


def finish(lab: Lab, found: Training, *, score: PointScore | None = SCORE) -> None:
    classes = ((0, "background", "#0072B2"), (1, "cell", "#E69F00"))
    draft = ModelDraft(
        name="fcn8s 1",
        kind=ModelKind.NETWORK,
        spec={},
        training=found.training,
        classes=classes,
        point_set_hash="ab",
        n_points=2,
        score=score,
        parent_id=None,
        training_id=found.id,
        labeller="ann",
        file="1.safetensors",
        size=10,
        seconds=60,
    )
    with writing(lab.sessions) as session:
        model = repository_models.add_model(session, project_id=found.project_id, draft=draft, now=lab.clock())
        repository_trainings.finish_training(session, training_id=found.id, model_id=model.id, now=lab.clock())


def serve(lab: Lab, project_id: int) -> None:
    """A worker on another machine holds the lease."""
    process = replace(this_process(), host="another-machine")
    with writing(lab.sessions) as session:
        repository_leases.take_lease(session, project_id=project_id, process=process, now=lab.clock())


def test_the_page_says_what_is_missing_before_anything_can_be_trained(lab: Lab) -> None:
    assert "no project yet" in page().info[0].value
    create_project(lab, name="bare")
    assert "no images yet" in page().info[0].value


def test_a_project_without_points_is_led_to_labelling(lab: Lab) -> None:
    _, images = new_project(lab)

    assert "nothing to train on" in page().info[0].value
    click(lab, images[0], Point(3, 5, 1))

    shown = page()
    assert "class **cell** so far" in shown.info[0].value
    assert "click a pixel of background" in shown.info[0].value
    assert "Start training" not in labels(shown)
    assert "Go to labelling" in labels(shown)


def test_a_training_starts_with_what_was_chosen(lab: Lab, project_id: int, workers: list[int]) -> None:
    shown = page()
    assert "From clicks to a network" in written(shown)
    next(one for one in shown.selectbox if one.label == "Network").select(NetworkName.UNET).run()
    next(one for one in shown.select_slider if one.label == "Time limit").set_value(5).run()
    next(one for one in shown.toggle if one.label == "Freeze the encoder").set_value(True).run()
    next(one for one in shown.number_input if one.label == "Epochs at most").set_value(7).run()

    press(shown, "Start training")

    (found,) = trainings(lab, project_id=project_id)
    assert (found.network.network, found.network.n_classes) == (NetworkName.UNET, 2)
    assert (found.training.minutes, found.training.freeze_encoder, found.training.epochs) == (5, True, 7)
    assert (found.labeller, found.state) == ("ann", TrainingState.QUEUED)
    assert workers == [project_id]
    assert "its worker is starting" in written(shown)


def test_every_network_can_be_chosen(lab: Lab, project_id: int, workers: list[int]) -> None:
    shown = page()

    for name in NETWORKS:
        next(one for one in shown.selectbox if one.label == "Network").select(name).run()
        press(shown, "Start training")

    found = trainings(lab, project_id=project_id)[::-1]
    assert [one.network.network for one in found] == list(NETWORKS)
    assert [bool(one.network.encoder) for one in found] == [info.uses_encoder for info in NETWORKS.values()]


def test_the_training_at_work_is_shown_with_its_numbers(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=4)
    serve(lab, project_id)

    shown = page()

    numbers = {one.label: one.value for one in shown.metric}
    assert numbers == {
        "Loss": "0.250",
        "Held-out accuracy": "81.2%",
        "Images per second": "2.5",
        "Time left": "3 min",
    }
    assert "Epoch 4 of 8, now FCN-16s" in str(shown.get("progress")[0].proto)
    assert "between 70% and 90%, on your clicks" in written(shown)


def test_a_score_on_random_pixels_is_not_called_too_low(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=1, score=replace(SCORE, drawn="query"))

    shown = written(page())

    assert "on randomly drawn pixels" in shown
    assert "too low" not in shown


def test_without_a_score_no_accuracy_is_shown(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=2, score=None)

    shown = page()

    assert {one.label: one.value for one in shown.metric}["Held-out accuracy"] == "–"
    assert "Accuracy on" not in written(shown)


def test_a_running_training_is_asked_to_pause_and_may_go_on_again(
    lab: Lab, project_id: int, workers: list[int]
) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=1)
    serve(lab, project_id)
    shown = page()

    press(shown, "Pause")

    assert training(lab, training_id=found.id).wanted is Wanted.PAUSE
    assert "pauses in a moment" in written(shown)
    press(shown, "Resume")
    assert training(lab, training_id=found.id).wanted is Wanted.RUN
    assert workers == [project_id]


def test_a_training_nobody_works_on_is_cancelled_at_once(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    shown = page()

    press(shown, "Cancel the training")

    assert training(lab, training_id=found.id).state is TrainingState.CANCELLED
    assert "cancelled" in written(shown)
    assert "Pause" not in labels(shown)


def test_a_worker_that_does_not_come_is_missed(
    lab: Lab, project_id: int, workers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(lab, project_id)
    monkeypatch.setattr(train_watch, "LATE_AFTER", train_watch.LATE_AFTER * 0)

    shown = page()

    assert str(lab.folders.logs) in shown.warning[0].value
    press(shown, "Start a worker")
    assert workers == [project_id]


def test_a_finished_training_shows_its_score_and_joins_the_table(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=8)
    finish(lab, found)

    shown = page()

    assert {one.label: one.value for one in shown.metric}["Held-out accuracy"] == "81.2%"
    (table,) = shown.dataframe
    row = table.value.iloc[0]
    assert (row["Network"], row["State"], row["Held-out accuracy"]) == ("FCN-8s", "finished", "81.2% (70%–90%)")
    assert row["Measured on"] == "your clicks"


def test_a_failed_training_says_why_and_can_be_tried_again(lab: Lab, project_id: int, workers: list[int]) -> None:
    found = queued(lab, project_id)
    with writing(lab.sessions) as session:
        failed = TrainingState.FAILED
        repository_trainings.set_state(session, training_id=found.id, state=failed, now=lab.clock(), message="no disk")
    shown = page()
    assert shown.error[0].value == "no disk"

    press(shown, "Try again")

    assert training(lab, training_id=found.id).state is TrainingState.QUEUED
    assert workers == [project_id]


def test_a_training_of_a_comparison_is_shown_while_it_goes_on_and_then_only_on_the_compare_page(
    lab: Lab, project_id: int
) -> None:
    with writing(lab.sessions) as session:
        made = repository_comparisons.add_comparison(
            session, project_id=project_id, spec={}, labeller="ann", now=lab.clock()
        )
    found = start_training(
        lab,
        project_id=project_id,
        network=NetworkSpec(NetworkName.FCN8S, 2),
        training=TrainingSpec(epochs=8),
        labeller="ann",
        comparison_id=made.id,
    )
    assert f"FCN-8s, for comparison {made.id}" in written(page())

    with writing(lab.sessions) as session:
        repository_trainings.finish_training(session, training_id=found.id, model_id=None, now=lab.clock())

    shown = page()
    assert not shown.dataframe
    assert "for comparison" not in written(shown)


@pytest.mark.parametrize("count", [0, 1, 2, DRAWN_AT_MOST, DRAWN_AT_MOST + 1, 10 * DRAWN_AT_MOST + 7])
def test_curves_of_any_length_are_drawn_in_few_points_and_to_their_end(count: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    epochs = [
        Epoch(TrainingProgress(number, count, NetworkName.UNET, 0.5, 1.0, 1.0, 1.0), now)
        for number in range(1, count + 1)
    ]

    shown = thinned(epochs)

    assert len(shown) <= DRAWN_AT_MOST
    assert shown[-1:] == epochs[-1:]
    assert shown == sorted(shown, key=lambda one: one.progress.epoch)
    assert len(shown) >= min(count, DRAWN_AT_MOST // 2)
