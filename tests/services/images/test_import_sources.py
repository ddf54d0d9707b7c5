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

from fcnlab.domain.project import Project
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.import_sources import (
    allows_uris,
    import_folder,
    import_named,
    import_path,
    import_uploads,
    import_uri,
    import_zip,
)
from fcnlab.services.projects.projects import create_project, images
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


def test_the_images_of_an_archive_come_in_and_the_rest_is_named_unless_hidden(lab: Lab, project: Project) -> None:
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
        ("notes.txt", False),
        ("broken.jpg", False),
        ("d.png", False),
    ]
    assert [step.is_set_aside for step in steps] == [False, False, True, False, False]
    assert "no image file" in (steps[2].refused or "")
    assert "files.zip" in (steps[4].refused or "")
    assert [(step.done, step.total) for step in steps] == [(count, 5) for count in range(1, 6)]
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
        ("notes.txt", False),
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


PAIRS = {
    "plants/a.jpg": png(1),
    "plants/A_mask.png": png(2),
    "plants/b.png": png(3),
    "plants/b-label.tif": png(4),
    "plants/c_mask.png": png(5),
    "other/b_seg.png": png(6),
}
"""Two pictures with a mask beside each, and two files that are only called as if."""


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("door", ["folder", "zip", "uploads", "pattern"])
@pytest.mark.parametrize("with_masks", [False, True])
def test_a_mask_beside_its_picture_is_no_image_unless_somebody_says_so(
    lab: Lab, project: Project, tmp_path: Path, door: str, with_masks: bool
) -> None:
    folder = written(tmp_path / "in", PAIRS)
    options = {"project_id": project.id, "with_masks": with_masks}
    if door == "folder":
        steps = list(import_folder(lab, folder, allow_anywhere=True, **options))
    elif door == "zip":
        steps = list(import_zip(lab, packed(PAIRS), name="in.zip", **options))
    elif door == "uploads":
        steps = list(import_uploads(lab, [Sent(name, data) for name, data in PAIRS.items()], **options))
    else:
        steps = list(import_named(lab, f"{folder}/**/*.*", **options))

    aside = {PurePosixPath(step.name).name: step.refused for step in steps if step.is_set_aside}
    assert set(aside) == (set() if with_masks else {"A_mask.png", "b-label.tif"})
    assert len(images(lab, project_id=project.id)) == (6 if with_masks else 4)
    if not with_masks:
        assert "looks like the mask of a.jpg beside it" in str(aside["A_mask.png"])
        assert "--with-masks" in str(aside["A_mask.png"])


def test_files_of_other_kinds_are_named_by_every_door(lab: Lab, project: Project, tmp_path: Path) -> None:
    files = {"a.png": png(1), "notes.txt": b"hello", "sub/table.csv": b"1,2", "README": b"read me"}
    folder = written(tmp_path / "in", {**files, ".DS_Store": b"", "sub/.hidden.txt": b""})

    by_folder = list(import_folder(lab, folder, project_id=project.id, allow_anywhere=True))
    by_zip = list(import_zip(lab, packed(files), name="in.zip", project_id=project.id))
    by_upload = list(import_uploads(lab, [Sent(*one) for one in files.items()], project_id=project.id))

    for steps in (by_folder, by_zip, by_upload):
        refused = {step.name: step.refused or "" for step in steps if step.refused}
        assert set(refused) == {"notes.txt", "sub/table.csv", "README"}
        assert all("image" in reason for reason in refused.values())
    assert all(step.is_set_aside for step in (*by_folder, *by_zip) if step.refused)


def test_a_folder_without_an_image_says_what_it_holds(lab: Lab, project: Project, tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"notes.txt": b"hello"})

    with pytest.raises(ImportRefused, match=r"holds no image \(it holds notes.txt\)"):
        import_folder(lab, folder, project_id=project.id, allow_anywhere=True)


class Sent(io.BytesIO):
    """An upload, as Streamlit gives it."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name
