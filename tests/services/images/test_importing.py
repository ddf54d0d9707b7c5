"""Laws of importing: nothing twice, nothing half, nothing silently."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy.orm import Session

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.errors import ImportRefused, UnknownProject
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.import_sources import import_folder
from fcnlab.services.images.importing import (
    ImportProgress,
    clean_file_name,
    import_files,
    make_previews,
    read_picture,
)
from fcnlab.services.projects.projects import create_project, image, images
from fcnlab.settings import Settings
from fcnlab.storage.database.engine import Sessions, writing


def png(seed: int, *, hw: tuple[int, int] = (30, 50), **options: object) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*hw, 3), dtype=np.uint8)
    return encoded(pixels, format="PNG", **options)


def encoded(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.fixture
def project(lab: Lab) -> Project:
    return create_project(lab, name="cells")


def imported(lab: Lab, project: Project, name: str, data: bytes) -> ImageInfo:
    (step,) = import_files(lab, [(name, data)], project_id=project.id)
    assert step.image_id is not None, step.refused
    return image(lab, image_id=step.image_id)


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_an_imported_image_has_its_original_its_picture_and_its_thumbnail(lab: Lab, project: Project) -> None:
    data = png(1)

    found = imported(lab, project, "a.png", data)

    digest = hashlib.sha256(data).hexdigest()
    assert (found.name, found.content_hash, found.hw) == ("a.png", digest, (30, 50))
    assert (found.dtype, found.channels, found.turned, found.stretch) == ("uint8", 3, False, None)
    assert (lab.folders.images / digest[:2] / f"{digest}.png").read_bytes() == data
    assert files_in(lab.folders.shown) == {f"{digest}.png"}
    with Image.open(lab.folders.thumbs / f"{digest}.jpg") as thumbnail:
        assert thumbnail.size == (50, 30)


def test_a_turned_photograph_is_shown_upright(lab: Lab, project: Project) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 300, 3), np.uint8)
    pixels[:, :100] = 255

    found = imported(lab, project, "a.jpg", encoded(pixels, format="JPEG", exif=exif))

    assert (found.hw, found.turned) == ((300, 40), True)
    with Image.open(lab.folders.shown / f"{found.content_hash}.jpg") as shown:
        assert shown.size == (40, 300)
        assert shown.getpixel((20, 20)) == (255, 255, 255)
        assert shown.getexif().get(0x0112, 1) == 1
    with Image.open(lab.folders.thumbs / f"{found.content_hash}.jpg") as thumbnail:
        assert thumbnail.size == (21, 160)
    assert read_picture(lab, found).shape == (300, 40, 3)


def test_a_16_bit_image_records_its_stretch_and_reads_as_it_is_shown(lab: Lab, project: Project) -> None:
    pixels = np.random.default_rng(0).integers(1000, 3000, (40, 60), dtype=np.uint16)

    found = imported(lab, project, "a.tif", encoded(pixels, format="TIFF"))

    assert (found.dtype, found.channels) == ("uint16", 1)
    assert found.stretch is not None
    assert 1000 <= found.stretch.low < 1100 < 2900 < found.stretch.high <= 3000
    with Image.open(lab.folders.shown / f"{found.content_hash}.png") as shown:
        assert np.array_equal(np.asarray(shown), read_picture(lab, found))


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(lab: Lab, project: Project) -> None:
    files = [("a.png", png(1)), ("notes.txt", b"hello"), ("half.png", png(2)[:900]), ("b.png", png(3))]

    steps = list(import_files(lab, files, project_id=project.id))

    assert [(step.done, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [step.refused is None for step in steps] == [True, False, False, True]
    assert all(step.name in (step.refused or step.name) for step in steps)
    assert [found.name for found in images(lab, project_id=project.id)] == ["a.png", "b.png"]
    assert len(files_in(lab.folders.images)) == 2


def test_the_same_content_is_stored_once_whatever_it_is_called(lab: Lab, project: Project) -> None:
    first = imported(lab, project, "a.png", png(1))

    steps = list(import_files(lab, [("a.png", png(1)), ("b.png", png(1))], project_id=project.id))

    assert [(step.image_id, step.duplicate, step.name) for step in steps] == [(first.id, True, "a.png")] * 2
    assert len(images(lab, project_id=project.id)) == 1


def test_two_contents_of_one_name_are_told_apart(lab: Lab, project: Project) -> None:
    names = [imported(lab, project, "day/a.png", png(seed)).name for seed in range(3)]

    assert names == ["day/a.png", "day/a (2).png", "day/a (3).png"]


def test_one_content_may_be_in_two_projects(lab: Lab, project: Project) -> None:
    second = create_project(lab, name="more cells")
    imported(lab, project, "a.png", png(1))

    imported(lab, second, "b.png", png(1))

    assert len(files_in(lab.folders.images)) == 1
    assert len(images(lab, project_id=second.id)) == 1


def test_an_import_that_stops_keeps_what_it_did_and_leaves_nothing_half(lab: Lab, project: Project) -> None:
    steps = import_files(lab, [(f"{seed}.png", png(seed)) for seed in range(5)], project_id=project.id)

    next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]

    stored = images(lab, project_id=project.id)
    assert [one.name for one in stored] == ["0.png", "1.png", "2.png"]  # the second batch has two
    assert len(files_in(lab.folders.images)) == 3
    assert all(not name.endswith(".part") for name in files_in(lab.folders.images.parent))


def test_many_images_are_stored_in_order_each_once_and_in_few_transactions(
    lab: Lab, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = 0

    def counted(sessions: Sessions) -> AbstractContextManager[Session]:
        nonlocal transactions
        transactions += 1
        return writing(sessions)

    monkeypatch.setattr("fcnlab.services.images.import_batches.writing", counted)
    files = [(f"{number}.png", png(number % 60)) for number in range(80)]

    steps = list(import_files(lab, files, project_id=project.id))

    assert [step.duplicate for step in steps] == [False] * 60 + [True] * 20
    assert [step.done for step in steps] == list(range(1, 81))
    assert [one.name for one in images(lab, project_id=project.id)] == [f"{number}.png" for number in range(60)]
    assert transactions <= 8
    assert len(files_in(lab.folders.images)) == len(files_in(lab.folders.thumbs)) == 60


def test_an_import_that_fails_for_want_of_a_disk_leaves_nothing_half(
    lab: Lab, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> ImageInfo:
        raise OSError(28, "No space left on device")

    list(import_files(lab, [("a.png", png(1))], project_id=project.id))
    monkeypatch.setattr("fcnlab.storage.database.repository_images.add_image", full)

    with pytest.raises(OSError, match="No space"):
        list(import_files(lab, [(f"{seed}.png", png(seed)) for seed in range(2, 6)], project_id=project.id))

    assert [one.name for one in images(lab, project_id=project.id)] == ["a.png"]
    assert all(not name.endswith(".part") for name in files_in(lab.folders.images.parent))


def test_a_stream_of_files_is_imported_one_by_one(lab: Lab, project: Project) -> None:
    opened = 0

    def stream() -> Iterator[tuple[str, bytes]]:
        nonlocal opened
        for seed in range(3):
            opened += 1
            yield f"{seed}.png", png(seed)

    steps = import_files(lab, stream(), project_id=project.id)
    first = next(steps)

    assert (first.total, opened) == (None, 1)


def test_an_image_larger_than_allowed_is_refused(lab: Lab, settings: Settings, project: Project) -> None:
    small = open_lab(settings.model_copy(update={"max_pixels": 1499}))

    (step,) = import_files(small, [("a.png", png(1))], project_id=project.id)

    assert step.refused is not None
    assert "a.png" in step.refused
    small.close()


def test_a_missing_project_is_named_before_anything_is_read(lab: Lab) -> None:
    with pytest.raises(UnknownProject):
        import_files(lab, [("a.png", png(1))], project_id=5)


def test_what_browsers_show_can_be_made_again(lab: Lab, project: Project) -> None:
    found = imported(lab, project, "a.png", png(1))
    before = {name: (lab.folders.images.parent / name).read_bytes() for name in previews(lab)}
    for name in before:
        (lab.folders.images.parent / name).unlink()

    make_previews(lab, found)

    assert {name: (lab.folders.images.parent / name).read_bytes() for name in previews(lab)} == before


def previews(lab: Lab) -> set[str]:
    return {name for name in files_in(lab.folders.images.parent) if name.startswith(("shown", "thumbs"))}


def test_an_original_that_is_gone_is_explained(lab: Lab, project: Project) -> None:
    found = imported(lab, project, "a.png", png(1))
    for path in lab.folders.images.rglob("*.png"):
        path.unlink()

    with pytest.raises(ImportRefused, match="backup"):
        read_picture(lab, found)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a.png", "a.png"),
        ("day 1/a.png", "day 1/a.png"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\ann\\a.png", "C/Users/ann/a.png"),
        ("a\0b\n.png", "ab.png"),
        ("a/../../b.png", "a/b.png"),
        ("ünï/日本.png", "ünï/日本.png"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("\ud800", "unnamed"),
    ],
)
def test_a_name_never_leads_out_of_a_folder(raw: str, clean: str) -> None:
    assert clean_file_name(raw) == clean


def test_a_long_name_keeps_its_ending() -> None:
    assert clean_file_name("x" * 500 + ".png").endswith("x.png")
    assert len(clean_file_name("x" * 500 + ".png")) == 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for seed, name in enumerate(["z.png", "b/y.PNG", "a.png", ".hidden/c.png", "b/._y.png"]):
        (folder / name).write_bytes(png(seed))
    (folder / "notes.txt").write_text("hello")
    (folder / "broken.jpg").write_text("hello")
    return folder


def run_folder(lab: Lab, folder: Path, project: Project, **options: bool) -> list[ImportProgress]:
    return list(import_folder(lab, folder, project_id=project.id, **options))


def with_roots(settings: Settings, *roots: Path) -> Lab:
    return open_lab(settings.model_copy(update={"import_roots": roots}))


def test_a_folder_is_imported_in_order_of_the_paths_inside_it(
    settings: Settings, lab: Lab, project: Project, folder: Path
) -> None:
    rooted = with_roots(settings, folder.parent)

    steps = run_folder(rooted, folder, project)

    assert [step.name for step in steps] == ["a.png", "b/y.PNG", "broken.jpg", "notes.txt", "z.png"]
    assert [step.refused is None for step in steps] == [True, True, False, False, True]
    rooted.close()


def test_a_folder_outside_the_allowed_ones_is_refused_unless_the_caller_may_read_all(
    settings: Settings, lab: Lab, project: Project, folder: Path
) -> None:
    (folder.parent / "photos2").mkdir()
    rooted = with_roots(settings, folder.parent / "photos2")

    for outside in (folder, folder.parent / "photos2" / ".." / "photos", Path("/")):
        with pytest.raises(ImportRefused, match="FCNLAB_IMPORT_ROOTS"):
            import_folder(rooted, outside, project_id=project.id)

    assert len(run_folder(rooted, folder, project, allow_anywhere=True)) == 5
    rooted.close()


def test_a_link_does_not_lead_out_of_the_allowed_folders(
    settings: Settings, lab: Lab, project: Project, folder: Path
) -> None:
    allowed = folder.parent / "allowed"
    allowed.mkdir()
    (allowed / "fine.png").write_bytes(png(77))
    (allowed / "link.png").symlink_to(folder / "a.png")
    (allowed / "linked").symlink_to(folder)
    rooted = with_roots(settings, allowed)

    with pytest.raises(ImportRefused):
        import_folder(rooted, allowed / "linked", project_id=project.id)

    assert [step.name for step in run_folder(rooted, allowed, project) if not step.refused] == ["fine.png"]
    rooted.close()


def test_a_folder_without_images_or_without_existence_is_explained(lab: Lab, project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ImportRefused, match="no image"):
        run_folder(lab, tmp_path / "empty", project, allow_anywhere=True)
    with pytest.raises(ImportRefused, match="no folder"):
        run_folder(lab, tmp_path / "nowhere", project, allow_anywhere=True)
