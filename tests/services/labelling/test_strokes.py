"""Laws of strokes as events, on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fcnlab.core.images.painting import painted
from fcnlab.domain.events import MAX_RUNS, EventKind, Stroke
from fcnlab.domain.images import ImageState
from fcnlab.lab import open_lab
from fcnlab.services.labelling.events import acknowledged
from fcnlab.services.labelling.painting import painting_of, paintings_by_content
from fcnlab.services.projects.projects import delete_project, projects
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images, repository_strokes
from fcnlab.storage.database.engine import reading
from tests.support.tabs import HEIGHT, WIDTH, Tab, other, state_of


def over_nothing(tab: Tab) -> np.ndarray:
    """What the painting of the image makes of a prediction of nothing but 0."""
    with reading(tab.lab.sessions) as session:
        image = repository_images.image(session, image_id=tab.image_id)
        return painted(np.zeros((HEIGHT, WIDTH), np.uint8), painting_of(session, image))


def test_a_stroke_is_stored_as_it_was_painted_and_the_image_is_in_progress(tab: Tab) -> None:
    event = tab.event(EventKind.BRUSH, class_id=1, top=2, left=3, height=2, width=5, runs=[1, 4, 2, 3])

    applied = tab.send(event)

    with reading(tab.lab.sessions) as session:
        (stored,) = repository_strokes.strokes_of_image(session, image_id=tab.image_id)
    assert applied.changed_images == {tab.image_id}
    assert stored.stroke == Stroke(1, 2, 3, 2, 5, (1, 4, 2, 3))
    assert (stored.uid, stored.labeller) == (f"{tab.client}:1", "ann")
    assert state_of(tab) is ImageState.IN_PROGRESS


def test_a_stroke_that_comes_twice_counts_once(tab: Tab) -> None:
    event = tab.stroke(1, 1, 3, 4)

    first, second = tab.send(event), tab.send(event)

    assert (first.acknowledged, second.acknowledged) == (1, 1)
    assert second.changed_images == frozenset()
    assert len(tab.strokes()) == 1


def test_undo_takes_a_stroke_back_and_redo_paints_it_at_its_old_place(tab: Tab) -> None:
    bob = other(tab)
    tab.brush(0, 0, 10, 10, 1)
    bob.brush(0, 0, 5, 10, 0)
    both = over_nothing(tab)

    tab.do(EventKind.UNDO)
    without = over_nothing(tab)
    tab.do(EventKind.REDO)

    assert not without.any()
    np.testing.assert_array_equal(over_nothing(tab), both)
    assert both[7, 7] == 1
    assert both[2, 2] == 0  # bob's stroke lies above, though the other was redone after it


def test_undo_goes_through_clicks_and_strokes_in_the_order_they_were_made(tab: Tab) -> None:
    tab.add(1, 1)
    tab.brush(5, 5, 3, 3)
    tab.add(2, 2)

    tab.do(EventKind.UNDO)
    assert (len(tab.uids()), len(tab.strokes())) == (1, 1)
    tab.do(EventKind.UNDO)
    assert (len(tab.uids()), len(tab.strokes())) == (1, 0)
    tab.do(EventKind.UNDO)

    assert tab.made() == (frozenset(), ())


def test_undo_takes_back_only_ones_own_strokes(tab: Tab) -> None:
    bob = other(tab)
    mine = tab.brush(1, 1, 2, 2)
    bob.brush(5, 5, 2, 2)

    bob.do(EventKind.UNDO)

    assert tab.strokes() == (mine,)
    assert bob.do(EventKind.UNDO).refusals


def test_clearing_takes_points_and_strokes_of_everybody_and_undo_brings_them_back(tab: Tab) -> None:
    bob = other(tab)
    tab.add(1, 1)
    bob.brush(5, 5, 2, 2)
    before = tab.made()

    tab.do(EventKind.CLEAR)
    assert tab.made() == (frozenset(), ())
    assert tab.do(EventKind.CLEAR).refusals
    tab.do(EventKind.UNDO)

    assert tab.made() == before


def test_a_stroke_stays_away_until_everybody_who_wanted_it_gone_changed_their_mind(tab: Tab) -> None:
    bob = other(tab)
    tab.brush(1, 1, 3, 3)
    bob.do(EventKind.CLEAR)
    tab.do(EventKind.UNDO)

    bob.do(EventKind.UNDO)
    assert tab.strokes() == ()
    tab.do(EventKind.REDO)

    assert len(tab.strokes()) == 1


def test_a_done_image_refuses_strokes_until_it_is_reopened(tab: Tab) -> None:
    tab.do(EventKind.STATE, state="done")
    (refusal,) = tab.send(tab.stroke(0, 0, 2, 2)).refusals
    assert "reopen it" in refusal.reason
    tab.do(EventKind.STATE, state="in_progress")

    tab.brush(0, 0, 2, 2)

    assert len(tab.strokes()) == 1


def test_strokes_of_a_removed_class_do_not_count_and_those_of_the_eraser_do(tab: Tab) -> None:
    tab.brush(0, 0, 10, 20, 1)
    eraser = tab.brush(0, 0, 10, 5, None)

    tab.do(EventKind.CLASS_REMOVE, class_id=1)

    assert tab.strokes() == (eraser,)
    assert not over_nothing(tab).any()


def test_a_click_is_obeyed_on_its_pixel_unless_a_later_stroke_covers_it(tab: Tab) -> None:
    tab.do(EventKind.CLASS_ADD, name="wall", colour="#123456")
    tab.add(3, 3, 2)
    tab.brush(0, 0, 10, 10, 1)
    tab.add(4, 4, 2)
    tab.send(tab.stroke(20, 20, 5, 5), tab.event(EventKind.ADD, row=22, col=22, class_id=2))

    shown = over_nothing(tab)

    assert shown[3, 3] == 1
    assert shown[4, 4] == 2
    assert shown[22, 22] == 2  # of one batch, and so of one moment: the numbers of the events decide
    assert shown[21, 21] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"top": HEIGHT - 1},
        {"left": WIDTH - 3},
        {"top": -1},
        {"height": 0},
        {"width": 10**12},
        {"class_id": 9},
        {"class_id": True},
        {"class_id": "1"},
        {"runs": None},
        {"runs": "08"},
        {"runs": [0, 7]},
        {"runs": [0, 8, 0]},
        {"runs": [0, float("nan")]},
        {"runs": [1] * (MAX_RUNS + 1)},
        {"runs": [[0, 8]]},
    ],
)
def test_an_impossible_stroke_is_refused_stored_as_such_and_blocks_nothing(tab: Tab, change: dict) -> None:
    payload = {"class_id": 1, "top": 1, "left": 1, "height": 2, "width": 4, "runs": [0, 8], **change}
    event = tab.event(EventKind.BRUSH, **payload)

    applied = tab.send(event, tab.event(EventKind.ADD, row=1, col=1, class_id=0))

    assert [refusal.seq for refusal in applied.refusals] == [1]
    assert applied.acknowledged == 2
    assert (len(tab.uids()), tab.strokes()) == (1, ())


def test_a_stroke_of_thousands_of_runs_is_kept_whole(tab: Tab) -> None:
    runs = [1] * (HEIGHT * WIDTH)

    tab.do(EventKind.BRUSH, class_id=1, top=0, left=0, height=HEIGHT, width=WIDTH, runs=runs)

    assert over_nothing(tab).sum() == HEIGHT * WIDTH // 2


def test_paintings_are_known_by_the_content_of_their_image(tab: Tab) -> None:
    tab.brush(0, 0, 3, 3, 1)

    found = paintings_by_content(tab.lab, project_id=tab.project_id)

    ((content, painting),) = found.items()
    assert content == f"{0:064x}"
    assert painting.image_hw == (HEIGHT, WIDTH)


def test_a_project_with_strokes_can_be_deleted(tab: Tab) -> None:
    tab.brush(0, 0, 3, 3)

    delete_project(tab.lab, project_id=tab.project_id)

    assert tab.strokes() == ()


PAINTER = """
import io, sys
from pathlib import Path
import numpy as np
from PIL import Image
from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
project = create_project(lab, name="cells")
png = io.BytesIO()
Image.fromarray(np.zeros((100, 150, 3), np.uint8)).save(png, format="PNG")
(step,) = import_files(lab, [("a.png", png.getvalue())], project_id=project.id)
for seq in range(1, 10_000):
    row = seq % 100
    payload = {"class_id": 1, "top": row, "left": 0, "height": 1, "width": 150, "runs": [row, 150 - row]}
    event = Event(seq, EventKind.BRUSH, step.image_id, payload)
    applied = apply_events(lab, EventBatch("client-one", (event,)), project_id=project.id, labeller="ann")
    print(applied.acknowledged, flush=True)
"""


def test_kill_loses_no_acknowledged_stroke(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PAINTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    while told < 60:
        told = int(process.stdout.readline())
    process.kill()
    told = max([told, *(int(line) for line in process.stdout.read().splitlines())])
    process.wait(timeout=30)

    lab = open_lab(Settings(data_dir=tmp_path, device="cpu"))

    stored = acknowledged(lab, client_id="client-one")
    (project,) = projects(lab)
    (painting,) = paintings_by_content(lab, project_id=project.id).values()
    lab.close()
    assert stored in (told, told + 1)
    assert len(painting.layers) == stored
