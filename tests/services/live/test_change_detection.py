"""Laws of following a project: a learner has the points of the database, whatever was done and by whom."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from sqlalchemy import text

from fcnlab.domain.counting import Task
from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.live.change_detection import changes
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.training.training_points import TrainingPoints
from fcnlab.storage.database import repository_points, repository_projects
from fcnlab.storage.database.engine import engine_of, reading, writing
from tests.support.paths import ROOT
from tests.support.tabs import Tab, anything, new_project, other

Seen = dict[int, set[tuple[int, int, int]]]


def learned(learner: ProjectLearner) -> Seen:
    """(row, col, class id) of the clicks of every image, as a learner has them after reading the database."""
    learner.refresh()
    return {
        one.id: set(zip(clicks.rows.tolist(), clicks.cols.tolist(), clicks.class_ids.tolist(), strict=True))
        for one in learner.images_to_learn_from()
        if len(clicks := learner.clicks_of(one))
    }


def stored(lab: Lab, project_id: int) -> Seen:
    """The same, read from the database alone."""
    with reading(lab.sessions) as session:
        points = repository_points.points_of_project(session, project_id=project_id)
    found: Seen = {}
    for image_id in {one.image_id for one in points}:
        newest = newest_per_pixel(one for one in points if one.image_id == image_id)
        found[image_id] = {(one.point.row, one.point.col, one.point.class_id) for one in newest}
    return found


def follower(lab: Lab, project_id: int) -> ProjectLearner:
    return ProjectLearner(lab, PictureStore(lab), project_id=project_id)


def revisions(lab: Lab) -> tuple[int, dict[int, int], dict[int, int]]:
    """Revision of the only project, and of its images: of what a learner follows, and of strokes."""
    with reading(lab.sessions) as session:
        project = session.execute(text("SELECT revision FROM projects")).scalar_one()
        rows = session.execute(text("SELECT id, revision, painting_revision FROM images")).all()
    return project, {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}


@pytest.mark.parametrize("task", [Task.MASKS, Task.COUNTS])
@pytest.mark.parametrize("seed", range(4))
def test_no_history_leaves_a_learner_with_other_points_than_the_database(any_lab: Lab, seed: int, task: Task) -> None:
    rng = random.Random(seed)
    project_id, images = new_project(any_lab, n_images=3, task=task)
    first = Tab(any_lab, project_id=project_id, image_id=images[0])
    tabs = [first, other(first), Tab(any_lab, project_id=project_id, image_id=images[1], client="client-three")]
    learner = follower(any_lab, project_id)

    for _ in range(40):
        tab = rng.choice(tabs)
        tab.send(*(anything(tab, rng) for _ in range(rng.randint(1, 8))))
        assert learned(learner) == stored(any_lab, project_id)
    assert learned(follower(any_lab, project_id)) == stored(any_lab, project_id)


def test_one_batch_of_undo_undo_remove_remove_is_noticed(any_lab: Lab) -> None:
    """Sets of points whose count, highest number and sum of numbers are equal are told apart."""
    project_id, (image_id,) = new_project(any_lab, n_images=1)
    tab = Tab(any_lab, project_id=project_id, image_id=image_id)
    uids = [tab.add(number, number, class_id=number % 2) for number in range(1, 6)]
    tab.send(*(tab.event(EventKind.REMOVE, uid=uids[number]) for number in (1, 2)))
    learner = follower(any_lab, project_id)
    before = learned(learner)

    tab.send(
        *(tab.event(EventKind.UNDO) for _ in range(2)), *(tab.event(EventKind.REMOVE, uid=uids[n]) for n in (0, 3))
    )

    assert learned(learner) == stored(any_lab, project_id) != before


@pytest.mark.parametrize(
    ("write", "raises"),
    [
        ("UPDATE points SET weight = 0.5", {"points"}),
        ("UPDATE points SET hidden_by = 1, removed_at = '2026-01-02 03:04:05' WHERE class_id = 1", {"points"}),
        ("DELETE FROM points", {"points"}),
        ("INSERT INTO points SELECT id + 90, project_id, image_id, uid || 'x', class_id, \"row\" + 1, col, labeller, "
         "source, weight, hidden_by, created_at, removed_at FROM points", {"points"}),
        ("UPDATE strokes SET class_id = 0", {"strokes"}),
        ("DELETE FROM strokes", {"strokes"}),
        ("UPDATE classes SET removed_at = '2026-01-02 03:04:05' WHERE class_id = 1", {"points", "strokes"}),
        ("UPDATE images SET is_complete = true", {"points"}),
        ("UPDATE images SET stretch_low = 3, stretch_high = 9", {"points"}),
        ("UPDATE images SET state = 'done', mask_file = 'x'", set()),
        ("UPDATE classes SET name = name || 'x'", set()),
    ],
)  # fmt: skip
def test_no_write_passes_by_the_revisions(any_lab: Lab, write: str, raises: set[str]) -> None:
    """Whoever writes, and how: here SQL that no repository knows of."""
    project_id, (image_id, untouched) = new_project(any_lab)
    tab = Tab(any_lab, project_id=project_id, image_id=image_id)
    tab.add(1, 1, class_id=1)
    tab.brush(0, 0, 3, 3, class_id=1)
    before = revisions(any_lab)
    only = "" if " images " not in write else f" WHERE id = {image_id}"

    with writing(any_lab.sessions) as session:
        session.execute(text(write + only))

    project, images, painted = revisions(any_lab)
    assert (project > before[0]) == bool(raises)
    assert (images[image_id] > before[1][image_id]) == ("points" in raises)
    assert (painted[image_id] > before[2][image_id]) == ("strokes" in raises)
    assert max(images[image_id], painted[image_id]) <= project
    assert (images[untouched], painted[untouched]) == (0, 0)


def test_a_write_that_is_taken_back_raises_nothing(any_lab: Lab) -> None:
    project_id, (image_id, _) = new_project(any_lab)
    Tab(any_lab, project_id=project_id, image_id=image_id).add(1, 1)
    before = revisions(any_lab)

    def fail_after_writing() -> None:
        with writing(any_lab.sessions) as session:
            session.execute(text("UPDATE points SET weight = 0.25"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_writing()

    assert revisions(any_lab) == before


def test_only_what_changed_is_read_again(any_lab: Lab) -> None:
    project_id, images = new_project(any_lab, n_images=4)
    tabs = [Tab(any_lab, project_id=project_id, image_id=one, client=f"client-{one}") for one in images]
    for tab in tabs[:3]:
        tab.add(1, 1)
    first = changes(any_lab, project_id=project_id, revision=repository_projects.NOTHING_READ)
    assert set(first.points) == set(first.images) == set(images[:3])

    nothing = changes(any_lab, project_id=project_id, revision=first.revision)
    tabs[1].add(2, 2)
    tabs[0].brush(0, 0, 2, 2)
    second = changes(any_lab, project_id=project_id, revision=first.revision)

    assert (nothing.points, nothing.images, nothing.revision) == ({}, {}, first.revision)
    assert set(second.points) == {images[1]}
    assert len(second.points[images[1]]) == 2


def test_an_image_without_points_is_followed_once_all_its_objects_are_marked(any_lab: Lab) -> None:
    project_id, (image_id, _) = new_project(any_lab, task=Task.COUNTS)
    tab = Tab(any_lab, project_id=project_id, image_id=image_id)
    learner = follower(any_lab, project_id)
    learner.refresh()
    assert learner.n_images() == 0

    tab.do(EventKind.COMPLETE, complete=True)
    learner.refresh()
    assert [one.id for one in learner.images_to_learn_from()] == [image_id]

    tab.do(EventKind.COMPLETE, complete=False)
    learner.refresh()
    assert learner.n_images() == 0


def test_a_training_follows_points_that_come_and_go(any_lab: Lab) -> None:
    rng = random.Random(5)
    project_id, images = new_project(any_lab, n_images=3)
    tabs = [Tab(any_lab, project_id=project_id, image_id=one, client=f"client-{one}") for one in images]
    for tab in tabs:
        tab.add(0, 0, class_id=0)
        tab.add(9, 9, class_id=1)
    points = TrainingPoints(any_lab, project_id, TrainingSpec(holdout=0))

    for _ in range(25):
        tab = rng.choice(tabs)
        tab.send(*(anything(tab, rng) for _ in range(5)))
        points._refresh()
        kept = {image.id: {(one.row, one.col, one.class_id) for one in its} for image, its in points.images(held=False)}
        expected = {
            image_id: kept_here
            for image_id, its in stored(any_lab, project_id).items()
            if (kept_here := {one for one in its if one[2] in (0, 1)})
        }
        assert kept == expected


def test_two_processes_see_what_the_other_one_did(lab: Lab) -> None:
    """A server that follows a project, and a command line that writes to it, and the other way round."""
    project_id, (image_id, other_id) = new_project(lab)
    server = follower(lab, project_id)
    assert learned(server) == {}

    script = (
        "import sys\n"
        "from fcnlab.lab import open_lab\n"
        "from fcnlab.settings import load_settings\n"
        "from fcnlab.domain.events import Point, PointSource\n"
        "from fcnlab.services.labelling.events import add_points\n"
        "lab = open_lab(load_settings())\n"
        "add_points(lab, [Point(3, 4, 1)], image_id=int(sys.argv[1]), labeller='cli', source=PointSource.IMPORT)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(image_id)],
        check=True,
        cwd=ROOT,
        env={"FCNLAB_DATA_DIR": str(lab.settings.data_dir), "PATH": "", "PYTHONPATH": str(ROOT)},
    )
    assert learned(server) == {image_id: {(3, 4, 1)}}

    elsewhere = open_lab(lab.settings)
    command_line = follower(elsewhere, project_id)
    assert learned(command_line) == learned(server)
    add_points(lab, [Point(5, 6, 0)], image_id=other_id, labeller="ann", source=PointSource.CLICK)
    assert learned(command_line) == learned(server) == stored(lab, project_id)
    assert engine_of(elsewhere.sessions) is not engine_of(lab.sessions)
    elsewhere.close()
