"""`fcnlab demo`: files to follow a tutorial with, which the other commands read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from PIL import Image

from fcnlab.cli import main
from fcnlab.core.simulation import land
from fcnlab.core.simulation.land import LandSpec, draw_land
from fcnlab.services.counting.marked_files import marked_files
from fcnlab.services.projects import demo_files, demos


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the command writes, two images of each demo; a data folder beside it."""
    top = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_files, "DEMOS", tuple(replace(demo, n_images=2) for demo in demos.DEMOS))
        patch.setenv("FCNLAB_DATA_DIR", str(top / "data"))
        patch.setenv("FCNLAB_DEVICE", "cpu")
        call("demo", "--output", top / "files")
        yield top / "files"


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def answer(*arguments: object) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def test_labels_of_the_files_are_the_truth_of_the_images(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    truth = draw_land(LandSpec(), seed=1)
    names = ",".join(land.CLASSES)
    call("import", "--project", "Land", "--classes", names, "--background", "none", folder / "land")
    stored = answer("labels", "import", "--project", "Land", folder / "land_labels")
    assert (stored["stored"], stored["left_out"], stored["notes"]) == (2, [], [])
    call("labels", "take", "--project", "Land")

    call("export", "--project", "Land", "--done", "--output", out, "--format", "tiff")

    with rasterio.open(out / "tiff" / "land_02.tif") as mask, rasterio.open(folder / "land/land_02.tif") as of:
        assert (mask.read(1) == truth.classes).all()
        assert (of.read().transpose(1, 2, 0) == truth.rgb).all()
        assert (mask.crs, mask.transform) == (of.crs, of.transform)
        assert of.crs.to_epsg() == 32632


def test_neighbours_on_the_map_touch(folder: Path) -> None:
    with (
        rasterio.open(folder / "land" / "land_01.tif") as left,
        rasterio.open(folder / "land" / "land_02.tif") as right,
    ):
        assert left.bounds.right == right.bounds.left
        assert (left.bounds.top, left.bounds.bottom) == (right.bounds.top, right.bounds.bottom)


def test_nuclei_and_colonies_have_labels_that_are_read(folder: Path) -> None:
    call("import", "--project", "Cells", "--classes", "background,nucleus", folder / "cells")
    assert answer("labels", "import", "--project", "Cells", folder / "cells_labels")["stored"] == 2
    scene = demos.DEMOS[1].draw(0)
    assert (np.asarray(Image.open(folder / "counting" / "counting_01.png")) == scene.rgb).all()

    marked = marked_files([str(folder / "counting")], folder / "counting_labels", max_pixels=1_000_000)

    assert [(mark.row, mark.col) for mark in marked.files[0].marks] == [tuple(place) for place in scene.centres]


def test_files_that_are_there_are_not_written_over(folder: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file())

    refused = call("demo", "--output", folder, code=1)

    assert "has files already" in refused.output
    assert sorted(path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()) == before
