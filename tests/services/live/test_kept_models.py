"""A saved model is used again only by who would fit the same one; masks by different models are different files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcnlab.core.learner.model import model_to_arrays
from fcnlab.domain.images import ImageState, Imaging, StoredMask
from fcnlab.lab import Lab
from fcnlab.services.images.imaging import set_imaging
from fcnlab.services.labelling.events import set_image_state
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import SavedModel, kept_mask, save_model
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.models import models
from fcnlab.services.projects import projects
from fcnlab.storage.database.repository_images import stored_masks
from fcnlab.storage.files.checkpoints import load_checkpoint
from tests.support.export_bench import Bench

NAME = "a.png"


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    bench = Bench(lab, tmp_path, [NAME, "b.png"])
    bench.click(NAME, (40, 60, 1), (5, 5, 0), (90, 20, 0))
    return bench


def take_blue(bench: Bench) -> None:
    list(set_imaging(bench.lab, project_id=bench.project.id, imaging=Imaging((3,), ())))


def rename(bench: Bench) -> None:
    label = projects.project(bench.lab, project_id=bench.project.id).classes[1]
    projects.edit_class(bench.lab, project_id=bench.project.id, label=replace(label, name="nucleus"))


def is_what_its_file_says(lab: Lab, saved: SavedModel) -> bool:
    arrays, spec = load_checkpoint(lab.folders.checkpoints / saved.record.checkpoint)
    expected, expected_spec = model_to_arrays(saved.model)
    same_arrays = all(np.array_equal(arrays[name], one) for name, one in expected.items())
    return same_arrays and spec["classes"] == expected_spec["classes"]


@pytest.mark.parametrize("change", [take_blue, rename])
def test_a_model_is_saved_anew_when_pictures_or_class_names_changed(
    bench: Bench, change: Callable[[Bench], None]
) -> None:
    before = models.keep_instant(bench.lab, bench.learner, labeller="ann")
    change(bench)

    after = models.keep_instant(bench.lab, bench.learner, labeller="ann")
    saved = save_model(bench.lab, bench.learner)

    assert after.file != before.file
    assert saved.record.checkpoint == after.file
    assert is_what_its_file_says(bench.lab, saved)


def test_going_back_to_pictures_of_before_goes_back_to_their_model(bench: Bench) -> None:
    before = save_model(bench.lab, bench.learner)
    take_blue(bench)
    between = save_model(bench.lab, bench.learner)
    list(set_imaging(bench.lab, project_id=bench.project.id, imaging=Imaging()))
    fresh = ProjectLearner(bench.lab, PictureStore(bench.lab), project_id=bench.project.id)

    assert between.record != before.record
    assert save_model(bench.lab, fresh).record == before.record


@pytest.mark.parametrize("chosen", [False, True])
def test_masks_of_other_pictures_are_other_files_and_name_the_model_that_made_them(bench: Bench, chosen: bool) -> None:
    if chosen:
        kept = models.keep_instant(bench.lab, bench.learner, labeller="ann")
        models.use_model(bench.lab, project_id=bench.project.id, model_id=kept.id)
    first, pixels = _done(bench)
    take_blue(bench)
    set_image_state(bench.lab, image_id=bench.images[NAME], state=ImageState.IN_PROGRESS, labeller="ann")
    second, others = _done(bench)

    assert (pixels != others).any()
    assert first.file != second.file
    assert (first.model == second.model) is chosen


def _done(bench: Bench) -> tuple[StoredMask, np.ndarray]:
    bench.mark_done(NAME)
    image = projects.image(bench.lab, image_id=bench.images[NAME])
    mask = kept_mask(bench.lab, image)
    assert mask is not None
    with bench.lab.sessions() as session:
        return stored_masks(session, project_id=bench.project.id)[image.id], mask
