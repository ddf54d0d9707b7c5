"""A format is added by one new file: every list has it, and it is written, recognised, read and converted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from streamlit.testing.v1 import AppTest

import fcnlab
from fcnlab.cli import main
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.labels.label_import import label_formats
from fcnlab.storage import formats
from fcnlab.storage.formats.reading.detecting import detect
from fcnlab.storage.formats.registry import all_formats
from tests.support.stored_bench import StoredBench

TOY = """
import json
from functools import partial

import numpy as np

from fcnlab.storage.formats.format import SHAPES, FileClue, Format
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource
from fcnlab.storage.formats.writing import PerImageWriter, WholeFile


class Toy(PerImageWriter):
    def of_image(self, image):
        content = {"toy": image.name, "rows": image.mask.tolist()}
        yield WholeFile(f"toy/{image.place}.toy", json.dumps(content).encode())


def read_toy(path, options):
    files = sorted(path.rglob("*.toy")) if path.is_dir() else [path]

    def read():
        for file in files:
            content = json.loads(file.read_text())
            mask = np.array(content["rows"], np.uint8)
            yield LabelledImage(content["toy"], mask.shape, lambda hw, mask=mask: mask)

    return LabelSource((FileClass("background"), FileClass("thing"), FileClass("rim")), len(files), read)


FORMATS = (
    Format(
        "toy",
        "Toy",
        "rows of numbers",
        SHAPES,
        999,
        write=lambda _: Toy(),
        read=read_toy,
        read_title="toy files",
        clues=(FileClue((".toy",), rb'"toy"', holds="image"),),
    ),
)
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module of a format, put where the others are found."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY, "utf-8")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    all_formats.cache_clear()
    yield
    all_formats.cache_clear()
    sys.modules.pop("fcnlab.storage.formats.toy", None)


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_it_is_written_recognised_read_and_converted(lab: Lab, tmp_path: Path) -> None:
    bench = StoredBench(lab, tmp_path, ["a.png", "b.png"])
    folder, _ = bench.export("out", formats=("toy", "coco"))

    assert detect(folder / "toy").format.name == detect(folder / "toy" / "a.toy").format.name == "toy"
    with fcnlab.read_labels(folder / "toy") as labels:
        masks = dict(labels.masks)
    assert masks.keys() == bench.masks.keys()
    assert all(np.array_equal(masks[name], bench.masks[name]) for name in masks)
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["formats"] == ["coco", "toy"]

    call("convert", "--to", "index", folder / "toy", tmp_path / "index")
    call("convert", "--to", "toy", tmp_path / "index", tmp_path / "again")
    (file,) = (tmp_path / "again").rglob("a.toy")
    again = json.loads(file.read_text("utf-8"))
    assert np.array_equal(again["rows"], bench.masks["a.png"])


def test_commands_offer_it_and_python_writes_it(tmp_path: Path) -> None:
    for command in (["export"], ["predict"], ["convert"], ["labels", "import"]):
        assert "toy" in call(*command, "--help").output
    masks = [np.eye(3, dtype=np.uint8)]

    fcnlab.write_masks(["a.png"], masks, classes=["no", "yes"], formats="toy", to=tmp_path / "masks")

    assert json.loads((tmp_path / "masks" / "toy" / "a.toy").read_text("utf-8"))["rows"] == masks[0].tolist()
    with pytest.raises(ExportFailed, match="toy"):
        fcnlab.write_masks(["a.png"], masks, classes=["no", "yes"], formats="unheard-of", to=tmp_path / "masks")


def test_pages_offer_it(lab: Lab, tmp_path: Path) -> None:
    def page(project):  # type: ignore[no-untyped-def]  # its source runs elsewhere, without the imports of this module
        from fcnlab.services.export.plan import ExportSummary
        from fcnlab.web.panels.results.export_choices import choices

        choices(ExportSummary(1, 0, can_predict=True), project)

    shown = AppTest.from_function(page, args=(StoredBench(lab, tmp_path, ["a.png"]).project,), default_timeout=60).run()

    assert not shown.exception
    offered = {option for group in shown.button_group for option in group.options}
    assert "Toy" in offered
    assert label_formats()["toy"] == "toy files"
