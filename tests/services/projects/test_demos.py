"""The demo projects: what they show was computed, and what somebody deleted stays deleted."""

from __future__ import annotations

import pytest

from fcnlab.core.simulation.cells import CellsSpec, draw_cells
from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.comparing.comparisons import comparisons
from fcnlab.services.counting.project_counts import marked_totals
from fcnlab.services.labelling.events import add_points, points_of_image, points_of_project
from fcnlab.services.labels.expert_masks import expert_masks
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import demos
from fcnlab.services.projects.demos import (
    DEMOS,
    first_demo,
    make_demo,
    make_first_demo,
    make_other_demos,
    missing_demos,
    restore_demos,
)
from fcnlab.services.projects.overview import last_worked_on, project_summaries
from fcnlab.services.projects.projects import archive_project, create_project, delete_project, images, project, projects
from fcnlab.services.training.trainings import trainings


@pytest.fixture
def lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An installation that makes demos; no worker process is started."""
    monkeypatch.setattr(demos, "ensure_worker", lambda *_, **__: False)
    object.__setattr__(lab, "settings", lab.settings.model_copy(update={"demo": True}))
    return lab


def test_four_clicks_on_the_first_image_are_enough_for_the_others(lab: Lab) -> None:
    project_id = make_first_demo(lab)
    assert project_id is not None
    first, *others = images(lab, project_id=project_id)
    points = points_of_image(lab, image_id=first.id)
    assert sorted(stored.point.class_id for stored in points) == [0, 0, 1, 1]
    truth = draw_cells(CellsSpec(), seed=0).classes
    assert all(truth[stored.point.row, stored.point.col] == stored.point.class_id for stored in points)
    assert len(points_of_project(lab, project_id=project_id)) == 4

    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    learner.refresh()
    source = learner.source()
    for number, image in enumerate(others[:3], start=1):
        mask = predicted_mask(learner, image, source) == 1
        wanted = draw_cells(CellsSpec(), seed=number).classes == 1
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.7


def test_the_other_demos_have_what_their_pages_show(lab: Lab) -> None:
    make_first_demo(lab)

    counting, land = make_other_demos(lab)

    assert counting.task is Task.COUNTS
    marked = marked_totals(lab, project_id=counting.id)
    assert 0 < marked.n_complete < marked.n_images
    assert marked.n_objects > 100
    assert len(land.classes) == 4
    assert land.background is None
    done = images(lab, project_id=land.id, state=ImageState.DONE)
    assert done
    assert all((lab.folders.masks / str(land.id)).glob(f"{image.id}*") for image in done)
    assert len(expert_masks(lab, project_id=land.id)) == demos.N_IMPORTED
    assert len(comparisons(lab, project_id=land.id)) == 1
    assert any(training.comparison_id is None for training in trainings(lab, project_id=land.id))
    sources = {stored.source for stored in points_of_project(lab, project_id=land.id)}
    assert sources == {PointSource.CLICK, PointSource.IMPORT}


def test_a_demo_that_somebody_deleted_stays_so_until_it_is_restored(lab: Lab) -> None:
    project_id = make_first_demo(lab)
    assert project_id is not None
    assert project(lab, project_id=project_id).demo == DEMOS[0].key
    delete_project(lab, project_id=project_id)

    assert make_first_demo(lab) is None
    assert DEMOS[0] in missing_demos(lab)

    restored = next(restore_demos(lab))
    assert restored.demo == DEMOS[0].key
    assert DEMOS[0] not in missing_demos(lab)


def test_the_first_demo_is_there_again_for_whoever_asks_for_it(lab: Lab) -> None:
    archived = create_project(lab, name="Cells", demo=DEMOS[0].key)
    archive_project(lab, project_id=archived.id)

    made = first_demo(lab)

    assert (made.demo, made.name) == (DEMOS[0].key, "Cells 2")
    assert len(points_of_project(lab, project_id=made.id)) == 4
    assert first_demo(lab).id == made.id


def test_a_demo_that_the_program_was_ended_in_is_made_anew(lab: Lab) -> None:
    half = create_project(lab, name=DEMOS[0].name, demo=DEMOS[0].key)

    whole = make_first_demo(lab)

    assert whole not in (None, half.id)
    assert [made.name for made in projects(lab)] == [DEMOS[0].name]
    assert len(images(lab, project_id=whole or 0)) == DEMOS[0].n_images


def test_where_somebody_works_already_no_demo_is_made_by_itself(lab: Lab) -> None:
    create_project(lab, name=DEMOS[0].name)

    assert make_first_demo(lab) is None
    assert list(make_other_demos(lab)) == []
    assert make_demo(lab, DEMOS[0]).name == f"{DEMOS[0].name} 2"  # asked for, beside the project of that name


def test_a_demo_that_cannot_be_filled_leaves_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExportFailed("no room")

    monkeypatch.setattr(demos, "add_points", fail)
    with pytest.raises(ExportFailed):
        make_first_demo(lab)
    assert projects(lab, include_archived=True) == ()

    monkeypatch.undo()
    assert make_first_demo(lab) is not None


def test_the_project_one_comes_back_to_is_the_one_somebody_worked_on(lab: Lab) -> None:
    first = make_first_demo(lab)
    assert first is not None
    list(make_other_demos(lab))
    assert last_worked_on(lab) is None
    assert [summary.project.demo for summary in project_summaries(lab)] == [demo.key for demo in DEMOS]

    image, *_ = images(lab, project_id=first)
    add_points(lab, [Point(3, 3, 0)], image_id=image.id, labeller="ann", source=PointSource.CLICK)

    assert last_worked_on(lab) == first
