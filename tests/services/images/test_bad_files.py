"""Whatever a file is, it comes in properly or gets one clear line, and the installation stays whole."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.import_sources import import_path
from fcnlab.services.images.importing import read_picture
from fcnlab.services.projects.projects import create_project, images
from fcnlab.settings import Settings
from fcnlab.storage.files.filestore import Folders
from tests.support.bad_files import BadFile, corpus
from tests.support.paths import ROOT

MEMORY_MOST_MB = 400


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Path]:
    """An installation that all bad files go to, each into a project of its own, and a folder for them."""
    folder = tmp_path_factory.mktemp("bad")
    settings = Settings(data_dir=folder / "data", device="cpu", demo=False, max_pixels=20_000_000)
    return open_lab(settings), folder


def whole_corpus() -> dict[str, BadFile]:
    with tempfile.TemporaryDirectory() as scratch:
        return {bad.name: bad for bad in corpus(Path(scratch))}


FILES = whole_corpus()


def lines_of(lab: Lab, path: Path, project: Project) -> tuple[int, list[str]]:
    """How many images came in, and what was said of the rest."""
    came, lines = 0, []
    try:
        for step in import_path(lab, path, project_id=project.id, allow_anywhere=True):
            if step.refused is None:
                came += 1
            else:
                lines.append(step.refused)
    except FcnlabError as refusal:
        lines.append(str(refusal))
    return came, lines


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> set[str]:
    """Of files, and of the folders that hold the tiles of a picture."""
    return {path.name for path in folder.iterdir()}


def expect_whole(folders: Folders, lab: Lab, contents: set[str], pictures: set[str]) -> None:
    assert {name.partition(".")[0] for name in files_in(folders.images)} == contents
    assert {name.partition(".")[0] for name in names_in(folders.shown)} == pictures
    assert {name.partition(".")[0] for name in names_in(folders.thumbs)} == pictures
    assert not any(name.endswith(".part") for name in files_in(lab.settings.data_dir))


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_comes_in_or_gets_one_clear_line(
    crowded: tuple[Lab, Path], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lab, folder = crowded
    bad = FILES[name]
    (folder / name).write_bytes(bad.data)
    project = create_project(lab, name=name)

    came, lines = lines_of(lab, folder / name, project)

    stored = images(lab, project_id=project.id)
    assert (came, len(lines)) == (bad.images, bad.lines), lines
    assert len(stored) == came
    assert all(len(line) < 400 and "\n" not in line and line.isprintable() for line in lines), lines
    assert capfd.readouterr().err == ""
    for one in stored:
        assert read_picture(lab, one).shape == (*one.hw, 3)
        assert one.name.isprintable()
        with Image.open(lab.folders.thumbs / f"{one.picture_id}.jpg") as thumbnail:
            thumbnail.load()


def test_the_installation_is_whole_after_all_of_them(crowded: tuple[Lab, Path]) -> None:
    lab, folder = crowded
    together = create_project(lab, name="together")
    for bad in FILES.values():
        (folder / bad.name).write_bytes(bad.data)
        lines_of(lab, folder / bad.name, together)

    stored = images(lab, project_id=together.id)

    assert len(FILES) > 90
    assert len(stored) > 20
    expect_whole(lab.folders, lab, {one.content_hash for one in stored}, {one.picture_id for one in stored})


def test_memory_stays_bounded_over_all_of_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.bad_files", str(tmp_path), "--import"],
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
        cwd=ROOT,
    )

    assert int(done.stdout) < MEMORY_MOST_MB
    assert len(done.stderr.splitlines()) > 90


def test_a_folder_called_like_an_image_is_a_folder(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "folder" / "x.png").mkdir(parents=True)
    project = create_project(lab, name="folders")

    came, lines = lines_of(lab, tmp_path / "folder", project)

    assert came == 0
    assert len(lines) == 1
    assert "no image" in lines[0]
