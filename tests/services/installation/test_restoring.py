"""A restored backup is the installation again; until it is there whole, the one before it is."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.errors import RestoreRefused
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files, make_previews, read_picture
from fcnlab.services.installation.backup import backup, missing_files, restore
from fcnlab.services.installation.diagnostics import examine
from fcnlab.services.installation.sweeping import find_leftovers
from fcnlab.services.labelling.events import add_points, points_of_project
from fcnlab.services.projects.projects import create_project, images, projects
from fcnlab.settings import Settings
from fcnlab.storage.files import restoring
from tests.support.paths import ROOT

ABANDONED = """
import os, sys
from pathlib import Path
from fcnlab.lab import open_lab
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
create_project(lab, name="written after the backup")
os.kill(os.getpid(), 9)
"""
RESTORER = """
import os, sys
from pathlib import Path
from fcnlab.storage.files import restoring
from fcnlab.services.installation.backup import restore
from fcnlab.settings import Settings

after = int(sys.argv[3])

def counted(call):
    def step(*values, **options):
        global after
        after -= 1
        if after == 0:
            os.kill(os.getpid(), 9)
        return call(*values, **options)
    return step

Path.rename, Path.unlink, restoring.write_whole = map(counted, (Path.rename, Path.unlink, restoring.write_whole))
restoring.flush_to_disk = counted(restoring.flush_to_disk)
restore(Settings(data_dir=Path(sys.argv[1]), device="cpu"), Path(sys.argv[2]))
"""


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 35, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def run(code: str, *arguments: object) -> int:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    ).returncode


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", device="cpu", demo=False)


@pytest.fixture
def file(data: Settings, tmp_path: Path) -> Path:
    """A backup of an installation at `data`, which stays there."""
    lab = open_lab(data)
    project = create_project(lab, name="cells")
    for step in import_files(lab, [(f"{seed}.png", png(seed)) for seed in range(3)], project_id=project.id):
        points = [Point(1, 2, 1), Point(3, 4, 0)]
        add_points(lab, points, image_id=step.image_id or 0, labeller="ann", source=PointSource.CLICK)
    written = backup(lab, tmp_path / "backup.zip")
    lab.close()
    return written


def state_of(settings: Settings) -> object:
    """What an installation holds, as a labeller would see it."""
    lab = open_lab(settings)
    try:
        found = [(one.name, points_of_project(lab, project_id=one.id)) for one in projects(lab)]
        pictures = [read_picture(lab, image).tobytes() for image in images(lab, project_id=1)]
        for image in images(lab, project_id=1):
            make_previews(lab, image)
        assert missing_files(lab)[1] == ()
        assert find_leftovers(lab).files == ()
        return found, pictures
    finally:
        lab.close()


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "running"
    }


def test_a_backup_restored_into_an_empty_place_is_the_installation(data: Settings, file: Path, tmp_path: Path) -> None:
    empty = data.model_copy(update={"data_dir": tmp_path / "new" / "place"})

    restored = restore(empty, file)

    assert restored.aside is None
    assert state_of(empty) == state_of(data)
    assert [check for check in examine(empty) if not check.is_sound and check.name != "free disk"] == []
    assert not list(empty.data_dir.glob("before-restore-*"))


def test_the_write_ahead_log_of_a_process_that_was_killed_never_meets_the_restored_database(
    data: Settings, file: Path
) -> None:
    before = state_of(data)
    assert run(ABANDONED, data.data_dir) == -9
    assert (data.data_dir / "lab.db-wal").stat().st_size > 0

    restored = restore(data, file)

    assert state_of(data) == before
    assert restored.aside is not None
    aside = data.model_copy(update={"data_dir": restored.aside})
    lab = open_lab(aside)
    assert [one.name for one in projects(lab)] == ["cells", "written after the backup"]
    assert missing_files(lab)[1] == ()
    lab.close()


def test_what_is_not_of_the_installation_stays_where_it_is(data: Settings, file: Path) -> None:
    inside = shutil.move(file, data.data_dir / "backup.zip")
    (data.data_dir / "api-token").write_text("x" * 40)

    for _ in range(2):
        restore(data, inside)

    assert inside.is_file()
    assert (data.data_dir / "api-token").read_text() == "x" * 40
    assert len(list(data.data_dir.glob("before-restore-*"))) == 2
    assert state_of(data)


def test_an_installation_in_use_is_not_touched(data: Settings, file: Path) -> None:
    lab = open_lab(data)
    before = content_of(data.data_dir)

    with pytest.raises(RestoreRefused, match="Stop the server"):
        restore(data, file)

    assert content_of(data.data_dir) == before
    lab.close()
    restore(data, file)


def rewritten(file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """The same archive with other entries, whole as an archive."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            changed = change(name, content)
            if changed is not None:
                archive.writestr(*changed)


def appended(file: Path) -> None:
    rewritten(file, lambda name, data: (name, data + b"x" if name.startswith("images/") else data))


def without_images(file: Path) -> None:
    rewritten(file, lambda name, data: None if name.startswith("images/") else (name, data))


def added(name: str) -> Callable[[Path], None]:
    def add(file: Path) -> None:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, b"strange")

    return add


def linked(file: Path) -> None:
    entry = zipfile.ZipInfo("masks/1/1.png")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(entry, "/etc/passwd")


def with_database(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        copy = file.with_name("copy.db")
        with zipfile.ZipFile(file) as archive:
            copy.write_bytes(archive.read("lab.db"))
        change(copy)
        rewritten(file, lambda name, data: (name, copy.read_bytes() if name == "lab.db" else data))

    return damage


def torn_pages(copy: Path) -> None:
    data = bytearray(copy.read_bytes())
    data[4096 * 3 : 4096 * 6] = bytes(4096 * 3)
    copy.write_bytes(data)


def newer(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-100]), id="cut off"),
        pytest.param(lambda file: file.write_bytes(b"no archive"), id="no archive"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(
            lambda file: file.write_bytes(file.read_bytes().replace(b"IDAT", b"IDXT", 1)), id="a byte has changed"
        ),
        pytest.param(appended, id="another image"),
        pytest.param(without_images, id="an image is missing"),
        pytest.param(lambda file: rewritten(file, lambda n, d: None if n == "lab.db" else (n, d)), id="no database"),
        pytest.param(with_database(torn_pages), id="torn database"),
        pytest.param(with_database(newer), id="newer database"),
        pytest.param(with_database(lambda copy: copy.write_bytes(b"x" * 9000)), id="another kind of database"),
        pytest.param(added("../outside.txt"), id="leads out"),
        pytest.param(added("/outside.txt"), id="absolute"),
        pytest.param(added("images/../../outside.txt"), id="leads out of a folder"),
        pytest.param(added("notes.txt"), id="a strange file"),
        pytest.param(linked, id="a link"),
    ],
)
def test_a_backup_that_is_not_whole_changes_nothing(data: Settings, file: Path, damage: Callable[[Path], None]) -> None:
    damage(file)
    before = content_of(data.data_dir)
    empty = data.model_copy(update={"data_dir": data.data_dir.parent / "empty"})

    for settings in (data, empty):
        with pytest.raises(RestoreRefused, match=r"[Nn]othing was changed") as refusal:
            restore(settings, file)
        assert "\n" not in str(refusal.value)

    assert content_of(data.data_dir) == before
    assert not empty.data_dir.exists()


def test_a_backup_that_lacks_files_is_taken_when_that_is_said(data: Settings, file: Path) -> None:
    without_images(file)

    restored = restore(data, file, may_lack=True)

    assert len(restored.missing) == 3
    lab = open_lab(data)
    assert len(images(lab, project_id=1)) == 3
    lab.close()


@pytest.mark.parametrize("moment", range(1, 28, 2))
def test_a_restore_that_is_killed_leaves_the_old_installation_or_the_new_one(
    data: Settings, file: Path, moment: int
) -> None:
    lab = open_lab(data)
    create_project(lab, name="written after the backup")
    lab.close()

    code = run(RESTORER, data.data_dir, file, moment)

    assert code in (-9, 0)
    lab = open_lab(data)
    names = [one.name for one in projects(lab)]
    assert missing_files(lab)[1] == ()
    assert len(images(lab, project_id=1)) == 3
    lab.close()
    assert names in (["cells"], ["cells", "written after the backup"])
    assert not (data.data_dir / restoring.MARKER).exists()
    restore(data, file)
    assert state_of(data)


def test_where_there_is_no_room_nothing_is_begun(data: Settings, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(data.data_dir)
    monkeypatch.setattr("fcnlab.services.installation.backup.shutil.disk_usage", lambda _: usage._replace(free=100))
    before = content_of(data.data_dir)

    with pytest.raises(RestoreRefused, match="Free some room"):
        restore(data, file)

    assert content_of(data.data_dir) == before


def test_a_database_elsewhere_is_left_to_its_own_tools(data: Settings, file: Path) -> None:
    other = data.model_copy(update={"database_url": "postgresql://lab@localhost/lab"})

    with pytest.raises(RestoreRefused, match="pg_restore"):
        restore(other, file)
