"""Strokes lie over every prediction: overlays, masks of done images, exports, previews, files by the command line."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fcnlab.cli import main
from fcnlab.domain.events import Event, EventBatch, EventKind, Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.export.exporting import preview
from fcnlab.services.export.writing import ProjectWriter
from fcnlab.services.labelling.events import acknowledged, add_points, apply_events, set_image_state
from fcnlab.services.labelling.point_import import export_points
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.mask_source import ModelSource
from fcnlab.services.live.masks import keep_mask, kept_mask, predicted_mask
from fcnlab.services.live.overlay_store import Overlay
from fcnlab.services.live.predictions import Predictions
from fcnlab.services.projects import projects
from fcnlab.storage.database import repository_strokes
from tests.support.export_bench import HEIGHT, WIDTH, Bench, picture
from tests.support.strokes import stroke_of

PAINTED = (slice(80, 90), slice(100, 120))
"""Far from the disc: no learner would call this an object."""

TAB = "tab-12345"


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    bench = Bench(lab, tmp_path, ["a.png", "b.png"])
    bench.click("a.png", (40, 60, 1), (5, 5, 0), (90, 20, 0))
    return bench


def send(lab: Lab, project_id: int, image_id: int, kind: EventKind, *, client: str = TAB, **payload: Any) -> int:

    seq = acknowledged(lab, client_id=client) + 1
    batch = EventBatch(client, (Event(seq, kind, image_id, payload),))
    assert not apply_events(lab, batch, project_id=project_id, labeller="ann").refusals
    return seq


def paint(bench: Bench, name: str, class_id: int | None = 1) -> None:
    send(bench.lab, bench.project.id, bench.images[name], EventKind.BRUSH, **payload(class_id))


def payload(class_id: int | None) -> dict[str, Any]:
    mask = np.ones((10, 20), bool)
    stroke = stroke_of(mask, class_id, top=80, left=100)
    box = {"top": stroke.top, "left": stroke.left, "height": stroke.height, "width": stroke.width}
    return {**box, "class_id": class_id, "runs": list(stroke.runs)}


def predicted(bench: Bench, name: str) -> np.ndarray:
    bench.learner.refresh()
    return predicted_mask(bench.learner, projects.image(bench.lab, image_id=bench.images[name]), bench.learner.source())


@pytest.mark.parametrize("object_mode", [False, True])
def test_a_predicted_mask_has_what_was_painted_and_nothing_else_changed(bench: Bench, object_mode: bool) -> None:
    spec = LearnerSpec(working_side=128, object_mode=object_mode)
    projects.set_learner(bench.lab, project_id=bench.project.id, learner=spec)
    before = predicted(bench, "a.png")
    paint(bench, "a.png")

    after = predicted(bench, "a.png")

    assert not before[PAINTED].any()
    assert (after[PAINTED] == 1).all()
    after[PAINTED] = before[PAINTED]
    np.testing.assert_array_equal(after, before)


def test_the_eraser_gives_pixels_back_to_the_prediction(bench: Bench) -> None:
    before = predicted(bench, "a.png")
    paint(bench, "a.png", 1)
    paint(bench, "a.png", None)

    np.testing.assert_array_equal(predicted(bench, "a.png"), before)


def test_strokes_teach_the_learner_nothing(bench: Bench) -> None:
    bench.learner.refresh()
    before = bench.learner.cold_model().head
    paint(bench, "b.png")
    bench.learner.refresh()

    np.testing.assert_array_equal(bench.learner.cold_model().head.weights, before.weights)


def test_a_done_image_keeps_its_painted_mask_and_a_new_one_after_it_was_reopened(bench: Bench) -> None:
    image_id = bench.images["a.png"]
    paint(bench, "a.png")
    bench.mark_done("a.png")
    first = kept_mask(bench.lab, projects.image(bench.lab, image_id=image_id))
    set_image_state(bench.lab, image_id=image_id, state=ImageState.IN_PROGRESS, labeller="ann")
    paint(bench, "a.png", 0)
    bench.mark_done("a.png")
    second = kept_mask(bench.lab, projects.image(bench.lab, image_id=image_id))

    assert first is not None
    assert second is not None
    assert (first[PAINTED] == 1).all()
    assert (second[PAINTED] == 0).all()
    assert len(list(bench.lab.folders.masks.rglob("*.png"))) == 2


def test_a_mask_made_while_the_image_was_painted_again_is_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = projects.image(bench.lab, image_id=bench.images["a.png"])
    set_image_state(bench.lab, image_id=image.id, state=ImageState.DONE, labeller="ann")
    predict = ModelSource.predict

    def interrupted(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        set_image_state(bench.lab, image_id=image.id, state=ImageState.IN_PROGRESS, labeller="bob")
        paint(bench, "a.png")
        set_image_state(bench.lab, image_id=image.id, state=ImageState.DONE, labeller="bob")
        return predict(*args, **options)

    monkeypatch.setattr(ModelSource, "predict", interrupted)
    keep_mask(bench.lab, bench.learner, image)

    done = projects.image(bench.lab, image_id=image.id)
    assert kept_mask(bench.lab, done) is None
    keep_mask(bench.lab, bench.learner, done)
    kept = kept_mask(bench.lab, done)
    assert kept is not None
    assert (kept[PAINTED] == 1).all()


def test_exports_and_previews_have_what_was_painted(bench: Bench) -> None:
    paint(bench, "a.png")
    paint(bench, "b.png")

    file, _ = bench.export()

    with zipfile.ZipFile(file) as archive:
        for name in ("masks/a.png", "masks/b.png"):
            mask = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert (mask[PAINTED] == 1).all(), name
    shown = preview(bench.lab, bench.learner, projects.image(bench.lab, image_id=bench.images["a.png"]))
    plain = np.asarray(Image.open(io.BytesIO(picture(0))).convert("RGB"))
    assert shown is not None
    assert (shown.rgb[PAINTED] != plain[PAINTED]).any(axis=-1).all()


def test_the_command_line_predicts_files_of_a_project_with_what_was_painted_on_them(bench: Bench) -> None:
    paint(bench, "a.png")
    for seed, name in enumerate(["same.png", "other.png"]):
        (bench.folder / name).write_bytes(picture(7 * seed))

    files = [str(bench.folder / name) for name in ("same.png", "other.png")]
    command = ["predict", "--project", "discs", "-o", str(bench.folder / "out"), *files]
    result = CliRunner().invoke(main, ["--data-dir", str(bench.lab.settings.data_dir), *command])

    assert result.exit_code == 0, result.output
    same, other = (np.asarray(Image.open(bench.folder / "out" / name)) for name in ("same.png", "other.png"))
    np.testing.assert_array_equal(same, predicted(bench, "a.png"))
    assert not other[PAINTED].any()


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def overlay_after(jobs: Jobs, image_id: int, seq: int) -> Overlay:
    """The first overlay that covers event `seq`."""
    for _ in range(600):
        overlay = jobs.overlay_store.overlay(image_id)
        if overlay is not None and overlay.covers.get(TAB, 0) >= seq:
            return overlay
        time.sleep(0.02)
    raise AssertionError(f"no overlay: {jobs.overlay_store.status(image_id)}")


def class_map(overlay: Overlay) -> np.ndarray:
    return overlay.class_map


def test_a_stroke_changes_the_overlay_without_learning_again_and_undo_brings_it_back(
    bench: Bench, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, image_id = bench.project.id, bench.images["a.png"]
    seq = send(bench.lab, project_id, image_id, EventKind.ADD, row=41, col=61, class_id=1)
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)
    before = class_map(overlay_after(jobs, image_id, seq))
    class_probabilities = jobs.overlay_store.class_probabilities(image_id)
    monkeypatch.setattr("fcnlab.core.learner.learner.segment", None)  # whoever learned again would fail

    seq = send(bench.lab, project_id, image_id, EventKind.BRUSH, **payload(1))
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)
    painted = class_map(overlay_after(jobs, image_id, seq))
    seq = send(bench.lab, project_id, image_id, EventKind.UNDO)
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)
    undone = class_map(overlay_after(jobs, image_id, seq))

    rows, cols = (slice(-(-side.start * 128 // 140), side.stop * 128 // 140 - 1) for side in PAINTED)
    assert (painted[rows, cols] == 1).all()
    assert (painted != before).sum() == pytest.approx(200 * (128 / 140) ** 2, rel=0.15)
    np.testing.assert_array_equal(undone, before)
    kept = jobs.overlay_store.class_probabilities(image_id)
    assert class_probabilities is not None
    assert kept is not None
    np.testing.assert_array_equal(kept.probabilities, class_probabilities.probabilities)


def test_a_stroke_shows_before_anything_can_be_learned_and_vanishes_with_undo(lab: Lab, jobs: Jobs) -> None:
    bench = Bench(lab, lab.settings.data_dir, ["a.png"])
    project_id, image_id = bench.project.id, bench.images["a.png"]
    seq = send(lab, project_id, image_id, EventKind.BRUSH, **payload(1))
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)

    shown = class_map(overlay_after(jobs, image_id, seq))

    assert set(np.unique(shown)) == {1, 255}
    assert jobs.overlay_store.status(image_id).phase in ("idle", "missing")
    seq = send(lab, project_id, image_id, EventKind.UNDO)
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)
    assert set(np.unique(class_map(overlay_after(jobs, image_id, seq)))) == {255}


def test_what_is_painted_and_clicked_lies_on_the_overlay_as_it_does_on_the_mask(bench: Bench, jobs: Jobs) -> None:
    project_id, image_id = bench.project.id, bench.images["b.png"]
    send(bench.lab, project_id, image_id, EventKind.BRUSH, **payload(1))
    points = [Point(85, 110, 0)]
    add_points(bench.lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=1)

    shown = class_map(overlay_after(jobs, image_id, 1))

    assert shown[int(85.5 * shown.shape[0] / HEIGHT), int(110.5 * shown.shape[1] / WIDTH)] == 0
    assert predicted(bench, "b.png")[85, 110] == 0
    assert predicted(bench, "b.png")[85, 111] == 1


def test_an_export_reads_the_strokes_of_an_image_when_its_turn_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in bench.images:
        paint(bench, name)
    bench.mark_done("a.png")
    read: list[int] = []
    by_ids = repository_strokes.strokes_by_ids

    def noted(*args: Any, image_id: int, **options: Any) -> Any:
        read.append(image_id)
        return by_ids(*args, image_id=image_id, **options)

    monkeypatch.setattr(repository_strokes, "strokes_of_image", None)  # whoever read all strokes would fail
    monkeypatch.setattr(repository_strokes, "strokes_by_ids", noted)

    export_points(bench.lab, project_id=bench.project.id, to=bench.folder / "points.csv")
    assert not read
    bench.export()

    assert read == [bench.images["b.png"]]  # the done one has its mask


def test_an_export_has_the_strokes_of_its_moment_whatever_is_undone_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(bench, "b.png")
    add_points(bench.lab, [Point(85, 110, 0)], image_id=bench.images["b.png"], labeller="ann", source=PointSource.CLICK)
    expected = predicted(bench, "b.png")
    file = bench.folder / "out.zip"
    fingerprint = ProjectWriter.fingerprint

    def undone(writer: ProjectWriter) -> str:
        for _ in range(2):  # the click, and the stroke before it
            send(bench.lab, bench.project.id, bench.images["b.png"], EventKind.UNDO)
        return fingerprint(writer)

    monkeypatch.setattr(ProjectWriter, "fingerprint", undone)
    bench.export(file.name)

    assert (predicted(bench, "b.png")[PAINTED] == 0).all()
    np.testing.assert_array_equal(exported(file, "b.png"), expected)
    assert (expected[PAINTED] == 1).sum() == 199


def test_programs_that_ask_get_what_the_label_page_and_exports_show(bench: Bench, jobs: Jobs) -> None:
    project_id, image_id = bench.project.id, bench.images["b.png"]
    answers = Predictions(bench.lab, jobs)
    plain = answers.mask(image_id)[1]
    seq = send(bench.lab, project_id, image_id, EventKind.BRUSH, **payload(1))
    jobs.clicked(project_id, image_id, client_id=TAB, acknowledged=seq)
    shown = class_map(overlay_after(jobs, image_id, seq))

    _, asked = answers.mask(image_id)
    _, posted = answers.mask_of_picture(picture(1), name="b.png", project_id=project_id)
    _, other = answers.mask_of_picture(picture(7), name="other.png", project_id=project_id)
    file, _ = bench.export()

    assert not plain[PAINTED].any()
    assert (asked[PAINTED] == 1).all()
    np.testing.assert_array_equal(asked, exported(file, "b.png"))
    np.testing.assert_array_equal(asked, posted)
    assert not other[PAINTED].any()
    rows, cols = (np.arange(side) for side in shown.shape)
    seen = asked[np.ix_((2 * rows + 1) * HEIGHT // (2 * len(rows)), (2 * cols + 1) * WIDTH // (2 * len(cols)))]
    assert (seen == shown).mean() > 0.98
    send(bench.lab, project_id, image_id, EventKind.UNDO)
    np.testing.assert_array_equal(answers.mask(image_id)[1], plain)


def exported(file: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(file) as archive:
        return np.asarray(Image.open(io.BytesIO(archive.read(f"masks/{name}"))))
