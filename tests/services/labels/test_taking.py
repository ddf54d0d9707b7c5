"""Imported masks that are used as they are: every known pixel, on images that are not done, and undo takes it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.core.images.painting import Painting, painted, strokes_over
from fcnlab.domain.counting import Task
from fcnlab.domain.events import MAX_RUNS, EventKind
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import IGNORE
from fcnlab.lab import Lab
from fcnlab.services.labelling import effects
from fcnlab.services.labelling.painting import painting_of
from fcnlab.services.labelling.scenes import scene
from fcnlab.services.labels.taking import images_to_take, take_masks
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.masks import PAINTED, final_mask, kept_mask
from fcnlab.services.projects.projects import image
from fcnlab.storage.database.engine import reading
from tests.support.label_imports import a_mask, masks_in, take_in
from tests.support.tabs import Tab, new_project, state_of


def laid_over(lab: Lab, image_id: int) -> np.ndarray:
    """What is painted on an image, IGNORE elsewhere."""
    info = image(lab, image_id=image_id)
    with reading(lab.sessions) as session:
        return painted(np.full(info.hw, IGNORE, np.uint8), painting_of(session, info))


@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_strokes_over_a_mask_paint_the_mask(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    mask = rng.integers(0, n_classes, (31, 47)).astype(np.uint8)
    mask[rng.random(mask.shape) < 0.3] = IGNORE

    strokes = strokes_over(mask)

    assert np.array_equal(painted(np.full(mask.shape, IGNORE, np.uint8), Painting(strokes, mask.shape)), mask)
    assert len(strokes) == n_classes


def test_a_mask_of_many_runs_becomes_bands_that_can_be_stored() -> None:
    mask = (np.indices((700, 700)).sum(axis=0) % 2).astype(np.uint8)

    strokes = strokes_over(mask)

    assert all(len(stroke.runs) <= MAX_RUNS for stroke in strokes)
    assert np.array_equal(painted(np.full(mask.shape, IGNORE, np.uint8), Painting(strokes, mask.shape)), mask)


def test_taking_lays_the_imported_mask_over_the_image_and_one_undo_takes_it_back(any_lab: Lab, tmp_path: Path) -> None:
    project_id, (first, second) = new_project(any_lab)
    take_in(any_lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)
    tab = Tab(any_lab, project_id=project_id, image_id=first)

    assert not tab.do(EventKind.TAKE, done=False).refusals

    assert np.array_equal(laid_over(any_lab, first), a_mask())
    assert tab.do(EventKind.UNDO).refusals == ()
    assert (laid_over(any_lab, first) == IGNORE).all()
    tab.do(EventKind.REDO)
    assert np.array_equal(laid_over(any_lab, first), a_mask())
    (refusal,) = tab.send(tab.event(EventKind.TAKE, image_id=second, done=True)).refusals
    assert "no imported mask" in refusal.reason
    assert state_of(tab) is ImageState.IN_PROGRESS


def test_an_image_is_done_with_its_imported_mask_or_not_at_all(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, (first, second) = new_project(lab)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)
    tab, bare = (Tab(lab, project_id=project_id, image_id=image_id) for image_id in (first, second))
    begun = state_of(tab)

    for wrong in ("yes", 1, None):
        assert tab.do(EventKind.TAKE, done=wrong).refusals
    with monkeypatch.context() as patched:
        patched.setattr(effects, "MAX_TAKEN", 0)
        assert "cannot become strokes" in tab.do(EventKind.TAKE, done=True).refusals[0].reason
    bare.seq = tab.seq
    assert bare.do(EventKind.TAKE, done=True).refusals
    tab.seq = bare.seq
    assert (state_of(tab), state_of(bare), tab.strokes()) == (begun, ImageState.NEW, ())

    assert tab.do(EventKind.TAKE, done=True).refusals == ()

    assert state_of(tab) is ImageState.DONE
    assert np.array_equal(laid_over(lab, first), a_mask())
    assert "reopen it" in tab.do(EventKind.UNDO).refusals[0].reason
    tab.do(EventKind.STATE, state="in_progress")
    assert tab.do(EventKind.UNDO).refusals == ()
    assert (state_of(tab), tab.strokes()) == (ImageState.IN_PROGRESS, ())


def test_all_imported_masks_are_taken_but_those_of_done_images(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, second, third) = new_project(lab, n_images=3)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask(), "00001": a_mask(7)}), project_id)
    Tab(lab, project_id=project_id, image_id=second).do(EventKind.STATE, state="done")
    assert images_to_take(lab, project_id=project_id) == (first,)

    steps = list(take_masks(lab, project_id=project_id, labeller="ann"))

    assert [(step.done, step.total, step.name, step.refused) for step in steps] == [(1, 1, "00000.png", None)]
    assert np.array_equal(laid_over(lab, first), a_mask())
    assert (laid_over(lab, second) == IGNORE).all(), "what somebody finished stays as it is"
    states = [image(lab, image_id=image_id).state for image_id in (first, second, third)]
    assert states == [ImageState.DONE, ImageState.DONE, ImageState.NEW]
    assert list(take_masks(lab, project_id=project_id, labeller="ann")) == []


def test_a_done_image_keeps_a_whole_imported_mask_although_nothing_was_learned(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    whole = np.where(a_mask() == IGNORE, 0, a_mask()).astype(np.uint8)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": whole}), project_id, points_per_image=0)
    list(take_masks(lab, project_id=project_id, labeller="ann"))
    jobs = Jobs(lab)

    kept = jobs.run(
        lambda learner: final_mask(lab, learner, image(lab, image_id=first)), project_id=project_id
    ).result()
    jobs.close()

    assert kept is not None
    assert np.array_equal(kept, whole)
    assert np.array_equal(kept_mask(lab, image(lab, image_id=first)), whole)
    assert image(lab, image_id=first).mask_model == PAINTED


def test_where_objects_are_counted_no_mask_is_taken(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab, task=Task.COUNTS)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)

    assert images_to_take(lab, project_id=project_id) == ()
    assert not scene(lab, project_id=project_id, image_id=first, client_id=None).has_imported
    assert Tab(lab, project_id=project_id, image_id=first).do(EventKind.TAKE, done=True).refusals


def test_the_scene_says_whether_there_is_an_imported_mask_to_look_at(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, second) = new_project(lab)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)

    shown = {
        image_id: scene(lab, project_id=project_id, image_id=image_id, client_id=None).has_imported
        for image_id in (first, second)
    }

    assert shown == {first: True, second: False}
