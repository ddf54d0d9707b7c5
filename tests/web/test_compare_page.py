"""The compare page, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.domain.comparison import LINEAR, Comparison, ComparisonSpec, Measured, Timing, key_of, mask_file
from fcnlab.domain.network import NetworkName
from fcnlab.domain.scores import GradeScore, PointScore
from fcnlab.domain.training import TrainingProgress, TrainingState
from fcnlab.lab import open_lab
from fcnlab.services.comparing.comparisons import (
    CURVE_POINTS,
    TELLING,
    candidate,
    comparison_status,
    comparisons,
    start_comparison,
)
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.models.models import models
from fcnlab.services.projects.projects import add_class, project, set_learner
from fcnlab.services.training.trainings import trainings
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_comparisons, repository_points, repository_trainings
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.web import session
from fcnlab.web.panels.comparing import compare_charts, compare_panel, compare_watch
from tests.support.bars import HEIGHT, WIDTH, Site
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"
SCORE = PointScore(0.8125, 0.7, 0.9, 48, {0: 0.9, 1: 0.7}, {"click": 48})
NETWORKS = (candidate(NetworkName.FCN8S, "bilinear"), candidate(NetworkName.SLIDING))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The installation that the page opens too, with a project of four clicked images."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    monkeypatch.setattr(Jobs, "warm_up", lambda _jobs: None)
    st.cache_resource.clear()
    site = Site(open_lab(Settings()), 4)
    session.engine()  # before any training waits, else it starts workers
    for number in range(4):
        site.click(number)
    yield site
    session.engine().jobs.close()
    st.cache_resource.clear()
    site.lab.close()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Projects for which the page wanted a worker; none is started."""
    wanted: list[int] = []
    for module in (compare_panel, compare_watch):
        monkeypatch.setattr(module, "ensure_worker", lambda _lab, *, project_id: wanted.append(project_id))
    return wanted


def page() -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"] = "ann"
    shown.switch_page("pages/compare.py").run()
    assert not shown.exception
    return shown


def press(shown: AppTest, label: str) -> None:
    next(button for button in shown.button if button.label == label).click().run()
    assert not shown.exception


def labels(shown: AppTest) -> set[str]:
    return {button.label for button in shown.button}


def written(shown: AppTest) -> str:
    html = [one.proto.body for one in shown.get("html")]
    return "\n".join([*(one.value for one in (*shown.markdown, *shown.caption, *shown.subheader)), *html])


def start(site: Site) -> Comparison:
    spec = ComparisonSpec(NETWORKS, holdout=0.5)
    return start_comparison(site.lab, project_id=site.project.id, spec=spec, labeller="ann")


def measured(site: Site, found: Comparison, key: str, *, score: PointScore | None = SCORE) -> None:
    """A result, as the worker would store it."""
    masks = {}
    for image_id in ComparisonSpec.from_dict(found.spec).shown_ids:
        masks[image_id] = mask_file(found.id, key, image_id)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:20] = 1
        write_whole(site.lab.folders.comparisons / masks[image_id], mask_png(mask))
    result = Measured(score, 0.5, 2, Timing(12.0, (230, 384), 1024, 1), 3_000_000, 5_000, 12, 60.0, masks)
    with writing(site.lab.sessions) as session:
        repository_comparisons.record_results(session, comparison_id=found.id, results={key: result.to_dict()})


def epochs(site: Site, training_id: int, count: int) -> None:
    with writing(site.lab.sessions) as session:
        now = site.lab.clock()
        repository_trainings.set_state(session, training_id=training_id, state=TrainingState.RUNNING, now=now)
        for number in range(1, count + 1):
            step = TrainingProgress(number, 100_000, NetworkName.FCN8S, 1 / number, 0.1 * number, 2.5, 20.0, SCORE)
            repository_trainings.record_epoch(session, training_id=training_id, progress=step, now=now)


def finish(site: Site, found: Comparison) -> list[int]:
    numbers = sorted(one.id for one in trainings(site.lab, project_id=site.project.id))
    measured(site, found, LINEAR)
    for number in numbers:
        epochs(site, number, 3)
        measured(site, found, key_of(number), score=replace(SCORE, accuracy=0.9))
        with writing(site.lab.sessions) as session:
            repository_trainings.finish_training(session, training_id=number, model_id=None, now=site.lab.clock())
    return numbers


def test_a_project_without_points_is_led_to_labelling(site: Site) -> None:
    with writing(site.lab.sessions) as session:
        uids = [one.uid for one in repository_points.points_of_project(session, project_id=site.project.id)]
        repository_points.hide_made(session, project_id=site.project.id, uids=uids, now=site.lab.clock())

    shown = page()

    assert "nothing to train on" in shown.info[0].value
    assert "Compare" not in labels(shown)


def test_the_first_visit_says_what_a_comparison_shows_and_starts_the_telling_choice(
    site: Site, workers: list[int]
) -> None:
    shown = page()
    assert "Why are sliding windows slow?" in written(shown)
    assert "9 networks, one after another" in written(shown)
    next(one for one in shown.select_slider if one.label == "Time for each network").set_value(0.5).run()

    press(shown, "Compare")

    (found,) = comparisons(site.lab, project_id=site.project.id)
    spec = ComparisonSpec.from_dict(found.spec)
    assert [(one.network, one.upsampling) for one in spec.networks] == list(TELLING)
    assert (spec.minutes, found.labeller, found.state) == (0.5, "ann", TrainingState.QUEUED)
    assert workers == [site.project.id]
    assert "0 of 9 done. Its worker is starting." in str(shown.get("progress")[0].proto)


def test_networks_take_part_with_every_order_of_grades_that_is_wanted(site: Site, workers: list[int]) -> None:
    assert "Order of grades" not in {one.label for one in page().button_group}
    add_class(site.lab, project_id=site.project.id, name="lighter")
    learner = project(site.lab, project_id=site.project.id).learner
    set_learner(site.lab, project_id=site.project.id, learner=replace(learner, grades=(1, 2)))
    shown = page()
    next(one for one in shown.multiselect if one.label == "Networks").set_value(
        [(NetworkName.UNET, "transposed")]
    ).run()
    next(one for one in shown.button_group if one.label == "Order of grades").set_value(["cumulative", "none"]).run()

    press(shown, "Compare")

    (found,) = comparisons(site.lab, project_id=site.project.id)
    spec = ComparisonSpec.from_dict(found.spec)
    assert [(one.network, one.order) for one in spec.networks] == [
        (NetworkName.UNET, "cumulative"),
        (NetworkName.UNET, "none"),
    ]
    assert spec.grades == (1, 2)


def test_figures_of_grades_have_columns_of_their_own(site: Site) -> None:
    found = start(site)
    grades = GradeScore(0.4, 0.7, 0.6, 0.8, 40, n_images=2)
    measured(site, found, LINEAR, score=replace(SCORE, grades=grades))

    (table,) = page().dataframe

    assert table.value["MAE in grades"][0] == 0.4
    assert table.value["Weighted kappa"][0] == "0.70 (0.60–0.80)"


def test_without_a_network_there_is_nothing_to_start(site: Site) -> None:
    shown = page()

    next(one for one in shown.multiselect if one.label == "Networks").set_value([]).run()

    assert next(one for one in shown.button if one.label == "Compare").disabled
    assert "at least one network" in written(shown)


def test_results_come_in_while_others_wait(site: Site) -> None:
    found = start(site)
    first = min(one.id for one in trainings(site.lab, project_id=site.project.id))
    measured(site, found, LINEAR)
    epochs(site, first, 4)

    shown = page()

    (table,) = shown.dataframe
    assert list(table.value["Network"]) == ["Instant learner", "FCN-8s, bilinear", "Sliding window"]
    assert list(table.value["State"]) == ["done", "training", "queued"]
    assert table.value["Validation accuracy"][0] == 81.25
    assert table.value["95 % CI"][0] == "70% to 90%"
    assert "extrapolated" in table.value["At"][0]
    assert "Cancel the comparison" in labels(shown)
    assert "on 48 clicks: labellers click where the mask is wrong, so this is rather too low" in written(shown).lower()


def test_a_finished_comparison_shows_masks_and_keeps_a_network_when_asked(site: Site) -> None:
    found = start(site)
    finish(site, found)
    shown = page()
    n_images = len(ComparisonSpec.from_dict(found.spec).shown_ids)
    assert written(shown).count("<figure>") == n_images * 4  # the picture and three masks
    assert "Accuracy on 48 validation points" in written(shown)
    assert models(site.lab, project_id=site.project.id) == ()

    press(shown, "Save as version")

    assert "CheckpointError" not in written(shown)
    assert shown.error[0].value  # there is no file of a network that was never trained
    press(shown, "Delete the comparison")
    assert comparisons(site.lab, project_id=site.project.id) == ()
    assert "See for yourself" in written(shown)


def test_a_failure_is_told_with_the_name_of_the_network(site: Site) -> None:
    start(site)
    number = min(one.id for one in trainings(site.lab, project_id=site.project.id))
    with writing(site.lab.sessions) as session:
        failed, now = TrainingState.FAILED, site.lab.clock()
        repository_trainings.set_state(session, training_id=number, state=failed, now=now, message="no memory")

    assert "**FCN-8s, bilinear** failed: no memory" in page().error[0].value


def test_cancelling_ends_the_comparison(site: Site) -> None:
    start(site)
    shown = page()

    press(shown, "Cancel the comparison")

    (found,) = comparisons(site.lab, project_id=site.project.id)
    assert found.state is TrainingState.CANCELLED
    assert "Delete the comparison" in labels(shown)


def test_what_the_page_reads_every_moment_stays_small_however_long_the_curves_are(site: Site) -> None:
    found = start(site)
    for one in trainings(site.lab, project_id=site.project.id):
        epochs(site, one.id, 700)

    now = comparison_status(site.lab, comparison_id=found.id)

    assert all(20 <= len(curve) <= CURVE_POINTS for curve in now.curves.values())
    assert all(curve[-1].seconds == pytest.approx(70.0) for curve in now.curves.values()), "the last epoch is left out"


def test_every_participant_has_a_colour_of_its_own(site: Site) -> None:
    found = comparison_status(site.lab, comparison_id=start(site).id)

    colours = compare_charts.colours_of(found.participants)

    assert len(set(colours.values())) == len(found.participants)


@pytest.mark.parametrize("seconds", [[0.02], [1.0], [0.001, 90.5], [0.0], [10.0, 100.0]])
def test_the_time_axis_holds_every_spot_between_two_powers_of_ten(seconds: list[float]) -> None:
    powers = compare_charts.powers_of_ten(seconds)

    assert len(powers) >= 2
    assert all(powers[0] <= max(one, 1e-5) <= powers[-1] for one in seconds)
    assert all(later == pytest.approx(10 * earlier) for earlier, later in pairwise(powers))
