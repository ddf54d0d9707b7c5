"""The train page without a browser: what is missing before a training, and how one is started."""

from __future__ import annotations

from dataclasses import replace

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.events import Point
from fcnlab.domain.network import NetworkName
from fcnlab.domain.training import TrainingState
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import add_class, create_project, project, set_learner
from fcnlab.services.training.trainings import trainings
from tests.support import train_bench
from tests.support.tabs import new_project
from tests.support.train_bench import click, labels, page, press, written

lab, workers, project_id = train_bench.lab, train_bench.workers, train_bench.project_id


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
    next(one for one in shown.number_input if one.label == "Max. epochs").set_value(7).run()

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


def test_the_order_of_grades_is_asked_for_only_where_there_are_grades(
    lab: Lab, project_id: int, workers: list[int]
) -> None:
    assert "Order of grades" not in {one.label for one in page().selectbox}
    add_class(lab, project_id=project_id, name="large")
    classes = project(lab, project_id=project_id).classes
    set_learner(
        lab,
        project_id=project_id,
        learner=replace(project(lab, project_id=project_id).learner, grades=(classes[1].id, classes[2].id)),
    )

    shown = page()
    next(one for one in shown.selectbox if one.label == "Order of grades").select("corn").run()
    press(shown, "Start training")

    (found,) = trainings(lab, project_id=project_id)
    assert found.network.order == "corn"
    assert found.training.grades == (classes[1].id, classes[2].id)
    next(one for one in shown.selectbox if one.label == "Network").select(NetworkName.LARGER_HEAD).run()
    assert "Order of grades" not in {one.label for one in shown.selectbox}
