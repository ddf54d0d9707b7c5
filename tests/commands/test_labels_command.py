"""`fcnlab labels` and `fcnlab convert`, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fcnlab.cli import main
from tests.support.label_imports import BOX, HW, labelme_file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two images, and labels of three."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    for seed, name in enumerate(("a", "b")):
        pixels = np.random.default_rng(seed).integers(0, 255, (*HW, 3), np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    for name in ("a", "b", "c"):
        labelme_file(tmp_path / "labels" / f"{name}.json", f"{name}.png", [("cell", BOX), ("dirt", BOX[:3])])
    call("import", "--project", "Cells", "--classes", "background,cell", tmp_path / "photos")
    return tmp_path


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result


def answer(*arguments: object, code: int = 0) -> Any:
    return json.loads(call(*arguments, "--json", code=code).stdout)


def test_labels_come_in_are_listed_and_go(folder: Path) -> None:
    project = ("--project", "Cells")

    found = answer("labels", "import", *project, "--points", 20, "--map", "dirt=", folder / "labels", code=1)

    assert found["format"] == "labelme"
    assert (found["stored"], found["replaced"], found["known"], found["points"]) == (2, 0, 0, 40)
    assert [one["name"] for one in found["left_out"]] == ["c.png"]
    assert found["left_out_classes"] == ["dirt"]
    again = answer("labels", "import", *project, "--points", 20, "--map", "dirt=", folder / "labels", code=1)
    assert (again["stored"], again["known"]) == (0, 2)
    listed = answer("labels", "list", *project, "--masks")
    assert listed["sources"] == [{"source": "labelme:labels", "images": 2, "points": 40}]
    assert answer("labels", "remove", *project, listed["masks"][0]["id"])["removed"] == 1
    assert answer("labels", "remove", *project, "labelme:labels")["removed"] == 1
    assert "No labels of experts yet" in call("labels", "list", *project).output


def test_a_class_that_is_left_out_is_an_exit_code(folder: Path) -> None:
    one = folder / "labels" / "a.json"

    found = answer("labels", "import", "--project", "Cells", one, code=1)

    assert (found["stored"], found["left_out"], found["left_out_classes"]) == (1, [], ["dirt"])
    answer("labels", "import", "--project", "Cells", "--map", "dirt=cell", one)


def test_labels_of_unknown_classes_are_refused_with_what_to_do(folder: Path) -> None:
    labelme_file(folder / "coin.json", "a.png", [("coin", BOX)])
    answer("labels", "import", "--project", "Cells", "--map", "coin=cell", folder / "coin.json")
    before = answer("labels", "list", "--project", "Cells", "--masks")

    said = call("labels", "import", "--project", "Cells", folder / "coin.json", code=1).stderr

    wanted = "Error: none of the classes coin is in the project: --map coin=..., or --add-classes\n"
    assert said.endswith(wanted)
    assert answer("labels", "list", "--project", "Cells", "--masks") == before


def test_what_is_wrong_is_one_line(folder: Path) -> None:
    (folder / "bad.json").write_text("{")

    for arguments in (
        ("labels", "import", "--project", "Cells", folder / "bad.json"),
        ("labels", "import", "--project", "Cells", folder / "nowhere"),
        ("labels", "import", "--project", "Nobody", folder / "labels"),
        ("labels", "import", "--project", "Cells", "--weight", "0", folder / "labels"),
        ("labels", "remove", "--project", "Cells", "coco:x.json"),
        ("convert", "--to", "coco", folder / "bad.json", folder / "out"),
    ):
        said = call(*arguments, code=1).stderr
        assert said.startswith("Error: ")
        assert said.count("\n") == 1
    call("labels", "import", "--project", "Cells", "--map", "dirt", folder / "labels", code=2)
    call("convert", "--to", "overlay", folder / "labels", folder / "out", code=2)


def test_labels_are_converted_without_a_project(folder: Path) -> None:
    found = answer("convert", "--to", "coco", "--to", "index", folder / "labels", folder / "out")

    assert (found["images"], found["without_ending"]) == (3, 0)
    written = json.loads((folder / "out" / "coco" / "annotations.json").read_text())
    assert [one["file_name"] for one in written["images"]] == ["a.png", "b.png", "c.png"]
    assert {one["name"] for one in written["categories"]} == {"cell", "dirt"}
    assert len(list((folder / "out" / "masks").glob("*.png"))) == 3
    said = call("convert", "--to", "coco", folder / "out" / "masks", folder / "again").stderr
    assert "3 images are named without an ending such as .png" in said
    assert "--images" in said


def test_marks_that_could_not_be_read_are_named_at_both_commands(folder: Path) -> None:
    labelme_file(folder / "in" / "a.json", "a.png", [("cell", BOX), ("", BOX[:3])])

    imported = call("labels", "import", "--project", "Cells", folder / "in", code=1)
    converted = answer("convert", "--to", "index", folder / "in", folder / "out", code=1)

    line = "the label of shapes[1] of a.json is '', its pixels are unknown"
    assert f"a.png: {line}" in imported.output
    assert converted["notes"] == [{"name": "a.png", "note": line}]
    assert converted["left_out"] == []
