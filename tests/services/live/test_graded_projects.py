"""Grades in a project: they change its masks at once, travel with kept models, and outlive removed classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main
from fcnlab.core.learner.model import Model
from fcnlab.lab import Lab
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.models import models
from fcnlab.services.models.files import open_model, with_class_ids
from fcnlab.services.models.model_import import import_model
from fcnlab.services.projects import projects
from tests.support.export_bench import Bench, picture

NAME = "one.png"
LABELS = ("none", "sparse", "medium", "dense")


def graded_bench(lab: Lab, folder: Path) -> Bench:
    """A project of four classes, all with points; the grades are set by whoever wants them."""
    bench = Bench(lab, folder, [NAME], labels=projects.labels_of(LABELS))
    bench.click(NAME, (5, 5, 0), (80, 130, 0), (40, 60, 3), (44, 66, 3), (20, 100, 1), (70, 20, 1), (60, 90, 2))
    return bench


def set_grades(bench: Bench, grades: tuple[int, ...]) -> None:
    current = projects.project(bench.lab, project_id=bench.project.id).learner
    projects.set_learner(bench.lab, project_id=bench.project.id, learner=replace(current, grades=grades))


def mask(bench: Bench, learner: ProjectLearner | None = None) -> NDArray[np.uint8]:
    """By the newest points, with the head going on from the last one."""
    learner = learner or bench.learner
    learner.refresh()
    image = projects.image(bench.lab, image_id=bench.images[NAME])
    for waiting in learner.images_to_learn_from():
        learner.learn_from(waiting)
    return learner.segment(image, learner.newest_head()).class_map


def fresh(bench: Bench) -> ProjectLearner:
    return ProjectLearner(bench.lab, PictureStore(bench.lab), project_id=bench.project.id)


def test_an_order_set_or_taken_back_counts_with_the_next_mask_wherever_the_last_fit_was(
    lab: Lab, tmp_path: Path
) -> None:
    bench = graded_bench(lab, tmp_path)
    plain = mask(bench)

    for grades in ((0, 1, 2, 3), (1, 2, 3), (3, 1, 2, 0), ()):
        set_grades(bench, grades)
        warm, cold = mask(bench), mask(bench, fresh(bench))
        assert (warm == cold).mean() > 0.999, grades
        assert np.array_equal(cold, plain) == (grades == ())


def test_a_kept_model_has_the_order_and_masks_of_its_moment(lab: Lab, tmp_path: Path) -> None:
    bench = graded_bench(lab, tmp_path)
    set_grades(bench, (0, 1, 2, 3))
    wanted = mask(bench)
    kept = models.keep_instant(lab, bench.learner, labeller="ann")
    set_grades(bench, ())

    content = open_model(lab.folders.checkpoints / kept.file, device="cpu")
    models.use_model(lab, project_id=bench.project.id, model_id=kept.id)
    learner = fresh(bench)
    learner.refresh()
    image = projects.image(lab, image_id=bench.images[NAME])

    assert isinstance(content, Model)
    assert content.spec.grades == (0, 1, 2, 3)
    assert content.head.scale is not None
    assert (learner.source().predict(image).segmentation.class_map == wanted).mean() > 0.999


def test_a_model_with_grades_is_brought_to_a_project_with_other_ids(lab: Lab, tmp_path: Path) -> None:
    bench = graded_bench(lab, tmp_path)
    set_grades(bench, (0, 1, 2, 3))
    kept = models.keep_instant(lab, bench.learner, labeller="ann")
    labels = projects.labels_of(["dense", "other", "none", "medium", "sparse"])
    other = projects.create_project(lab, name="other ids", labels=labels).id

    copy = import_model(lab, models.model_file(lab, model_id=kept.id), project_id=other, name="brought", labeller="ann")
    content = open_model(lab.folders.checkpoints / copy.file, device="cpu")
    renamed = with_class_ids(content, tuple(class_id for class_id, _, _ in copy.classes))

    assert isinstance(renamed, Model)
    assert copy.spec["grades"] == list(renamed.spec.grades) == [2, 4, 3, 0]
    assert renamed.head.scale is not None
    assert [renamed.head.class_ids[place] for place in renamed.head.scale.places] == [2, 4, 3, 0]


def test_predict_takes_the_file_of_a_model_with_grades(lab: Lab, tmp_path: Path) -> None:
    bench = graded_bench(lab, tmp_path)
    set_grades(bench, (0, 1, 2, 3))
    kept = models.keep_instant(lab, bench.learner, labeller="ann")
    (tmp_path / "unseen.png").write_bytes(picture(1))

    for plain in ((), ("--plain",)):
        out = tmp_path / f"masks{len(plain)}"
        file = lab.folders.checkpoints / kept.file
        result = CliRunner().invoke(
            main, ["predict", str(tmp_path / "unseen.png"), "--model", str(file), "--output", str(out), *plain]
        )
        assert result.exit_code == 0, result.output
        (path,) = out.rglob("*.png")
        assert set(np.unique(np.asarray(Image.open(path)))) <= {0, 1, 2, 3}
