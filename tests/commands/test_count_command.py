"""`fcnlab count`, from outside: files with points in, a model out, counts of other files."""

from __future__ import annotations

import csv
import json
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

from fcnlab.cli import main
from fcnlab.commands import counting
from fcnlab.errors import Diverged
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.images.pictures import hash_of
from fcnlab.services.predict.predicted_files import InputFile
from fcnlab.services.projects.projects import create_project, projects
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.checkpoints import load_checkpoint
from tests.support.dots import HEIGHT, WIDTH, dot_places, dotted
from tests.support.dots_project import Dots

QUICK = ("--network", "unet", "--encoder", "", "--width", 4, "--epochs", 2, "--minutes", 0, "--learning-rate", 5e-3)


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def write_dots(folder: Path, numbers: range) -> tuple[Path, Path]:
    """Pictures of dots and their points; the third of each is empty."""
    images, points = folder / "images", folder / "points"
    images.mkdir(parents=True, exist_ok=True)
    points.mkdir(exist_ok=True)
    for number in numbers:
        n_dots = 0 if number % 10 == 2 else None
        Image.fromarray(dotted(number, n_dots)).save(images / f"f{number // 2}_{number}.png")
        places = [[int(col), int(row)] for row, col in dot_places(number, n_dots)]
        (points / f"f{number // 2}_{number}.json").write_text(json.dumps(places))
    return images, points


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    images, points = write_dots(folder, range(8))
    path = folder / "counter.safetensors"
    call(
        "count", "train", "--images", images, "--points", points, "--output", path,
        "--objective", "density", "--holdout", 0, *QUICK,
    )  # fmt: skip
    return path


def test_two_heads_are_trained_on_the_same_files_and_the_better_one_is_the_model(tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(10))
    output = tmp_path / "best.safetensors"
    arguments = (
        "--images",
        images,
        "--points",
        points,
        "--output",
        output,
        "--holdout",
        0.4,
        "--group-by",
        "f([0-9]+)_",
    )

    found = json.loads(call("count", "train", *arguments, "--json", *QUICK).stdout)

    other = {"density": "blobs", "blobs": "density"}[found["objective"]]
    assert output.is_file()
    assert (tmp_path / f"best-{other}.safetensors").is_file()
    specs = {
        name: load_checkpoint(path)[1]
        for name, path in ((found["objective"], output), (other, tmp_path / f"best-{other}.safetensors"))
    }
    known = {hash_of(InputFile(one.name, one), max_pixels=10_000): one.name for one in images.glob("*.png")}
    held = [[known[one] for one in spec["calibrated_images"]] for spec in specs.values()]
    assert held[0] == held[1]
    assert len(held[0]) == found["score"]["n_images"] == 4
    assert {known[one] for one in specs["blobs"]["learned_images"]} == set(known.values()) - set(held[0])
    assert specs[found["objective"]]["score"]["mae"] == min(spec["score"]["mae"] for spec in specs.values())
    groups = {name.split("_")[0] for name in held[0]}
    assert len(groups) == 2


def test_counts_are_a_line_per_image_and_density_maps_sum_to_them(model: Path, tmp_path: Path) -> None:
    images, _ = write_dots(tmp_path, range(20, 24))
    (images / "broken.png").write_bytes(b"no image")

    result = call(
        "count", "predict", "--model", model, "--input", f"{images}/*", "--output", tmp_path / "counts.csv",
        "--objects", tmp_path / "objects.csv", "--coco", tmp_path / "coco.json", "--density", tmp_path / "density",
        code=1,
    )  # fmt: skip

    assert "Left out broken.png" in result.stderr
    with (tmp_path / "counts.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["image"] for line in lines] == sorted(one.name for one in images.glob("f*.png"))
    assert {"image", "class", "count", "low", "high"} <= set(lines[0])
    assert all(line["class"] == "object" for line in lines)
    for line in lines:
        density = tifffile.imread(tmp_path / "density" / f"{Path(line['image']).stem}.tif")
        assert density.dtype == np.float32
        assert density.shape == (HEIGHT, WIDTH)
        assert max(0.0, float(density.sum())) == pytest.approx(float(line["count"]), abs=0.02)
    with (tmp_path / "objects.csv").open() as file:
        n_objects = sum(1 for _ in csv.DictReader(file))
    assert len(json.loads((tmp_path / "coco.json").read_text())["annotations"]) == n_objects


def test_a_counter_is_not_evaluated_on_images_that_it_learned_from(model: Path, tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(6, 12))
    given = ("count", "evaluate", "--model", model, "--images", images, "--points", points, "--json")

    result = call(*given)
    with_known = json.loads(call(*given, "--known-images").stdout)

    assert "Left out 2 images" in result.stderr
    found = json.loads(result.stdout)
    assert found["n_images"] == 4
    assert with_known["n_images"] == 6
    assert found["radius"] == pytest.approx(with_known["radius"])
    assert len(found["game"]) == 4


def test_only_known_images_are_refused(model: Path, tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(4))

    result = call("count", "evaluate", "--model", model, "--images", images, "--points", points, code=1)

    assert "learned from all of these images" in result.output


def test_points_of_another_name_are_those_of_the_only_class(model: Path, tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(40, 42))
    table = tmp_path / "cells.csv"
    rows = ["image,x,y,class"]
    for file in sorted(points.glob("*.json")):
        rows += [f"{file.stem}.png,{x},{y},cell" for x, y in json.loads(file.read_text())]
    table.write_text("\n".join(rows))

    found = json.loads(
        call("count", "evaluate", "--model", model, "--images", images, "--points", table, "--json").stdout
    )

    assert found["n_objects"] == len(rows) - 1


def test_what_cannot_be_learned_from_is_one_line(model: Path, tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(2))
    away = call("count", "train", "--images", images, "--points", tmp_path / "none", "-o", tmp_path / "m", code=1)
    (points / "f0_0.json").write_text("[[500, 3]]")
    outside = call("count", "train", "--images", images, "--points", points, "-o", tmp_path / "m", code=1)
    masks = call("count", "predict", "--model", points / "f0_0.json", "-i", images, "-o", tmp_path / "c.csv", code=1)

    assert "name a folder of point files" in away.output
    assert "lies outside the 72 x 48 pixels" in outside.output
    assert "f0_0.json" in masks.output
    assert not (tmp_path / "c.csv").exists()
    assert model.is_file()


def test_a_project_learns_to_count_and_uses_the_better_network(tmp_path: Path) -> None:
    lab = open_lab(Settings(data_dir=tmp_path / "data", device="cpu", demo=False))
    dots = Dots(lab, complete=6, begun=1)
    quick = ("--network", "unet", "--encoder", "", "--width", 4, "--epochs", 1, "--minutes", 0, "--holdout", 0.3)

    found = json.loads(call("count", "train", "--project", "dots", "--json", *quick).stdout)

    assert [one["training"]["training"]["objective"] for one in found] == ["density", "blobs"]
    errors = {one["model"]["id"]: one["model"]["score"]["mae"] for one in found}
    used = next(one.model_id for one in projects(lab) if one.id == dots.project.id)
    assert errors[used] == min(errors.values())
    lab.close()


def test_files_and_a_project_are_not_mixed(tmp_path: Path) -> None:
    result = call("count", "train", "--project", "dots", "--output", tmp_path / "m", code=2)

    assert "give --project, or --images" in result.output


@pytest.mark.parametrize("radius", ["nan", "inf", "0"])
def test_a_radius_is_a_number_of_pixels(model: Path, tmp_path: Path, radius: str) -> None:
    images, points = write_dots(tmp_path, range(40, 42))

    result = call(
        "count", "evaluate", "--model", model, "--images", images, "--points", points, "--radius", radius, code=1
    )

    assert f"radius {radius} must be" in result.output


def test_images_without_points_are_named_when_a_counter_is_evaluated(model: Path, tmp_path: Path) -> None:
    images, points = write_dots(tmp_path, range(40, 42))
    (points / "f20_41.json").unlink()

    result = call("count", "evaluate", "--model", model, "--images", images, "--points", points)

    assert "Left out 1 images without points, f20_41.png first" in result.stderr


def test_one_point_file_is_never_taken_for_two_images(tmp_path: Path) -> None:
    images, points = write_dots(tmp_path / "one", range(2))
    other, _ = write_dots(tmp_path / "two", range(2))
    given = ("count", "train", "--points", points, "--output", tmp_path / "m", *QUICK)

    below = call(*given, "--images", tmp_path, code=1)
    twice = call(*given, "--images", images, "--images", other, code=1)

    assert "f0_0.json would be the points of one/images/f0_0.png and of two/images/f0_0.png" in below.output
    assert "two images called f0_0.png" in twice.output


def train_best(folder: Path, output: Path, *, code: int = 0) -> Result:
    images, points = write_dots(folder, range(8))
    given = ("count", "train", "--images", images, "--points", points, "--holdout", 0.4, *QUICK)
    return call(*given, "--output", output, code=code)


def fails_second(monkeypatch: pytest.MonkeyPatch, failure: BaseException, *, number: int = 2) -> None:
    """Let one of the trainings end with a failure."""
    real, calls = counting._trained, []

    def trained(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == number:
            raise failure
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(counting, "_trained", trained)


def test_a_training_that_is_interrupted_in_the_second_network_keeps_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_second(monkeypatch, KeyboardInterrupt())

    result = train_best(tmp_path, tmp_path / "m.safetensors", code=130)

    assert "blobs is not finished" in result.stderr
    assert load_checkpoint(tmp_path / "m.safetensors")[1]["training"]["objective"] == "density"
    assert not (tmp_path / "m-blobs.safetensors").exists()


@pytest.mark.parametrize(("number", "left"), [(1, "blobs"), (2, "density")])
def test_a_network_that_diverges_leaves_the_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, left: str
) -> None:
    fails_second(monkeypatch, Diverged("no finite numbers"), number=number)

    result = train_best(tmp_path, tmp_path / "m.safetensors")

    assert "no finite numbers" in result.stderr
    assert load_checkpoint(tmp_path / "m.safetensors")[1]["training"]["objective"] == left


def test_an_output_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_second(monkeypatch, AssertionError("trained"), number=1)
    (tmp_path / "file").write_text("no folder")

    result = train_best(tmp_path, tmp_path / "file" / "m.safetensors", code=1)

    assert "m.safetensors cannot be written" in result.output
    assert len(result.output.strip().splitlines()[-1]) < 300


def test_images_that_calibrated_a_counter_are_not_scored_and_are_named_so(tmp_path: Path) -> None:
    train_best(tmp_path, tmp_path / "m.safetensors")
    images, points = write_dots(tmp_path, range(10))
    model = tmp_path / "m.safetensors"

    found = call("count", "evaluate", "--model", model, "--images", images, "--points", points, "--json")
    call("count", "predict", "--model", model, "--input", images, "--output", tmp_path / "counts.csv")

    assert json.loads(found.stdout)["n_images"] == 2
    with (tmp_path / "counts.csv").open() as file:
        words = [line["learned_from"] for line in csv.DictReader(file)]
    assert words.count("calibrated") == load_checkpoint(model)[1]["score"]["n_images"]
    assert words.count("no") == 2
    assert words.count("yes") == len(words) - 2 - words.count("calibrated")


def test_two_tables_are_never_written_to_one_file(model: Path, tmp_path: Path) -> None:
    images, _ = write_dots(tmp_path, range(2))

    result = call(
        "count", "predict", "--model", model, "-i", images, "-o", tmp_path / "c.csv",
        "--objects", tmp_path / "images" / ".." / "c.csv", code=1,
    )  # fmt: skip

    assert "would hold two tables" in result.output
    assert not (tmp_path / "c.csv").exists()


def test_a_page_of_a_stack_is_known_by_the_hash_that_a_project_gives_it(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 255, (3, 40, 56)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    lab = open_lab(Settings(data_dir=tmp_path / "data", device="cpu", demo=False))
    project = create_project(lab, name="stacks")
    path = tmp_path / "stack.tif"
    deque(import_files(lab, [("stack.tif", path)], project_id=project.id), maxlen=0)

    hashes = [hash_of(InputFile(f"stack_{page}.tif", path, page), max_pixels=10_000) for page in range(3)]

    with reading(lab.sessions) as session:
        assert hashes == [one.content_hash for one in repository_images.images(session, project_id=project.id)]
    lab.close()
