"""Zip archives and single paths as sources of images."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import fsspec
import numpy as np
import pytest
from PIL import Image

from fcnlab.domain import Project
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab, open_lab
from fcnlab.services.import_sources import allows_uris, import_named, import_path, import_uri, import_zip
from fcnlab.services.projects import create_project, images
from fcnlab.settings import Settings


@pytest.fixture
def project(lab: Lab) -> Project:
    return create_project(lab, name="cells")


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 31, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer


def test_the_images_of_an_archive_come_in_and_the_rest_is_named_or_passed_over(lab: Lab, project: Project) -> None:
    files = {
        "b/2.png": png(2),
        "a.PNG": png(1),
        "notes.txt": b"hello",
        ".hidden/c.png": png(3),
        "__MACOSX/._a.png": b"",
        "../d.png": png(4),
        "broken.jpg": b"hello",
        "x.png/": b"",
    }

    steps = list(import_zip(lab, packed(files), name="files.zip", project_id=project.id))

    assert [(step.name, step.refused is None) for step in steps] == [
        ("b/2.png", True),
        ("a.PNG", True),
        ("broken.jpg", False),
        ("d.png", False),
    ]
    assert "files.zip" in (steps[3].refused or "")
    assert [(step.done, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(images(lab, project_id=project.id)) == 2
    assert [path.name for path in lab.folders.images.rglob("*.part")] == []


def test_an_archive_without_images_or_no_archive_at_all_is_explained(lab: Lab, project: Project) -> None:
    with pytest.raises(ImportRefused, match="no image"):
        import_zip(lab, packed({"notes.txt": b"hello"}), name="files.zip", project_id=project.id)
    with pytest.raises(ImportRefused, match="not a zip file"):
        import_zip(lab, io.BytesIO(b"hello"), name="files.zip", project_id=project.id)


def test_an_entry_that_is_damaged_is_named_and_nothing_of_it_stays(lab: Lab, project: Project) -> None:
    data = bytearray(packed({"a.png": png(1), "b.png": png(2)}).getvalue())
    data[100] ^= 0xFF

    steps = list(import_zip(lab, io.BytesIO(data), name="files.zip", project_id=project.id))

    assert [step.refused is None for step in steps] == [False, True]
    assert "damaged inside files.zip" in (steps[0].refused or "")
    assert [path.suffix for path in lab.folders.images.rglob("*") if path.is_file()] == [".png"]


def test_a_path_is_a_file_a_folder_or_an_archive(lab: Lab, project: Project, tmp_path: Path) -> None:
    (tmp_path / "folder" / "x.png").mkdir(parents=True)
    (tmp_path / "folder" / "x.png" / "a.png").write_bytes(png(1))
    (tmp_path / "b.png").write_bytes(png(2))
    (tmp_path / "c.zip").write_bytes(packed({"c.png": png(3)}).getvalue())

    for name in ("folder", "b.png", "c.zip"):
        list(import_path(lab, tmp_path / name, project_id=project.id, allow_anywhere=True))

    assert [one.name for one in images(lab, project_id=project.id)] == ["x.png/a.png", "b.png", "c.png"]


def test_a_path_outside_the_allowed_folders_is_refused(
    settings: Settings, lab: Lab, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "c.zip").write_bytes(packed({"c.png": png(3)}).getvalue())
    (tmp_path / "roots").mkdir()
    rooted = open_lab(settings.model_copy(update={"import_roots": (tmp_path / "roots",)}))

    with pytest.raises(ImportRefused, match="FCNLAB_IMPORT_ROOTS"):
        import_path(rooted, tmp_path / "c.zip", project_id=project.id)
    rooted.close()


@pytest.fixture
def remote(settings: Settings, project: Project) -> Iterator[Lab]:
    """The installation, where files in memory may be read."""
    lab = open_lab(settings.model_copy(update={"import_schemes": ("memory",), "import_max_mb": 1}))
    memory = fsspec.filesystem("memory")
    memory.pipe("/photos/a.png", png(1))
    memory.pipe("/photos/b.png", png(2))
    memory.pipe("/photos/notes.txt", b"hello")
    memory.pipe("/photos/c.zip", packed({"c.png": png(3), "../d.png": png(4)}).getvalue())
    memory.pipe("/large.png", bytes(2_000_000))
    yield lab
    memory.rm("/photos", recursive=True)
    memory.rm("/large.png")
    lab.close()


def test_an_address_is_an_image_an_archive_or_a_pattern(remote: Lab, project: Project) -> None:
    steps = [
        (step.name, step.refused is None)
        for uri in ("memory:///photos/a.png", "memory:///photos/c.zip", "memory:///photos/*")
        for step in import_uri(remote, uri, project_id=project.id)
    ]

    assert steps == [
        ("a.png", True),
        ("c.png", True),
        ("d.png", False),
        ("a.png", True),
        ("b.png", True),
        ("c.png", True),
        ("d.png", False),
    ]
    assert len(images(remote, project_id=project.id)) == 3
    assert [path.name for path in remote.folders.images.rglob("*.part")] == []


def test_an_address_that_is_too_large_or_missing_is_named(remote: Lab, project: Project) -> None:
    (large,) = import_uri(remote, "memory:///large.png", project_id=project.id)
    (missing,) = import_uri(remote, "memory:///missing.png", project_id=project.id)

    assert "1 MB allowed" in (large.refused or "")
    assert "cannot be read" in (missing.refused or "")
    assert [path.name for path in remote.folders.images.rglob("*.part")] == []


def test_no_address_is_read_unless_it_is_allowed(lab: Lab, project: Project) -> None:
    assert not allows_uris(lab)
    for uri in ("https://example.org/a.png", "file:///etc/passwd", "memory://a.png"):
        with pytest.raises(ImportRefused, match="FCNLAB_IMPORT_SCHEMES"):
            import_named(lab, uri, project_id=project.id)


def test_a_pattern_stands_for_files(lab: Lab, project: Project, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for seed, name in enumerate(["b.png", "deep/a.png", "deep/c.jpg", "[odd].png"]):
        (tmp_path / name).write_bytes(png(seed))

    steps = list(import_named(lab, f"{tmp_path}/**/*.png", project_id=project.id))
    odd = list(import_named(lab, f"{tmp_path}/[odd].png", project_id=project.id))

    assert [PurePosixPath(step.name).name for step in steps] == ["[odd].png", "b.png", "a.png"]
    assert odd[0].duplicate
    with pytest.raises(ImportRefused, match="no file"):
        import_named(lab, f"{tmp_path}/*.webp", project_id=project.id)
