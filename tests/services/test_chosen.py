"""Masks by a model that a project chose: the laws of the label page hold, and all doors give the same."""

from __future__ import annotations

import io
import json
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main
from fcnlab.core import network_model
from fcnlab.core.looks import ChosenNetwork
from fcnlab.domain import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services import model_shelf, projects
from fcnlab.services.asking import ask
from fcnlab.services.jobs import Jobs
from fcnlab.services.labelling import points_of_project
from fcnlab.services.masks import kept_mask, predicted_mask
from fcnlab.services.models import keep_instant, use_model
from fcnlab.services.networks import NetworkPredictor
from tests.services.export_bench import HEIGHT, WIDTH, Bench, picture
from tests.services.model_bench import add_network

CORNERS = ((0, 0, 1), (0, 139, 0), (95, 0, 1), (95, 139, 0), (41, 63, 0), (41, 64, 1))
SETTINGS = [
    LearnerSpec(working_side=side, object_mode=mode, refine=refine)
    for side, mode, refine in ((128, False, True), (128, True, True), (512, False, False), (64, True, False))
]


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    """Discs that nobody clicked, and a network that the project chose."""
    bench = Bench(lab, tmp_path / "out", ["one.png", "two.png"])
    choose(bench)
    return bench


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def choose(bench: Bench, **network: Any) -> Any:
    record = add_network(bench.lab, bench.project.id, **network)
    use_model(bench.lab, project_id=bench.project.id, model_id=record.id)
    return record


def mask_in(path: Path, name: str) -> NDArray[np.uint8]:
    with zipfile.ZipFile(path) as file, Image.open(io.BytesIO(file.read(name))) as image:
        return np.array(image)


def shown_by(jobs: Jobs, bench: Bench, name: str) -> NDArray[np.uint8]:
    """The newest overlay of an image."""
    image_id = bench.images[name]
    jobs.clicked(bench.project.id, image_id, client_id="tab-12345", acknowledged=int(time.monotonic() * 1000))
    jobs.run(lambda _: None, project_id=bench.project.id).result()
    overlay = jobs.board.overlay(image_id)
    assert overlay is not None, jobs.board.status(image_id)
    return np.frombuffer(zlib.decompress(overlay.packed), np.uint8).reshape(overlay.hw)


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
    before = predicted_mask(bench.learner, image, bench.learner.maker())
    other = 1 - int(before[40, 60])

    bench.click("one.png", (40, 60, other))
    bench.learner.refresh()
    after = predicted_mask(bench.learner, image, bench.learner.maker())

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
    maker = bench.learner.maker()
    assert isinstance(maker, ChosenNetwork)
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    rgb = np.array(Image.open(io.BytesIO(picture(0))))

    says = NetworkPredictor(maker.model, device="cpu").mask(rgb)

    assert len(np.unique(says)) == 2
    assert (predicted_mask(bench.learner, image, maker) == says).mean() > 0.999  # rounding decides a tie or two
    (tmp_path / "one.png").write_bytes(picture(0))
    assert bench.learner.record is not None
    model = bench.lab.folders.checkpoints / bench.learner.record.file
    done = CliRunner().invoke(
        main, ["predict", "--model", str(model), "-o", str(tmp_path / "cli"), str(tmp_path / "one.png")]
    )
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "cli" / "one.png") as written:
        assert np.array_equal(np.array(written), says)


def test_a_network_needs_no_points_and_is_asked_once_per_image(
    bench: Bench, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    answer = model_shelf.rounded_probabilities

    def counted(*args: Any, **options: Any) -> NDArray[np.float16]:
        asked.append(1)
        return answer(*args, **options)

    monkeypatch.setattr(model_shelf, "rounded_probabilities", counted)
    first = shown_by(jobs, bench, "one.png")
    for row, col, class_id in CORNERS:
        bench.click("one.png", (row, col, class_id))
        shown_by(jobs, bench, "one.png")
    last = shown_by(jobs, bench, "one.png")

    assert len(asked) == 1
    assert first.shape == last.shape
    assert not np.array_equal(first, last)
    opinion = jobs.board.opinion(bench.images["one.png"])
    assert opinion is not None
    assert opinion.class_ids == (0, 1)
    assert np.allclose(opinion.probabilities.astype(np.float32).sum(axis=0), 1, atol=2e-3)


def test_a_class_removed_since_is_never_shown_and_a_new_one_only_where_it_was_clicked(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    third = projects.add_class(lab, project_id=bench.project.id, name="rim")
    classes = ((0, "background"), (third.id, "rim"), (1, "object"))
    choose(bench, classes=classes, seed=3)
    image = projects.image(lab, image_id=bench.images["one.png"])
    bench.learner.refresh()
    maker = bench.learner.maker()
    assert third.id in predicted_mask(bench.learner, image, maker)

    projects.remove_class(lab, project_id=bench.project.id, class_id=third.id)
    new = projects.add_class(lab, project_id=bench.project.id, name="spot")
    bench.click("one.png", (50, 70, new.id))
    bench.learner.refresh()
    mask = predicted_mask(bench.learner, image, bench.learner.maker())

    assert isinstance(maker, ChosenNetwork)
    answer = network_model.network_probabilities(
        maker.model, np.array(Image.open(io.BytesIO(picture(0)))), device="cpu"
    )
    assert answer.shape[0] == 3
    assert third.id not in mask
    assert mask[50, 70] == new.id
    assert (mask == new.id).sum() < 40


def test_a_network_that_knows_one_class_in_use_is_explained_to_the_labeller(
    lab: Lab, jobs: Jobs, tmp_path: Path
) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    new = projects.add_class(lab, project_id=bench.project.id, name="rim")
    choose(bench)
    projects.remove_class(lab, project_id=bench.project.id, class_id=1)
    image_id = bench.images["one.png"]

    jobs.opened(bench.project.id, image_id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert new.id != 1
    assert jobs.board.status(image_id).phase == "error"
    assert "Models page" in jobs.board.status(image_id).message


def test_a_model_whose_file_is_gone_is_explained_and_clicks_are_kept(bench: Bench, jobs: Jobs) -> None:
    for file in bench.lab.folders.checkpoints.iterdir():
        file.unlink()
    bench.click("one.png", (40, 60, 1))
    image_id = bench.images["one.png"]

    jobs.opened(bench.project.id, image_id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert jobs.board.status(image_id).phase == "error"
    assert "no model file" in jobs.board.status(image_id).message
    assert len(points_of_project(bench.lab, project_id=bench.project.id)) == 1


def test_going_back_to_the_instant_learner_gives_its_mask_again(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0), (80, 130, 0))
    before = shown_by(jobs, bench, "one.png")

    choose(bench)
    by_network = shown_by(jobs, bench, "one.png")
    use_model(lab, project_id=bench.project.id, model_id=None)
    after = shown_by(jobs, bench, "one.png")

    assert not np.array_equal(before, by_network)
    assert np.array_equal(before, after)


def test_a_kept_instant_version_goes_on_saying_what_it_said(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0), (80, 130, 0))
    bench.learner.refresh()
    two = projects.image(lab, image_id=bench.images["two.png"])
    before = predicted_mask(bench.learner, two, bench.learner.maker())
    kept = keep_instant(lab, bench.learner, labeller="ann")
    bench.click("one.png", (41, 61, 0), (20, 60, 0), (60, 60, 0), (90, 5, 1))  # nonsense

    use_model(lab, project_id=bench.project.id, model_id=kept.id)
    bench.learner.refresh()
    after = predicted_mask(bench.learner, two, bench.learner.maker())

    assert np.array_equal(before, after)
    one = projects.image(lab, image_id=bench.images["one.png"])
    mask = predicted_mask(bench.learner, one, bench.learner.maker())
    assert [mask[row, col] for row, col in ((41, 61), (20, 60), (60, 60), (90, 5))] == [0, 0, 0, 1]


def test_a_done_image_keeps_its_mask_and_says_which_model_made_it(bench: Bench) -> None:
    bench.mark_done("one.png")
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    before = kept_mask(bench.lab, image)
    record = bench.learner.record
    assert record is not None
    use_model(bench.lab, project_id=bench.project.id, model_id=None)
    bench.click("two.png", (40, 60, 0), (5, 5, 1))

    path, _ = bench.export("instant.zip")

    after = kept_mask(bench.lab, image)
    assert before is not None
    assert after is not None
    assert np.array_equal(before, after)
    with zipfile.ZipFile(path) as file:
        manifest = json.loads(file.read("manifest.json"))
    assert manifest["model"] is None
    assert [(one["image"], one["model"]) for one in manifest["images"]] == [("one.png", record.file), ("two.png", "")]
    use_model(bench.lab, project_id=bench.project.id, model_id=record.id)
    with zipfile.ZipFile(bench.export("network.zip")[0]) as file:
        manifest = json.loads(file.read("manifest.json"))
    assert (manifest["model"]["id"], manifest["model"]["name"]) == (record.id, record.name)
    assert [one["model"] for one in manifest["images"]] == [record.file, record.file]


def test_questions_and_gains_follow_the_chosen_model(bench: Bench, jobs: Jobs) -> None:
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    asked = ask(jobs, image, count=5, rng=np.random.default_rng(0)).result()
    for _ in range(200):
        ranking = jobs.gains.ranking(bench.project.id)
        if len(ranking.gains) == 2:
            break
        time.sleep(0.02)
    bench.click("two.png", (40, 60, 0))
    jobs.gains.ranking(bench.project.id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert asked.source == "query"  # by the network: nothing was clicked yet
    assert len(asked.pixels) == 5
    assert set(ranking.gains) == set(bench.images.values())
    assert jobs.gains.ranking(bench.project.id).gains == ranking.gains


def test_in_object_mode_every_region_of_a_networks_mask_holds_a_click(bench: Bench) -> None:
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    bench.learner.refresh()
    ground = (predicted_mask(bench.learner, image, bench.learner.maker()) == 0).astype(np.uint8)
    far = cv2.distanceTransform(ground, cv2.DIST_L2, 5)
    row, col = (int(one) for one in np.unravel_index(far.argmax(), far.shape))
    bench.click("one.png", (row, col, 1))
    masks = []
    for mode in (False, True):
        spec = replace(bench.project.learner, object_mode=mode)
        projects.set_learner(bench.lab, project_id=bench.project.id, learner=spec)
        bench.learner.refresh()
        masks.append(predicted_mask(bench.learner, image, bench.learner.maker()))

    without, within = masks
    _, regions = cv2.connectedComponents((within == 1).astype(np.uint8), connectivity=4)
    assert set(np.unique(regions[within == 1])) == {regions[row, col]}
    assert (within == 1).sum() < (without == 1).sum()
