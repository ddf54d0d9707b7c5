"""The train page without a browser: how trainings are watched, paused, cancelled and tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fcnlab.domain.models import ModelDraft, ModelKind
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import Epoch, Training, TrainingProgress, TrainingSpec, TrainingState, Wanted
from fcnlab.lab import Lab
from fcnlab.services.training.trainings import start_training, training
from fcnlab.storage.database import repository_comparisons, repository_models, repository_trainings
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.presence import this_process
from fcnlab.web.panels.training import train_watch
from fcnlab.web.panels.training.train_charts import DRAWN_AT_MOST, thinned
from tests.support import train_bench
from tests.support.train_bench import labels, page, press, written

SCORE = PointScore(0.8125, 0.7, 0.9, 48, {0: 0.9, 1: 0.7}, {"click": 48})
lab, workers, project_id = train_bench.lab, train_bench.workers, train_bench.project_id


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
        repository_trainings.take_lease(session, project_id=project_id, process=process, now=lab.clock())


def test_the_training_at_work_is_shown_with_its_numbers(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=4)
    serve(lab, project_id)

    shown = page()

    numbers = {one.label: one.value for one in shown.metric}
    assert numbers == {
        "Loss": "0.250",
        "Validation accuracy": "81.2%",
        "Images per second": "2.5",
        "Time left": "3 min",
    }
    assert "Epoch 4 of 8, now FCN-16s" in str(shown.get("progress")[0].proto)
    assert "(95 % CI 70 to 90 %), on 48 clicks: labellers click where the mask is wrong" in written(shown)


def test_a_score_on_random_pixels_is_not_called_too_low(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=1, score=replace(SCORE, sources={"random_query": 48}))

    shown = written(page())

    assert "on 48 randomly drawn pixels: nobody chose where they lie." in shown
    assert "too low" not in shown


def test_without_a_score_no_accuracy_is_shown(lab: Lab, project_id: int) -> None:
    found = queued(lab, project_id)
    begin(lab, found, epochs=2, score=None)

    shown = page()

    assert {one.label: one.value for one in shown.metric}["Validation accuracy"] == "–"
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

    assert {one.label: one.value for one in shown.metric}["Validation accuracy"] == "81.2%"
    (table,) = shown.dataframe
    row = table.value.iloc[0]
    assert (row["Network"], row["State"], row["Validation accuracy"]) == ("FCN-8s", "finished", "81.2% (70%–90%)")
    assert row["Measured on"] == "48 clicks"


def test_a_failed_training_says_why_and_can_be_tried_again(lab: Lab, project_id: int, workers: list[int]) -> None:
    found = queued(lab, project_id)
    with writing(lab.sessions) as session:
        failed = TrainingState.FAILED
        repository_trainings.set_state(session, training_id=found.id, state=failed, now=lab.clock(), message="no disk")
    shown = page()
    assert shown.error[0].value == "No disk"

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
