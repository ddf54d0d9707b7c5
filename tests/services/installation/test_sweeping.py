"""Deleted is deleted, and what a killed process leaves goes away; nothing that somebody uses or writes ever does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.errors import ImportRefused, UnknownProject
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files, read_picture
from fcnlab.services.installation import sweeping
from fcnlab.services.installation.backup import backup, missing_files
from fcnlab.services.installation.sweeping import find_leftovers, sweep
from fcnlab.services.labelling.events import add_points, points_of_image, set_image_state
from fcnlab.services.projects.projects import (
    create_project,
    delete_project,
    images,
    projects,
    rename_project,
)
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.presence import new_part
from fcnlab.storage.files.whole_files import replaced_whole
from tests.support.paths import ROOT

KILLED = """
import os, signal, sys
from pathlib import Path
from fcnlab.lab import open_lab
from fcnlab.services.projects import projects
from fcnlab.services.installation import sweeping
from fcnlab.settings import Settings

after = int(sys.argv[2])
sweeping.ROWS_AT_ONCE, sweeping.CONTENTS_AT_ONCE = 2, 2

def counted(call):
    def step(*values, **options):
        global after
        result = call(*values, **options)
        after -= 1
        if after == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return step

sweeping.repository_projects.begin_deletion = counted(sweeping.repository_projects.begin_deletion)
sweeping.repository_projects.delete_some = counted(sweeping.repository_projects.delete_some)
sweeping.delete_anything = projects.delete_anything = counted(sweeping.delete_anything)
sweeping.new_part = counted(sweeping.new_part)
lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
projects.delete_project(lab, project_id=1)
print("deleted")
"""
WRITER = """
import sys
from pathlib import Path
from fcnlab.storage.files.whole_files import replaced_whole
from fcnlab.lab import open_lab
from fcnlab.settings import Settings

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
with replaced_whole(Path(sys.argv[2])) as part:
    part.write_bytes(b"half of it")
    (lab.folders.checkpoints / "1-not-in-the-database-yet.safetensors").write_bytes(b"soon")
    print("writing", flush=True)
    sys.stdin.readline()
print("written", flush=True)
"""


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 35, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def import_images(lab: Lab, project_id: int, seeds: range) -> list[int]:
    files = [(f"{seed}.png", png(seed)) for seed in seeds]
    return [step.image_id or 0 for step in import_files(lab, files, project_id=project_id)]


def fill(lab: Lab) -> None:
    """Two projects that share an image; the first has one of every kind of file."""
    first, second = (create_project(lab, name=name) for name in ("a", "b"))
    mine, others = import_images(lab, first.id, range(4)), import_images(lab, second.id, range(3, 6))
    for image_id in (*mine, *others):
        points = [Point(row, col, row % 2) for row in range(4) for col in range(3)]
        add_points(lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)
    set_image_state(lab, image_id=mine[0], state=ImageState.DONE, labeller="ann")
    (lab.folders.masks / "1").mkdir()
    (lab.folders.masks / "1" / "1-x.png").write_bytes(b"mask")
    with writing(lab.sessions) as session:
        mask = StoredMask("1/1-x.png", "instant", "00", lab.clock())
        repository_images.store_mask(session, image_id=mine[0], mask=mask)
    content = images(lab, project_id=first.id)[0].content_hash
    for name in (
        f"features/stages/{content[:2]}/{content[:40]}-0123.safetensors",
        f"features/lessons/{content[:2]}/{content[:40]}-4567.safetensors",
        f"features/pooled/{content[:2]}/{content[:40]}-89ab-1.safetensors",
        f"shown/{content}.tiles/0/0_0.jpg",
        f"shown/{content}-0123456789ab.png",
        "masks/1/1-reopened.png",
        "checkpoints/1-fit.safetensors",
        "checkpoints/network-1-7.safetensors",
        "checkpoints/brought-1-abc.safetensors",
        "resume/training-7.resume",
        "comparisons/3/linear-1.png",
        "logs/worker-1.log",
    ):
        path = lab.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"made of it")


def is_kept(name: str) -> bool:
    return not name.startswith(("lab.db", "running/"))


def files_of(folder: Path) -> set[str]:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if is_kept(name)}


def files_of_second(lab: Lab) -> set[str]:
    contents = [image.content_hash for image in images(lab, project_id=2)]
    places = [("images/{0:.2}/{0}.png"), "shown/{0}.png", "thumbs/{0}.jpg"]
    return {place.format(content) for content in contents for place in places}


def killed_deletion(data_dir: Path, moment: int) -> Lab:
    lab = open_lab(Settings(data_dir=data_dir, device="cpu", demo=False))
    fill(lab)
    lab.close()
    command = [sys.executable, "-c", KILLED, str(data_dir), str(moment)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    return open_lab(Settings(data_dir=data_dir, device="cpu", demo=False))


def test_a_deletion_that_is_killed_before_anybody_was_told_did_not_happen(tmp_path: Path) -> None:
    lab = killed_deletion(tmp_path / "data", 1)

    sweep(lab)

    assert [project.name for project in projects(lab)] == ["a", "b"]
    assert [image.n_points for image in images(lab, project_id=1)] == [12] * 4
    assert missing_files(lab)[1] == ()
    lab.close()


@pytest.mark.parametrize("moment", [2, 9, 15, 25, 29, 31, 33, 36, 40, 44])
def test_of_a_deletion_that_is_killed_at_any_moment_the_next_server_sweeps_the_rest(
    tmp_path: Path, moment: int
) -> None:
    lab = open_lab(Settings(data_dir=tmp_path / "data", device="cpu", demo=False))
    fill(lab)
    lab.close()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(moment)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()

    lab = open_lab(Settings(data_dir=tmp_path / "data", device="cpu", demo=False))
    assert [project.name for project in projects(lab)] == (["b"] if moment > 0 else ["a", "b"])
    sweep(lab)

    assert files_of(lab.data_dir) == files_of_second(lab)
    assert find_leftovers(lab) == sweeping.Leftovers((), ())
    with writing(lab.sessions) as session:
        assert session.scalar(text("SELECT count(*) FROM points")) == 3 * 12
        assert session.scalar(text("SELECT count(*) FROM projects")) == 1
    for image in images(lab, project_id=2):
        assert read_picture(lab, image).shape == (20, 35, 3)
    create_project(lab, name="a")
    lab.close()


def test_a_deletion_leaves_nothing_to_sweep(lab: Lab) -> None:
    fill(lab)

    delete_project(lab, project_id=1)

    left = files_of(lab.data_dir) - files_of_second(lab)
    assert left == {  # of what no row names, since this test made it: the next start
        "checkpoints/1-fit.safetensors",
        "checkpoints/network-1-7.safetensors",
        "checkpoints/brought-1-abc.safetensors",
        "resume/training-7.resume",
        "comparisons/3/linear-1.png",
        "logs/worker-1.log",
    }
    sweep(lab)
    assert files_of(lab.data_dir) == files_of_second(lab)


def test_a_project_that_is_being_deleted_is_gone_for_everybody(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lab)
    (image, *_) = images(lab, project_id=1)

    def look(*_: object, **__: object) -> None:
        assert [project.name for project in projects(lab, include_archived=True)] == ["b"]
        with pytest.raises(UnknownProject):
            rename_project(lab, project_id=1, name="c")
        with pytest.raises(UnknownProject):
            add_points(lab, [Point(9, 9, 1)], image_id=image.id, labeller="ann", source=PointSource.CLICK)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeping, "finish_deletion", look)
    with pytest.raises(KeyboardInterrupt):
        delete_project(lab, project_id=1)


def test_files_go_when_no_transaction_is_open_and_others_may_write_between_all_steps(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lab)
    other = images(lab, project_id=2)[0].id
    clicks = [Point(row, col, 1) for row in range(10, 20) for col in range(35)]
    stored = []

    def click_before(call: Callable[..., object]) -> Callable[..., object]:
        def step(*values: object, **options: object) -> object:
            stored.append(clicks.pop())
            add_points(lab, [stored[-1]], image_id=other, labeller="bob", source=PointSource.CLICK)
            return call(*values, **options)

        return step

    monkeypatch.setattr(sweeping, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(sweeping, "delete_anything", click_before(sweeping.delete_anything))
    monkeypatch.setattr(sweeping.time, "sleep", click_before(time.sleep))

    delete_project(lab, project_id=1)

    assert len(stored) > 20
    assert {found.point for found in points_of_image(lab, image_id=other)} >= set(stored)


def test_content_that_is_imported_again_while_its_project_is_deleted_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lab)
    third = create_project(lab, name="c")
    whole = sweeping.forget_contents

    def import_first(lab: Lab, contents: tuple[str, ...]) -> None:
        import_images(lab, third.id, range(2))
        whole(lab, contents)

    monkeypatch.setattr(sweeping, "forget_contents", import_first)
    delete_project(lab, project_id=1)
    monkeypatch.undo()
    sweep(lab)

    for image in (*images(lab, project_id=third.id), *images(lab, project_id=2)):
        assert read_picture(lab, image).shape == (20, 35, 3)
    assert missing_files(lab)[1] == ()
    assert len(list(lab.folders.images.rglob("*.png"))) == 5


def test_nothing_of_a_process_that_lives_is_swept_and_all_of_one_that_was_killed(lab: Lab, tmp_path: Path) -> None:
    fill(lab)
    outside = tmp_path / "elsewhere" / "export.zip"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(lab.data_dir), str(outside)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    checkpoint = lab.folders.checkpoints / "1-not-in-the-database-yet.safetensors"

    sweep(lab)
    assert checkpoint.exists()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"
    assert outside.read_bytes() == b"half of it"
    process.wait(timeout=30)
    outside.unlink()

    process = subprocess.Popen(
        process.args, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait(timeout=30)
    (part,) = outside.parent.iterdir()
    assert [one.path for one in find_leftovers(lab).files if one.path == part] == [part]
    lab.close()
    lab = open_lab(lab.settings)
    sweep(lab)

    assert list(outside.parent.iterdir()) == []
    assert not checkpoint.exists()
    assert find_leftovers(lab).files == ()
    lab.close()


def test_unfinished_files_of_older_versions_go_too_but_not_while_one_may_write_them(lab: Lab) -> None:
    names = ["images/0123.part", "shown/ab.part/0/0_0.jpg", "tmpx1y2.part/lab.db", "checkpoints/1.safetensors.ab.part"]
    for name in names:
        path = lab.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")

    assert find_leftovers(lab).files == ()  # made while this process lives: they may be somebody's
    lab.close()
    time.sleep(0.02)
    lab = open_lab(lab.settings)
    found = find_leftovers(lab)
    sweep(lab)

    assert found.size == 4 * len(names)
    assert files_of(lab.data_dir) == set()
    lab.close()


def test_what_this_process_is_writing_is_not_swept(lab: Lab) -> None:
    with replaced_whole(lab.folders.checkpoints / "x.safetensors") as part:
        part.write_bytes(b"half")
        folder = new_part(lab.data_dir, stem="labels")
        folder.mkdir()

        sweep(lab)

        assert part.exists()
        assert folder.exists()


def test_a_sweep_of_an_installation_in_use_changes_nothing(lab: Lab) -> None:
    fill(lab)
    for name in ("resume/training-7.resume", "comparisons/3/linear-1.png", "checkpoints/network-1-7.safetensors"):
        (lab.data_dir / name).unlink()  # of rows that this test does not have
    (lab.data_dir / "comparisons" / "3").rmdir()
    before = files_of(lab.data_dir)

    sweep(lab)

    assert files_of(lab.data_dir) == before


def test_a_backup_holds_what_the_database_names_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    fill(lab)
    orphan = lab.folders.images / "ab" / f"ab{'0' * 62}.png"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"of a project that was deleted")

    with zipfile.ZipFile(backup(lab, tmp_path / "backup.zip")) as archive:
        names = set(archive.namelist())

    contents = {image.content_hash for number in (1, 2) for image in images(lab, project_id=number)}
    assert names == {"lab.db", "masks/1/1-x.png", *(f"images/{one[:2]}/{one}.png" for one in contents)}


def test_a_refused_import_leaves_no_file(lab: Lab) -> None:
    project = create_project(lab, name="a")

    steps = list(import_files(lab, [("a.png", b"rubbish"), ("b.png", ImportRefused("no"))], project_id=project.id))

    assert all(step.refused for step in steps)
    assert files_of(lab.data_dir) == set()
