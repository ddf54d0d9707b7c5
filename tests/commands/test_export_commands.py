"""`fcnlab export` and `fcnlab predict`: formats, choices and inputs, from outside."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main
from fcnlab.lab import open_lab
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.settings import Settings
from tests.support.stored_bench import StoredBench, files_in

HW = (48, 72)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    return tmp_path / "data"


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def stored(data: Path, tmp_path: Path) -> None:
    lab = open_lab(Settings(data_dir=data, device="cpu", demo=False))
    StoredBench(lab, tmp_path / "out", ["a.png", "b/c.png", "d.png", "e.png"])
    lab.close()


def test_export_writes_what_the_options_say(stored: None, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    options = ["--done", "--classes", "rim", "--instances", "--min-size", "2", "--fill-holes", "--split", "0.5,0.5,0"]

    answer = json.loads(
        call("export", "-p", "stored", "-o", out, "-f", "coco", "-f", "index", *options, "--seed", 4, "--json").stdout
    )

    assert answer["stored"] == 4
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["formats"] == ["coco", "index"]
    assert manifest["options"] == {
        "done_only": True,
        "with_points": False,
        "class_ids": [2],
        "instances": True,
        "min_area": 2,
        "fill_holes": True,
        "border": 0,
        "split": {"shares": [0.5, 0.5, 0.0], "seed": 4, "by": "look"},
    }
    assert {name.split("/")[0] for name in files_in(out)} == {"coco", "masks", "manifest.json"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--classes", "moon"], "no class 'moon'"),
        (["--split", "0.7"], "two or three shares"),
        (["--split", "0.4,0.3,0.2,0.1"], "two or three shares"),
        (["--split", "70,20,20"], "between 0 and 1"),
        (["--split", "0.7,0.2,0.2"], "sum to"),
        (["--with-points"], "has points"),
    ],
)
def test_export_explains_what_it_cannot_do(stored: None, tmp_path: Path, options: list[str], words: str) -> None:
    said = call("export", "-p", "stored", "-o", tmp_path / "x", "--done", *options, code=1).stderr

    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def picture(seed: int) -> NDArray[np.uint8]:
    rows, cols = np.mgrid[: HW[0], : HW[1]]
    disc = (rows - 20) ** 2 + (cols - 30) ** 2 < 12**2
    noise = np.random.default_rng(seed).integers(0, 20, (*HW, 3))
    return (np.where(disc[..., None], (200, 90, 60), (40, 60, 80)) + noise).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    segmenter = PointSegmenter(["background", "disc"], device="cpu")
    segmenter.add_points(segmenter.add_image(picture(0)), rows=[20, 5, 44], cols=[30, 5, 66], class_ids=[1, 0, 0])
    segmenter.fit()
    path = tmp_path_factory.mktemp("model") / "disc.safetensors"
    segmenter.save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "day/a.png", "day/b.tif", ".hidden/c.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize(
    ("typed", "shares"), [("0.8,0.2", [0.8, 0.2, 0]), ("70,20,10", [0.7, 0.2, 0.1]), ("50,50", [0.5, 0.5, 0])]
)
def test_a_split_may_have_two_parts_or_percents(stored: None, tmp_path: Path, typed: str, shares: list[float]) -> None:
    call("export", "-p", "stored", "-o", tmp_path / "out", "-f", "index", "--split", typed)

    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["options"]["split"]["shares"] == shares


def test_an_export_is_no_archive_of_another_kind(stored: None, tmp_path: Path) -> None:
    said = call("export", "-p", "stored", "-o", tmp_path / "x.tar.gz", code=1).stderr

    assert ".zip" in said
    assert not (tmp_path / "x.tar.gz").exists()


def test_yolo_without_images_says_how_to_get_them(stored: None, tmp_path: Path) -> None:
    bare = call("export", "-p", "stored", "-o", tmp_path / "bare", "-f", "yolo")
    whole = call("export", "-p", "stored", "-o", tmp_path / "whole", "-f", "yolo", "-f", "images")

    assert "--format images" in bare.stderr
    assert "--format images" not in whole.stderr
    assert any(name.startswith("yolo/images/") for name in files_in(tmp_path / "whole"))


def test_predict_gives_each_page_of_a_stack_a_mask(data: Path, model: Path, tmp_path: Path) -> None:
    pages = [picture(seed) for seed in range(3)]
    tifffile.imwrite(tmp_path / "stack.tif", np.stack(pages), photometric="rgb")
    Image.fromarray(pages[1][:40]).save(tmp_path / "stack_002.tif")
    for number, page in enumerate(pages):
        Image.fromarray(page).save(tmp_path / f"page{number}.png")

    call("predict", "--model", model, "-o", tmp_path / "out", *sorted(tmp_path.glob("*.*if")))
    call("predict", "--model", model, "-o", tmp_path / "alone", *sorted(tmp_path.glob("page*.png")))

    assert set(files_in(tmp_path / "out")) == {f"stack_{name}.png" for name in ("001", "002", "003", "002_2")}
    for number in range(3):
        with (
            Image.open(tmp_path / "out" / f"stack_00{number + 1}.png") as of_stack,
            Image.open(tmp_path / "alone" / f"page{number}.png") as of_file,
        ):
            assert np.array_equal(np.asarray(of_stack), np.asarray(of_file))


def test_predict_says_what_a_zip_is_and_writes_nothing_without_a_mask(data: Path, model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("a.png", b"")

    said = call(
        "predict", "--model", model, "-o", tmp_path / "out", "-f", "index", tmp_path / "photos.zip", code=1
    ).stderr

    assert "zip archive: unpack it" in said
    assert not (tmp_path / "out").exists()


def test_predict_takes_a_pattern_and_writes_formats(data: Path, model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    formats = ["-f", "index", "-f", "coco", "-f", "probabilities", "-f", "measurements"]

    result = call(
        "predict", "--model", model, "--input", f"{photos}/**/*.[pt][ni][gf]", "-o", out, *formats, "--instances"
    )

    written = set(files_in(out))
    assert {"masks/a.png", "masks/day/a.png", "masks/day/b.png", "coco/annotations.json", "measurements.csv"} <= written
    assert {name for name in written if name.startswith("probabilities/disc/")} == {
        f"probabilities/disc/{name}.png" for name in ("a", "day/a", "day/b")
    }
    assert "images per second; 0 left out" in result.stderr
    assert str(out / "coco" / "annotations.json") in result.stdout.splitlines()
    coco = json.loads((out / "coco" / "annotations.json").read_text("utf-8"))
    assert [one["file_name"] for one in coco["images"]] == ["a.png", "day/a.png", "day/b.tif"]
    with Image.open(out / "masks" / "day" / "a.png") as image:
        mask = np.array(image)
    assert mask.shape == HW
    assert mask[20, 30] == 1
    assert mask[5, 5] == 0


def test_predict_shows_label_studio_pictures_that_browsers_cannot_open(
    data: Path, model: Path, photos: Path, tmp_path: Path
) -> None:
    call("predict", "--model", model, "-o", tmp_path / "out", "-f", "labelstudio", photos / "day" / "b.tif")

    (picture,) = (tmp_path / "out" / "label_studio" / "images").rglob("*.png")
    with Image.open(picture) as image:
        assert image.size == HW[::-1]


def test_predict_names_what_fails_and_finishes_the_rest(data: Path, model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "day" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "masks"

    result = call("predict", "--model", model, "--input", photos, "-o", out, "-f", "yolo", "--plain", code=1)

    assert "broken.png" in result.stderr
    assert "1 left out" in result.stderr
    assert {name for name in files_in(out) if name.endswith(".txt")} == {
        f"yolo/labels/{name}.txt" for name in ("a", "day/a", "day/b")
    }


def test_predict_without_a_format_writes_masks_beside_what_is_there(
    data: Path, model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "masks"
    out.mkdir()
    (out / "mine.txt").write_text("kept")

    call("predict", "--model", model, "-o", out, photos / "a.png", photos / "day" / "a.png")

    assert set(files_in(out)) == {"mine.txt", "a.png", "a_2.png"}


def test_predict_explains_inputs_that_name_nothing(data: Path, model: Path, photos: Path, tmp_path: Path) -> None:
    said = call("predict", "--model", model, "-o", tmp_path / "x", "--input", f"{photos}/*.gif", code=1).stderr

    assert "names no image file" in said
    assert "give images" in call("predict", "--model", model, "-o", tmp_path / "x", code=2).stderr
