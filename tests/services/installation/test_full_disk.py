"""A disk without room ends nothing in a traceback, says what was stored and what was not, and hinders nobody later."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from fcnlab.api.service import make_service
from fcnlab.cli import main
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.training import TrainingSpec, TrainingState
from fcnlab.errors import ExportFailed, FcnlabError, StorageFull, storage_explained, storage_failure
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files, read_picture
from fcnlab.services.installation.backup import backup
from fcnlab.services.labelling.events import add_points
from fcnlab.services.live.masks import keep_mask, kept_mask, save_model
from fcnlab.services.models.models import models
from fcnlab.services.projects import projects as projects_service
from fcnlab.services.projects.demos import DEMOS, make_first_demo
from fcnlab.services.projects.projects import create_project, images, projects
from fcnlab.services.training.finetuning import train
from fcnlab.services.training.trainings import resume_training, training
from fcnlab.services.training.worker import run_worker
from fcnlab.services.training.workers import ensure_worker
from fcnlab.settings import Settings
from fcnlab.storage.files import whole_files
from tests.support.bars import Site
from tests.support.export_bench import Bench
from tests.support.paths import ROOT
from tests.support.tabs import new_project
from tests.support.tiny_trainer import TinyTrainer
from tests.support.worker_bench import losses, start, state_of

FULL = [errno.ENOSPC, errno.EDQUOT, errno.EROFS]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 35, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on files below a folder cannot be opened for writing; `room` of them still can."""

    def fill(folder: Path, *, code: int = errno.ENOSPC, room: int = 0) -> None:
        left = [room]
        whole = Path.open

        def full(path: Path, mode: str = "r", *values: object, **options: object) -> object:
            if set(mode) & set("wax") and path.is_relative_to(folder):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(code, os.strerror(code), str(path))
            return whole(path, mode, *values, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", full)

    return fill


@pytest.mark.parametrize("code", FULL)
def test_a_file_that_finds_no_room_is_explained_and_the_old_one_stays(
    tmp_path: Path, fill_disk: Callable[..., None], code: int
) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"old")
    fill_disk(tmp_path, code=code)

    with pytest.raises(StorageFull, match=r"mask\.png was not written") as failure:
        whole_files.write_whole(path, b"new")

    assert failure.value.errno == code
    assert os.strerror(code) in str(failure.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_door_adds_is_said_and_the_file_keeps_its_name() -> None:
    with (
        pytest.raises(StorageFull) as failure,
        storage_explained("outer", outcome="Points stay"),
        storage_explained("inner"),
    ):
        raise OSError(errno.ENOSPC, "full")

    assert str(failure.value).startswith("inner was not written")
    assert "Points stay" in str(failure.value)


def test_other_failures_of_the_system_stay_what_they_are() -> None:
    assert storage_failure(PermissionError(errno.EACCES, "no")) is None
    with pytest.raises(PermissionError), storage_explained("x"):
        raise PermissionError(errno.EACCES, "no")


def test_an_import_says_which_images_stay_and_goes_on_when_there_is_room(
    lab: Lab, fill_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = create_project(lab, name="a")
    pairs = [(f"{seed}.png", png(seed)) for seed in range(9)]
    told: list[str] = []
    fill_disk(lab.data_dir, room=14)

    def run_import() -> None:
        for step in import_files(lab, iter(pairs), project_id=project.id):
            told.append(step.name)

    with pytest.raises(StorageFull, match="imported before stay"):
        run_import()

    stored = images(lab, project_id=project.id)
    assert 0 < len(stored) < 9
    assert {one.name for one in stored} == set(told)
    assert list(lab.data_dir.glob("images/*.part")) == []
    monkeypatch.undo()
    again = list(import_files(lab, pairs, project_id=project.id))
    assert sum(step.duplicate for step in again) == len(stored)
    assert [read_picture(lab, one).shape for one in images(lab, project_id=project.id)] == [(20, 35, 3)] * 9


def test_import_on_the_command_line_is_one_line(
    settings: Settings, tmp_path: Path, fill_disk: Callable[..., None]
) -> None:
    source = tmp_path / "pictures"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.png").write_bytes(png(seed))
    fill_disk(settings.data_dir / "images")

    told = CliRunner().invoke(main, ["--data-dir", str(settings.data_dir), "import", "-p", "a", str(source)])

    assert told.exit_code == 1
    assert told.exception is None or isinstance(told.exception, SystemExit)
    assert "its disk is full" in told.output
    assert "Traceback" not in told.output


def test_the_rest_service_answers_507(lab: Lab, fill_disk: Callable[..., None]) -> None:
    project = create_project(lab, name="a")
    with TestClient(make_service(lab, token=None), base_url="http://localhost") as client:
        fill_disk(lab.data_dir / "images")

        told = client.post(f"/api/v1/projects/{project.id}/images", files=[("files", ("a.png", png(1)))])

    assert told.status_code == 507
    assert "its disk is full" in told.json()["error"]


def test_a_backup_without_room_leaves_no_half(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files, "flush_to_disk", full)

    with pytest.raises(ExportFailed, match="no backup was made"):
        backup(lab, tmp_path / "backup.zip")

    assert not list(tmp_path.glob("backup*"))
    assert not list(lab.data_dir.glob("*.part"))


def test_a_demo_that_finds_no_room_is_made_whole_at_the_next_start(
    tmp_path: Path, fill_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = open_lab(Settings(data_dir=tmp_path / "data", device="cpu"))
    fill_disk(lab.data_dir, room=8)
    with pytest.raises(StorageFull):
        make_first_demo(lab)
    assert projects(lab, include_archived=True) == ()
    monkeypatch.undo()

    made = make_first_demo(lab)

    assert made is not None
    assert len(images(lab, project_id=made)) == DEMOS[0].n_images
    lab.close()


def test_a_worker_that_cannot_write_its_log_is_explained(lab: Lab, fill_disk: Callable[..., None]) -> None:
    project = create_project(lab, name="a")
    fill_disk(lab.folders.logs)

    with pytest.raises(StorageFull, match="no worker was started"):
        ensure_worker(lab, project_id=project.id)


@pytest.fixture
def page_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import streamlit as st

    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    st.cache_resource.clear()
    yield tmp_path / "data"
    st.cache_resource.clear()


def test_pages_explain_an_installation_that_cannot_be_opened_and_recover_without_a_restart(
    page_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.testing.v1 import AppTest

    from fcnlab.web import session

    def full(*_: object, **__: object) -> Lab:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "lab.db")

    with monkeypatch.context() as patched:
        patched.setattr(session, "open_lab", full)
        shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
        assert not shown.exception
        assert "its disk is full" in shown.error[0].value

    shown.button(key="fcnlab-try-again").click().run()

    assert not shown.exception
    assert not shown.error
    engine = session.engine()
    engine.jobs.close()
    engine.lab.close()


def test_every_explained_failure_of_a_disk_is_caught_where_explained_ones_are() -> None:
    with pytest.raises(FcnlabError):
        raise StorageFull(errno.ENOSPC, file="x", outcome="y")
    with pytest.raises(OSError, match="No space"):
        raise StorageFull(errno.ENOSPC, file="x", outcome="y")


def test_clicks_that_were_stored_before_stay(lab: Lab, fill_disk: Callable[..., None]) -> None:
    project = create_project(lab, name="a")
    (step,) = import_files(lab, [("a.png", png(1))], project_id=project.id)
    fill_disk(lab.data_dir)

    add_points(lab, [Point(1, 2, 1)], image_id=step.image_id or 0, labeller="ann", source=PointSource.CLICK)

    assert images(lab, project_id=project.id)[0].n_points == 1


def test_a_done_image_whose_mask_finds_no_room_is_done_and_has_its_mask_when_there_is_room(
    lab: Lab, tmp_path: Path, fill_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lab, tmp_path, ["a.png"])
    bench.click("a.png", (40, 60, 1), (5, 5, 0))
    fill_disk(lab.folders.masks)
    with pytest.raises(StorageFull, match="The image is done; its mask is made when it is looked at"):
        bench.mark_done("a.png")
    monkeypatch.undo()

    image = projects_service.image(lab, image_id=bench.images["a.png"])
    assert image.state is ImageState.DONE
    assert kept_mask(lab, image) is None
    made = keep_mask(lab, bench.learner, image)
    stored = kept_mask(lab, image)
    assert stored is not None
    assert np.array_equal(stored, made)


def test_a_fit_that_finds_no_room_leaves_no_model_and_the_next_one_does(
    lab: Lab, tmp_path: Path, fill_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(lab, tmp_path, ["a.png"])
    bench.click("a.png", (40, 60, 1), (5, 5, 0))
    fill_disk(lab.folders.checkpoints)
    with pytest.raises(StorageFull, match="The learner was not saved, and all points are"):
        save_model(lab, bench.learner)
    assert list(lab.folders.checkpoints.iterdir()) == []
    monkeypatch.undo()

    saved = save_model(lab, bench.learner)

    assert (lab.folders.checkpoints / saved.record.checkpoint).is_file()


def test_a_training_goes_on_where_its_resume_file_finds_no_room(
    lab: Lab, tmp_path: Path, fill_disk: Callable[..., None]
) -> None:
    site = Site(lab, 2)
    site.click(0)
    site.click(1)
    fill_disk(lab.folders.resume)

    steps = list(train(lab, site.job(TrainingSpec(epochs=3)), resume=None, checkpoint=lab.folders.resume / "a.resume"))

    assert [step.epoch for step in steps] == [1, 2, 3]
    assert list(lab.folders.resume.iterdir()) == []


def test_a_training_whose_model_finds_no_room_says_so_and_ends_well_when_it_is_resumed(
    lab: Lab, fill_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, made = new_project(lab)
    add_points(lab, [Point(3, 5, 0), Point(30, 60, 1)], image_id=made[0], labeller="ann", source=PointSource.CLICK)
    queued = start(lab, project_id)
    fill_disk(lab.folders.checkpoints)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    failed = training(lab, training_id=queued.id)
    assert failed.state is TrainingState.FAILED
    assert "resume it, and it goes on from the last epoch that was kept" in failed.message
    assert models(lab, project_id=project_id) == ()
    monkeypatch.undo()
    resume_training(lab, training_id=queued.id)
    run_worker(lab, project_id=project_id, trainer=TinyTrainer(), idle_s=0)

    assert state_of(lab, queued.id) is TrainingState.FINISHED
    assert len(losses(lab, queued.id)) == 3
    assert len(models(lab, project_id=project_id)) == 1
