"""Laws of exports into folders, and of exports that were interrupted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.export import target
from fcnlab.services.export.formats import EVERYTHING, formats_from
from fcnlab.storage.exports.targets import PART_NAME, WORK_NAME
from fcnlab.storage.formats.format import Need
from tests.support.stored_bench import StoredBench, files_in

NAMES = ["a.png", "b/a.png", "c.png", "d.png", "e.png"]
ALL = tuple(each.name for each in formats_from(EVERYTHING - {Need.PROBABILITIES}))
MIXED = ("index", "coco", "points")
"""One with a file per image, one with a file for all, one without lines."""


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> StoredBench:
    return StoredBench(lab, tmp_path / "out", NAMES)


@pytest.fixture(autouse=True)
def _remembers_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "JOURNAL_EVERY_S", 0.0)


def interrupted(bench: StoredBench, to: str, *, after: int, formats: tuple[str, ...] = MIXED) -> None:
    steps = bench.steps(to, formats=formats)
    for step in steps:
        if step.phase == "writing" and step.done == after:
            break
    steps.close()


def test_a_folder_and_a_zip_hold_the_same_files(bench: StoredBench) -> None:
    path, _ = bench.export("all.zip", formats=ALL, instances=True)
    folder, _ = bench.export("all", formats=ALL, instances=True)

    with zipfile.ZipFile(path) as file:
        assert {name: file.read(name) for name in file.namelist()} == files_in(folder)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interrupted_export_goes_on_to_the_same_bytes(bench: StoredBench, after: int) -> None:
    whole, _ = bench.export("whole", formats=MIXED)
    interrupted(bench, "parts", after=after)

    parts, last = bench.export("parts", formats=MIXED)

    assert last.n_resumed >= after
    assert last.n_stored == len(NAMES)
    assert files_in(parts) == files_in(whole)


def test_finished_images_are_not_written_again(bench: StoredBench) -> None:
    interrupted(bench, "parts", after=3)
    kept = bench.folder / "parts" / "masks" / "a.png"
    before = kept.stat().st_mtime_ns

    bench.export("parts", formats=MIXED)

    assert kept.stat().st_mtime_ns == before


def test_lines_written_after_the_last_journal_are_dropped(bench: StoredBench) -> None:
    whole, _ = bench.export("whole", formats=MIXED)
    interrupted(bench, "parts", after=2)
    for spool in (bench.folder / "parts" / WORK_NAME).glob("*.spool"):
        with spool.open("ab") as file:
            file.write(b'{"half of a li')

    parts, _ = bench.export("parts", formats=MIXED)

    assert files_in(parts) == files_in(whole)


def test_a_file_that_was_half_written_is_not_left_behind(bench: StoredBench) -> None:
    whole, _ = bench.export("whole", formats=MIXED)
    interrupted(bench, "parts", after=2)
    (bench.folder / "parts" / WORK_NAME / PART_NAME).write_bytes(b"half a fi")

    parts, _ = bench.export("parts", formats=MIXED)

    assert files_in(parts) == files_in(whole)


@pytest.mark.parametrize("damage", ["cut", "gone", "nonsense"])
def test_a_damaged_journal_means_starting_again(bench: StoredBench, damage: str) -> None:
    whole, _ = bench.export("whole", formats=MIXED)
    interrupted(bench, "parts", after=4)
    work = bench.folder / "parts" / WORK_NAME
    if damage == "cut":
        (work / "manifest-images.spool").write_bytes(b"")
    elif damage == "gone":
        (work / "journal.json").unlink()
    else:
        (work / "journal.json").write_text('{"fingerprint": ')

    parts, last = bench.export("parts", formats=MIXED)

    assert last.n_resumed == 0
    assert files_in(parts) == files_in(whole)


def test_images_left_out_before_the_interruption_stay_named(bench: StoredBench) -> None:
    bench.keep("b/a.png", np.full((40, 64), 255, np.uint8))
    interrupted(bench, "parts", after=4)

    parts, last = bench.export("parts", formats=MIXED)

    assert [name for name, _ in last.left_out] == ["b/a.png"]
    manifest = json.loads((parts / "manifest.json").read_text("utf-8"))
    assert [one["image"] for one in manifest["left_out"]] == ["b/a.png"]
    assert [one["image"] for one in manifest["images"]] == ["a.png", "c.png", "d.png", "e.png"]


def test_another_export_into_an_interrupted_one_is_refused(bench: StoredBench) -> None:
    interrupted(bench, "parts", after=2)
    before = files_in(bench.folder / "parts")

    with pytest.raises(ExportFailed, match="interrupted"):
        bench.export("parts", formats=("index",))
    bench.keep("e.png", np.zeros((40, 64), np.uint8))
    bench.click("e.png", (1, 1, 0))
    with pytest.raises(ExportFailed, match="interrupted"):
        bench.export("parts", formats=MIXED)

    assert files_in(bench.folder / "parts") == before


def test_two_exports_do_not_write_into_one_folder(bench: StoredBench) -> None:
    steps = bench.steps("parts", formats=MIXED)
    while next(steps).phase != "writing":
        pass

    with pytest.raises(ExportFailed, match="another export is being written"):
        bench.export("parts", formats=MIXED)

    *_, last = steps
    assert last.n_stored == len(NAMES)


def test_a_folder_with_other_files_is_refused_and_left_alone(bench: StoredBench) -> None:
    folder, _ = bench.export("done")
    before = files_in(folder)
    with pytest.raises(ExportFailed, match="finished export"):
        bench.export("done")
    assert files_in(folder) == before

    other = bench.folder / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportFailed, match=r"thesis\.txt"):
        bench.export("other")
    assert files_in(other) == {"thesis.txt": b"years of work"}


def test_masks_leave_as_they_were_kept(bench: StoredBench) -> None:
    folder, _ = bench.export("out")

    for name, mask in bench.masks.items():
        data = (folder / "masks" / name).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.array(image), mask)
