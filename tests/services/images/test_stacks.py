"""Stacks: every page becomes an image of its own, in a file that its pixels alone decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fcnlab.domain.images import PixelSize
from fcnlab.domain.project import Project
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files, name_of_page, read_picture
from fcnlab.services.projects.projects import create_project, image, images

HW = (21, 34)
PAGES = np.random.default_rng(3).integers(0, 60_000, (4, *HW), dtype=np.uint16)


@pytest.fixture
def project(lab: Lab) -> Project:
    return create_project(lab, name="films")


def stack(path: Path, pages: np.ndarray = PAGES) -> Path:
    if path.suffix == ".npy":
        np.save(path, pages)
    else:
        tifffile.imwrite(
            path, pages, photometric="minisblack", compression="lzw", resolution=(1e4, 1e4), resolutionunit=3
        )
    return path


@pytest.mark.parametrize("kind", ["tif", "npy"])
def test_every_page_of_a_stack_becomes_an_image(lab: Lab, project: Project, tmp_path: Path, kind: str) -> None:
    path = stack(tmp_path / f"film.{kind}")

    steps = list(import_files(lab, [(f"day/{path.name}", path)], project_id=project.id))

    assert [step.name for step in steps] == [f"day/film_00{number}.tif" for number in (1, 2, 3, 4)]
    found = [image(lab, image_id=step.image_id) for step in steps if step.image_id is not None]
    for page, one in zip(PAGES, found, strict=True):
        original = lab.folders.images / one.content_hash[:2] / f"{one.content_hash}.tif"
        assert np.array_equal(tifffile.imread(original), page)
        assert (one.hw, one.dtype, one.channels) == (HW, "uint16", 1)
        assert read_picture(lab, one).shape == (*HW, 3)
        assert one.pixel_size == (PixelSize(1, 1, "µm") if kind == "tif" else None)
    assert len([path for path in lab.folders.images.rglob("*") if path.is_file()]) == 4


def test_a_page_is_known_again_and_from_a_stack_of_another_kind(lab: Lab, project: Project, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PAGES)
    np.save(tmp_path / "b.npy", PAGES[1:3])
    list(import_files(lab, [("a.npy", tmp_path / "a.npy")], project_id=project.id))

    steps = list(import_files(lab, [("b.npy", tmp_path / "b.npy")], project_id=project.id))

    assert [(step.duplicate, step.name) for step in steps] == [(True, "a_002.tif"), (True, "a_003.tif")]
    assert len(images(lab, project_id=project.id)) == 4


def test_a_page_looks_as_it_did_when_it_was_imported(lab: Lab, project: Project, tmp_path: Path) -> None:
    pages = np.random.default_rng(1).normal(0, 9, (3, *HW, 6)).astype(np.float32)
    np.save(tmp_path / "a.npy", pages)
    steps = list(import_files(lab, [("a.npy", tmp_path / "a.npy")], project_id=project.id))
    one = image(lab, image_id=steps[1].image_id or 0)

    shown = lab.folders.shown / f"{one.picture_id}.png"

    assert one.imaging is not None
    assert np.array_equal(
        tifffile.imread(lab.folders.images / one.content_hash[:2] / f"{one.content_hash}.tif"), pages[1]
    )
    assert np.array_equal(read_picture(lab, one), read_png(shown))


def read_png(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as shown:
        return np.asarray(shown)


def test_a_page_that_cannot_be_read_is_named_and_the_others_go_on(lab: Lab, project: Project, tmp_path: Path) -> None:
    pages = np.ones((3, *HW), np.float32)
    pages[1] = np.nan
    np.save(tmp_path / "a.npy", pages + np.arange(3)[:, None, None])

    steps = list(import_files(lab, [("a.npy", tmp_path / "a.npy")], project_id=project.id))

    assert [step.refused is None for step in steps] == [True, False, True]
    assert steps[1].refused is not None
    assert steps[1].refused.startswith("a_002.tif: ")
    assert len(images(lab, project_id=project.id)) == 2


def test_pages_are_read_one_by_one(lab: Lab, project: Project, tmp_path: Path) -> None:
    steps = import_files(lab, [("a.tif", stack(tmp_path / "a.tif"))], project_id=project.id)

    next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]

    assert [one.name for one in images(lab, project_id=project.id)] == ["a_001.tif", "a_002.tif", "a_003.tif"]
    assert [path.name for path in lab.folders.images.rglob("*.part")] == []


def test_long_stacks_have_names_that_sort(lab: Lab) -> None:
    assert name_of_page("a.ome.tif", 8, 1200) == "a_0009.tif"
    assert name_of_page("b/.npy", 8, 12) == "b/.npy_009.tif"
