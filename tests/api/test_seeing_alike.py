"""A file is seen alike by import, by `predict` and by the service, whatever kind of numbers it holds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from fcnlab.api.service import make_service
from fcnlab.cli import main
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import Imaging, Stretch
from fcnlab.lab import Lab
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.services.images.imaging import set_imaging
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from tests.support.bars import HEIGHT, WIDTH, Site, scene
from tests.support.image_files import write_dicom

TOKEN = "a-token-that-nobody-guesses"


def odd_files(folder: Path) -> list[Path]:
    """A bar in whole numbers of 32 bits, in real numbers with and without a stated range, in a window, in channels."""
    folder.mkdir()
    bar = np.asarray(Image.open(io.BytesIO(scene(5))))[..., 0].astype(np.int32)
    shares = np.where(bar == bar[0, 0], np.nan, bar / 999).astype(np.float32)
    tags = [(340, "d", 1, -0.5, True), (341, "d", 1, 0.9, True)]
    window = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 150, "WindowWidth": 200}
    np.save(folder / "whole.npy", bar * 9000 - 1_000_000)
    np.save(folder / "channels.npy", np.stack([bar * share for share in (0.5, -1.0, 2.0, 0.1, 7.0)], axis=-1))
    tifffile.imwrite(folder / "real.tif", shares * 3, photometric="minisblack", metadata=None)
    tifffile.imwrite(folder / "stated.tif", shares, photometric="minisblack", extratags=tags, metadata=None)
    write_dicom(folder / "window.dcm", bar.astype(np.uint16), **window)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("imaging", [Imaging(), Imaging((1,), (Stretch(-5, 250),)), Imaging((3, 2, 1), (None,))])
def test_a_file_is_seen_alike_through_every_door(
    lab: Lab, tmp_path: Path, imaging: Imaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, files = Site(lab, 1), odd_files(tmp_path / "odd")
    site.click(0, per_class=6)
    list(set_imaging(lab, project_id=site.project.id, imaging=imaging))
    address = f"/api/v1/projects/{site.project.id}/predict"
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(lab.settings.data_dir))

    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        outside = [client.post(address, files={"file": (file.name, file.read_bytes())}) for file in files]
        named = [str(file) for file in files]
        told = CliRunner().invoke(main, ["predict", "-p", "bars", "-o", str(tmp_path / "out"), *named])
        steps = list(import_files(lab, [(file.name, file) for file in files], project_id=site.project.id))
        inside = [client.get(f"/api/v1/images/{step.image_id}/mask") for step in steps]

    assert told.exit_code == 0, told.output
    assert len({one.content for one in outside}) > 1  # or every picture would pass for any other
    assert [one.text for one in (*outside, *inside) if one.status_code != 200] == []
    for file, one, other in zip(files, outside, inside, strict=True):
        mask = pixels(one.content)
        assert mask.shape == (HEIGHT, WIDTH)
        assert one.content == other.content, file.name
        assert np.array_equal(pixels((tmp_path / "out" / f"{file.stem}.png").read_bytes()), mask), file.name


def test_the_first_guess_by_one_click_is_the_same_through_every_door(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(lab, 1)
    (name, content), (image_id,) = ("again.png", scene(0)), site.images
    point = Point(HEIGHT // 2, WIDTH // 2, 1)
    add_points(lab, [point], image_id=image_id, labeller="ann", source=PointSource.CLICK)
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(lab.settings.data_dir))
    segmenter = PointSegmenter([label.name for label in site.project.classes], device="cpu")
    known = segmenter.add_image(np.asarray(Image.open(io.BytesIO(content))))
    segmenter.add_points(known, [point.row], [point.col], [1])

    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        inside = client.get(f"/api/v1/images/{image_id}/mask")
    told = CliRunner().invoke(main, ["predict", "-p", "bars", "-o", str(tmp_path / "out"), str(tmp_path / name)])
    exported = CliRunner().invoke(main, ["export", "-p", "bars", "-o", str(tmp_path / "all"), "--format", "index"])

    assert (told.exit_code, exported.exit_code, inside.status_code) == (0, 0, 200), told.output + exported.output
    mask = pixels(inside.content)
    assert np.unique(mask).tolist() == [0, 1]
    assert np.array_equal(segmenter.fit().predict(known), mask)
    assert np.array_equal(pixels((tmp_path / "out" / name).read_bytes()), mask)
    (file,) = (tmp_path / "all" / "masks").iterdir()
    assert np.array_equal(pixels(file.read_bytes()), mask)
    manifest = json.loads((tmp_path / "all" / "manifest.json").read_text("utf-8"))
    assert manifest["is_first_guess"] is True


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.array(image)
