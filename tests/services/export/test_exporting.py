"""Laws of exports."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import IGNORE, LearnerSpec
from fcnlab.errors import DatabaseUnavailable, ExportFailed, ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.export import plan
from fcnlab.services.export.exporting import ExportEstimate, estimate
from fcnlab.services.export.formats import formats_from
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import points_of_project, set_image_state
from fcnlab.services.live import picture_store
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.storage.database import repository_points
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files import filestore
from fcnlab.storage.files.weights import TrainedEncoder, load_encoder
from tests.support.export_bench import HEIGHT, WIDTH, Bench, picture

STAGES: dict[str, Any] = {}
CORNERS = ((20, 30, 1), (5, 5, 0), (90, 130, 0), (0, 139, 1), (95, 0, 1))


@pytest.fixture(autouse=True)
def _one_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_store, "load_encoder", encoder_once)
    encode = PictureStore._stages_of

    def stages_once(store: PictureStore, image: ImageInfo, spec: LearnerSpec, key: str) -> Any:
        if key not in STAGES:
            STAGES[key] = encode(store, image, spec, key)
        return STAGES[key]

    monkeypatch.setattr(PictureStore, "_stages_of", stages_once)


@cache
def encoder_once(name: str, weights: str) -> TrainedEncoder:
    """Loading the network takes longer than any of these tests."""
    return load_encoder(name, weights)


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    bench = Bench(lab, tmp_path / "out", ["one.png", "two.png", "three.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0))
    return bench


def mask_in(path: Path, name: str) -> NDArray[np.uint8]:
    with zipfile.ZipFile(path) as file, Image.open(io.BytesIO(file.read(name))) as image:
        assert image.mode == "P"
        return np.array(image)


def manifest_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as file:
        content: dict[str, Any] = json.loads(file.read("manifest.json"))
        return content


def test_the_same_project_gives_the_same_bytes(bench: Bench) -> None:
    first, _ = bench.export("a.zip", formats=tuple(each.name for each in formats_from()), instances=True)
    bench.learner = ProjectLearner(bench.lab, PictureStore(bench.lab), project_id=bench.project.id)
    second, _ = bench.export("b.zip", formats=tuple(each.name for each in formats_from()), instances=True)

    assert first.read_bytes() == second.read_bytes()


def test_every_click_is_obeyed_in_every_mask(bench: Bench) -> None:
    bench.click("one.png", *CORNERS)
    bench.click("two.png", (40, 60, 0), (41, 60, 1), (0, 0, 1), (95, 139, 0))
    bench.mark_done("one.png")

    path, last = bench.export()

    names = {image_id: name.removesuffix(".png") for name, image_id in bench.images.items()}
    assert (last.n_stored, last.n_predicted) == (1, 2)
    for stored in points_of_project(bench.lab, project_id=bench.project.id):
        mask = mask_in(path, f"masks/{names[stored.image_id]}.png")
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[stored.point.row, stored.point.col] == stored.point.class_id
        assert not (mask == IGNORE).any()


def test_the_manifest_names_every_file_with_its_hash(bench: Bench) -> None:
    bench.mark_done("one.png")
    path, _ = bench.export(formats=tuple(each.name for each in formats_from()), instances=True)

    manifest = manifest_of(path)

    with zipfile.ZipFile(path) as file:
        found = {name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()}
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    del found["manifest.json"]
    told = dict(manifest["tables"])
    for entry in manifest["images"]:
        told |= entry["files"]
        assert sum(entry["pixels_per_class"].values()) == HEIGHT * WIDTH
    assert told == found
    assert [(one["image"], one["mask"], one["state"]) for one in manifest["images"]] == [
        ("one.png", "stored", "done"),
        ("three.png", "predicted", "new"),
        ("two.png", "predicted", "new"),
    ]
    assert [one["name"] for one in manifest["classes"]] == ["background", "object"]
    assert manifest["learner"]["working_side"] == 128
    assert manifest["versions"]["fcnlab"]


def test_a_done_image_exports_the_mask_it_kept_whatever_was_learned_since(bench: Bench) -> None:
    bench.mark_done("one.png")
    before = mask_in(bench.export("a.zip")[0], "masks/one.png")
    bench.click("two.png", (40, 60, 0), (41, 61, 0), (5, 5, 1), (90, 130, 1), (50, 70, 0))

    path, last = bench.export("b.zip")

    assert np.array_equal(mask_in(path, "masks/one.png"), before)
    assert not np.array_equal(mask_in(path, "masks/two.png"), mask_in(bench.folder / "a.zip", "masks/two.png"))
    assert last.phase == "finished"


def test_done_only_leaves_the_others_out(bench: Bench) -> None:
    with pytest.raises(ExportFailed, match="marked done"):
        bench.export(done_only=True)
    bench.mark_done("one.png")

    path, last = bench.export(done_only=True)

    with zipfile.ZipFile(path) as file:
        assert set(file.namelist()) == {"masks/one.png", "overlays/one.jpg", "points.csv", "manifest.json"}
    assert (last.n_stored, last.n_predicted) == (1, 0)


def test_an_estimate_counts_done_images_that_lack_their_mask_and_gives_the_sample_its_own(bench: Bench) -> None:
    def expected(**options: Any) -> ExportEstimate | None:
        spec = ExportSpec(formats=("index",), **options)
        return estimate(bench.lab, lambda work: work(bench.learner), project_id=bench.project.id, spec=spec)

    for name in ("one.png", "two.png"):
        set_image_state(bench.lab, image_id=bench.images[name], state=ImageState.DONE, labeller="ann")
    assert len(plan.images_without_mask(bench.lab, project_id=bench.project.id)) == 2

    told = expected(done_only=True)

    assert told is not None
    assert (told.n_images, told.n_bytes > 0) == (2, True)
    (without,) = plan.images_without_mask(bench.lab, project_id=bench.project.id)
    assert without.name != told.sample
    assert not list(bench.lab.folders.exports.glob(".estimate*"))


def test_where_nothing_has_a_mask_there_is_no_estimate(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    set_image_state(lab, image_id=bench.images["one.png"], state=ImageState.DONE, labeller="ann")

    for done_only in (False, True):
        spec = ExportSpec(formats=("index",), done_only=done_only)
        told = estimate(lab, lambda work: work(bench.learner), project_id=bench.project.id, spec=spec)
        assert told is None


def test_an_export_that_is_interrupted_leaves_no_file(bench: Bench) -> None:
    steps = bench.steps()
    while next(steps).phase != "writing":
        pass

    steps.close()

    assert list(bench.folder.iterdir()) == []


def test_a_failed_export_keeps_the_file_that_was_there(bench: Bench) -> None:
    path, _ = bench.export()
    before = path.read_bytes()

    class Broken(Exception):
        pass

    def fails_late(work: Any) -> Any:
        if "_made" in getattr(work, "__qualname__", ""):
            raise Broken
        return work(bench.learner)

    with pytest.raises(Broken):
        list(bench.steps(run=fails_late))

    assert path.read_bytes() == before
    assert list(bench.folder.iterdir()) == [path]


def test_points_that_arrive_meanwhile_change_nothing(bench: Bench) -> None:
    quiet, _ = bench.export("quiet.zip")
    steps = bench.steps("busy.zip")
    for step in steps:
        if step.phase == "writing":
            bench.click("two.png", (40, 60 + step.done, 0))

    assert (bench.folder / "busy.zip").read_bytes() == quiet.read_bytes()


def test_nothing_to_learn_from_is_explained(lab: Lab, tmp_path: Path) -> None:
    empty = Bench(lab, tmp_path / "out", [])
    with pytest.raises(ExportFailed, match="no images"):
        empty.export()
    steps = import_files(lab, [("a.png", picture(0))], project_id=empty.project.id)
    empty.images = {step.name: step.image_id or 0 for step in steps}
    with pytest.raises(ExportFailed, match="two classes"):
        empty.export()
    empty.click("a.png", (5, 5, 0))
    with pytest.raises(ExportFailed, match="two classes"):
        empty.export()

    assert not list(empty.folder.glob("*"))


def test_an_image_that_cannot_be_read_is_named_and_left_out(bench: Bench) -> None:
    gone = projects.image(bench.lab, image_id=bench.images["two.png"])
    for path in bench.lab.folders.images.rglob(f"{gone.content_hash}.*"):
        path.unlink()

    path, last = bench.export()

    assert [name for name, _ in last.left_out] == ["two.png"]
    assert [one["image"] for one in manifest_of(path)["left_out"]] == ["two.png"]
    assert [one["image"] for one in manifest_of(path)["images"]] == ["one.png", "three.png"]


def points_without(bench: Bench, *names: str) -> str:
    """The hash of the points of a project but for those of some images."""
    with reading(bench.lab.sessions) as session:
        without = [bench.images[name] for name in names]
        return repository_points.point_set_hash(session, project_id=bench.project.id, without=without)


def test_a_labelled_image_that_can_never_be_read_is_named_and_its_points_are_in_no_hash(bench: Bench) -> None:
    bench.click("two.png", (40, 60, 1), (5, 5, 0))
    image = projects.image(bench.lab, image_id=bench.images["two.png"])
    original = filestore.find_original(bench.lab.folders, content_hash=image.content_hash)
    kept = original.read_bytes()
    original.unlink()
    STAGES.clear()  # nothing is left of it

    manifest = manifest_of(bench.export()[0])
    assert [one["image"] for one in manifest["not_learned_from"]] == ["two.png"]
    assert "missing" in manifest["not_learned_from"][0]["reason"]
    assert manifest["point_set"] == points_without(bench, "two.png") != points_without(bench)

    original.write_bytes(kept)  # the next export tries it again, without a new click
    manifest = manifest_of(bench.export()[0])
    assert manifest["not_learned_from"] == []
    assert manifest["point_set"] == points_without(bench)


@pytest.mark.parametrize("failure", [DatabaseUnavailable("the database is busy"), OSError(24, "too many open files")])
@pytest.mark.parametrize("name", ["one.png", "three.png"])
def test_what_fails_for_a_moment_is_tried_again_and_nothing_is_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failure: Exception, name: str
) -> None:
    """An image that is learned from, and one that is only predicted."""
    expected = bench.export()[0].read_bytes()
    learner = ProjectLearner(bench.lab, PictureStore(bench.lab), project_id=bench.project.id)
    bench.learner = learner
    STAGES.clear()
    read, failures = picture_store.read_picture, [failure]

    def failing(lab: Lab, image: ImageInfo) -> Any:
        if image.name == name and failures:
            raised = failures.pop()
            if isinstance(raised, OSError):
                raise ImportRefused(f"{image.name} is damaged") from raised
            raise raised
        return read(lab, image)

    monkeypatch.setattr(picture_store, "read_picture", failing)
    shutil.rmtree(bench.lab.folders.features)
    found, last = bench.export()

    assert not failures
    assert last.left_out == ()
    assert found.read_bytes() == expected


def test_an_image_that_goes_on_failing_ends_the_export_instead_of_being_missing_in_the_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_learner: ProjectLearner, _image: ImageInfo) -> None:
        raise DatabaseUnavailable("the database is busy")

    monkeypatch.setattr(ProjectLearner, "learn_from", failing)
    monkeypatch.setattr(plan, "ATTEMPTED_AFTER_S", (0.0, 0.0))

    with pytest.raises(DatabaseUnavailable, match="busy"):
        bench.export()
    assert not bench.learner.left_out()


def test_a_class_removed_later_stays_explained_in_kept_masks(bench: Bench) -> None:
    third = projects.add_class(bench.lab, project_id=bench.project.id, name="rim")
    bench.click("two.png", (90, 130, third.id))
    bench.mark_done("two.png")
    projects.remove_class(bench.lab, project_id=bench.project.id, class_id=third.id)

    path, _ = bench.export()

    assert mask_in(path, "masks/two.png")[90, 130] == third.id
    assert [(one["name"], one["removed"]) for one in manifest_of(path)["classes"]][2] == ("rim", True)


def test_the_table_of_points_has_one_line_per_point(bench: Bench) -> None:
    bench.click("two.png", (0, 139, 1), (95, 0, 0))
    path, _ = bench.export(formats=("points",))

    with zipfile.ZipFile(path) as file:
        rows = list(csv.DictReader(io.StringIO(file.read("points.csv").decode())))

    assert [(row["image"], int(row["row"]), int(row["col"]), row["class"]) for row in rows] == [
        ("one.png", 5, 5, "background"),
        ("one.png", 40, 60, "object"),
        ("two.png", 0, 139, "object"),
        ("two.png", 95, 0, "background"),
    ]
    assert {row["labeller"] for row in rows} == {"ann"}


def test_the_palette_holds_the_class_colours(bench: Bench) -> None:
    path, _ = bench.export()

    with zipfile.ZipFile(path) as file, Image.open(io.BytesIO(file.read("masks/one.png"))) as image:
        palette = image.getpalette() or []

    for label in bench.project.classes:
        shown = "#" + "".join(f"{value:02x}" for value in palette[3 * label.id : 3 * label.id + 3])
        assert shown == label.colour.lower()


def test_files_of_images_with_one_stem_stay_apart(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path / "out", ["day/a.png", "day/a.jpg", "night/a.png", "Night/A.png"])
    bench.click("day/a.png", (40, 60, 1), (5, 5, 0))

    path, last = bench.export(formats=("index",))

    with zipfile.ZipFile(path) as file:
        masks = [name for name in file.namelist() if name.startswith("masks/")]
    assert len({name.casefold() for name in masks}) == 4
    assert "masks/day/a_png.png" in masks
    assert last.n_predicted == 4
