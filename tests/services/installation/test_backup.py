from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files, make_previews, read_picture
from fcnlab.services.installation.backup import backup
from fcnlab.services.labelling.events import add_points, points_of_image, set_image_state
from fcnlab.services.projects.projects import create_project, image
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import writing


def fill(lab: Lab) -> int:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 35, 3), dtype=np.uint8)).save(buffer, format="PNG")
    project = create_project(lab, name="cells")
    (step,) = import_files(lab, [("a.png", buffer.getvalue())], project_id=project.id)
    image_id = step.image_id or 0
    add_points(lab, [Point(1, 2, 1)], image_id=image_id, labeller="ann", source=PointSource.CLICK)
    set_image_state(lab, image_id=image_id, state=ImageState.DONE, labeller="ann")
    (lab.folders.masks / "1.png").write_bytes(b"mask")
    (lab.folders.checkpoints / "1.safetensors").write_bytes(b"weights")
    with writing(lab.sessions) as session:
        mask = StoredMask("1.png", "1.safetensors", "00", lab.clock())
        repository_images.store_mask(session, image_id=image_id, mask=mask)
        repository_projects.record_fit(
            session,
            project_id=project.id,
            learner=LearnerSpec(),
            point_set_hash="00",
            n_points=1,
            checkpoint="1.safetensors",
            milliseconds=1.0,
            now=lab.clock(),
        )
    return image_id


def test_an_unpacked_backup_is_the_installation_again(lab: Lab, tmp_path: Path) -> None:
    image_id = fill(lab)
    before = points_of_image(lab, image_id=image_id)

    with zipfile.ZipFile(backup(lab, tmp_path / "backup.zip")) as archive:
        archive.extractall(tmp_path / "restored")
    restored = open_lab(Settings(data_dir=tmp_path / "restored", device="cpu"))

    found = image(restored, image_id=image_id)
    make_previews(restored, found)
    assert points_of_image(restored, image_id=image_id) == before
    assert np.array_equal(read_picture(restored, found), read_picture(lab, found))
    assert (restored.folders.masks / "1.png").read_bytes() == b"mask"
    assert (restored.folders.checkpoints / "1.safetensors").read_bytes() == b"weights"
    restored.close()


def test_what_can_be_made_again_is_left_out(lab: Lab, tmp_path: Path) -> None:
    fill(lab)
    (lab.folders.resume / "training-1.resume").write_bytes(b"half way")
    (lab.folders.logs / "worker-1.log").write_text("what a worker had to say")

    with zipfile.ZipFile(backup(lab, tmp_path / "backup.zip")) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}

    assert folders == {"lab.db", "images", "masks", "checkpoints"}


def test_two_backups_of_one_state_are_the_same_bytes(lab: Lab, tmp_path: Path) -> None:
    fill(lab)

    first, second = (backup(lab, tmp_path / name).read_bytes() for name in ("1.zip", "2.zip"))

    assert first == second


def test_a_backup_that_fails_leaves_the_old_one(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lab)
    old = backup(lab, tmp_path / "backup.zip").read_bytes()

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fcnlab.services.installation.backup.shutil.copyfileobj", no_room)
    with pytest.raises(ExportFailed, match="No space left"):
        backup(lab, tmp_path / "backup.zip")

    assert (tmp_path / "backup.zip").read_bytes() == old
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_a_backup_into_a_place_that_cannot_be_written_is_explained(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ExportFailed, match="choose a folder"):
        backup(lab, tmp_path / "file" / "backup.zip")


@pytest.mark.postgres
def test_a_postgresql_database_is_left_to_its_own_tool(
    settings: Settings, postgres_database: str, tmp_path: Path
) -> None:
    lab = open_lab(settings.model_copy(update={"database_url": postgres_database}))

    with pytest.raises(ExportFailed, match="pg_dump"):
        backup(lab, tmp_path / "backup.zip")
    lab.close()
