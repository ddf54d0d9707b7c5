"""Masks by a model that a project chose: the laws of the label page hold, and all doors give the same."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main
from fcnlab.core.training import network_model
from fcnlab.core.training.network_output import ChosenNetwork
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_project
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.models.files import NetworkPredictor
from fcnlab.services.projects import projects
from tests.support import chosen_bench
from tests.support.chosen_bench import CORNERS, choose, shown_by
from tests.support.export_bench import HEIGHT, WIDTH, Bench, picture

SETTINGS = [
    LearnerSpec(working_side=side, object_mode=mode, refine=refine)
    for side, mode, refine in ((128, False, True), (128, True, True), (512, False, False), (64, True, False))
]
bench, jobs = chosen_bench.bench, chosen_bench.jobs


def mask_in(path: Path, name: str) -> NDArray[np.uint8]:
    with zipfile.ZipFile(path) as file, Image.open(io.BytesIO(file.read(name))) as image:
        return np.array(image)


@pytest.mark.parametrize("spec", SETTINGS)
def test_every_click_is_obeyed_in_what_a_network_exports(bench: Bench, spec: LearnerSpec) -> None:
    projects.set_learner(bench.lab, project_id=bench.project.id, learner=spec)
    bench.click("one.png", *CORNERS, (20, 30, 1))
    bench.click("two.png", (40, 60, 0), (90, 10, 1))
    bench.mark_done("one.png")

    path, last = bench.export()

    assert (last.n_stored, last.n_predicted) == (1, 1)
    names = {image_id: name.removesuffix(".png") for name, image_id in bench.images.items()}
    for stored in points_of_project(bench.lab, project_id=bench.project.id):
        mask = mask_in(path, f"masks/{names[stored.image_id]}.png")
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[stored.point.row, stored.point.col] == stored.point.class_id


def test_what_looks_like_a_click_next_to_it_has_its_class(bench: Bench) -> None:
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.learner.refresh()
    before = predicted_mask(bench.learner, image, bench.learner.source())
    other = 1 - int(before[40, 60])

    bench.click("one.png", (40, 60, other))
    bench.learner.refresh()
    after = predicted_mask(bench.learner, image, bench.learner.source())

    rows, cols = np.nonzero(before != after)
    assert len(rows) > 1
    assert np.hypot(rows - 40, cols - 60).max() < 6
    assert set(after[rows, cols]) == {other}


def test_page_export_and_command_line_give_the_same_mask(bench: Bench, jobs: Jobs, tmp_path: Path) -> None:
    projects.set_learner(bench.lab, project_id=bench.project.id, learner=LearnerSpec(working_side=256))
    bench.click("one.png", *CORNERS)
    for seed, name in enumerate(bench.images):
        (tmp_path / name).write_bytes(picture(seed))
    path, _ = bench.export()

    done = CliRunner().invoke(
        main,
        [
            *("--data-dir", str(bench.lab.settings.data_dir), "predict", "--project", "discs"),
            *("--output", str(tmp_path / "cli"), *(str(tmp_path / name) for name in bench.images)),
        ],
        catch_exceptions=False,
    )

    assert done.exit_code == 0, done.output
    for name in bench.images:
        exported = mask_in(path, f"masks/{name}")
        with Image.open(tmp_path / "cli" / name) as written:
            assert np.array_equal(np.array(written), exported)
        assert np.array_equal(shown_by(jobs, bench, name), exported)


def test_without_settings_and_clicks_the_mask_is_what_the_network_says(bench: Bench, tmp_path: Path) -> None:
    plain = LearnerSpec(working_side=256, refine=False)
    projects.set_learner(bench.lab, project_id=bench.project.id, learner=plain)
    bench.learner.refresh()
    source = bench.learner.source()
    assert isinstance(source.content, ChosenNetwork)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    rgb = np.array(Image.open(io.BytesIO(picture(0))))

    says = NetworkPredictor(source.content.model, device="cpu").mask(rgb)

    assert len(np.unique(says)) == 2
    assert (predicted_mask(bench.learner, image, source) == says).mean() > 0.999  # rounding decides a tie or two
    (tmp_path / "one.png").write_bytes(picture(0))
    assert bench.learner.record is not None
    model = bench.lab.folders.checkpoints / bench.learner.record.file
    done = CliRunner().invoke(
        main, ["predict", "--model", str(model), "-o", str(tmp_path / "cli"), str(tmp_path / "one.png")]
    )
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "cli" / "one.png") as written:
        assert np.array_equal(np.array(written), says)


def test_a_class_removed_since_is_never_shown_and_a_new_one_only_where_it_was_clicked(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    third = projects.add_class(lab, project_id=bench.project.id, name="rim")
    classes = ((0, "background"), (third.id, "rim"), (1, "object"))
    choose(bench, classes=classes, seed=3)
    image = projects.image(lab, image_id=bench.images["one.png"])
    bench.learner.refresh()
    source = bench.learner.source()
    assert third.id in predicted_mask(bench.learner, image, source)

    projects.remove_class(lab, project_id=bench.project.id, class_id=third.id)
    new = projects.add_class(lab, project_id=bench.project.id, name="spot")
    bench.click("one.png", (50, 70, new.id))
    bench.learner.refresh()
    mask = predicted_mask(bench.learner, image, bench.learner.source())

    assert isinstance(source.content, ChosenNetwork)
    answer = network_model.network_probabilities(
        source.content.model, np.array(Image.open(io.BytesIO(picture(0)))), device="cpu"
    )
    assert answer.shape[0] == 3
    assert third.id not in mask
    assert mask[50, 70] == new.id
    assert (mask == new.id).sum() < 40


def test_in_object_mode_every_region_of_a_networks_mask_holds_a_click(bench: Bench) -> None:
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.learner.refresh()
    ground = (predicted_mask(bench.learner, image, bench.learner.source()) == 0).astype(np.uint8)
    far = cv2.distanceTransform(ground, cv2.DIST_L2, 5)
    row, col = (int(one) for one in np.unravel_index(far.argmax(), far.shape))
    bench.click("one.png", (row, col, 1))
    masks = []
    for mode in (False, True):
        spec = replace(bench.project.learner, object_mode=mode)
        projects.set_learner(bench.lab, project_id=bench.project.id, learner=spec)
        bench.learner.refresh()
        masks.append(predicted_mask(bench.learner, image, bench.learner.source()))

    without, within = masks
    _, regions = cv2.connectedComponents((within == 1).astype(np.uint8), connectivity=4)
    assert set(np.unique(regions[within == 1])) == {regions[row, col]}
    assert (within == 1).sum() < (without == 1).sum()
