"""Training on the points of a project: what is learned from, what is held out, what an interruption leaves."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, points_of_image
from fcnlab.services.models.files import NetworkPredictor, load_network
from fcnlab.services.projects import projects
from fcnlab.services.training.finetuning import SnapshotPace, TrainedNetwork, train
from fcnlab.storage.files.checkpoints import load_checkpoint, load_spec, save_checkpoint
from tests.support.bars import HEIGHT, WIDTH, Site
from tests.support.label_imports import masks_in, take_in


@pytest.fixture
def site(lab: Lab) -> Site:
    site = Site(lab, 6)
    for number in range(6):
        site.click(number)
    return site


def finished(steps: object) -> tuple[list[TrainingProgress], TrainedNetwork]:
    seen = []
    while True:
        try:
            seen.append(next(steps))  # type: ignore[call-overload]
        except StopIteration as end:
            return seen, end.value


def test_a_training_ends_in_a_checkpoint_that_segments(site: Site, tmp_path: Path) -> None:
    training = TrainingSpec(epochs=40, batch_size=2, learning_rate=1e-2, ema=0.9, holdout=0.34)

    steps, trained = finished(train(site.lab, site.job(training), resume=None, checkpoint=tmp_path / "resume"))
    save_checkpoint(tmp_path / "model.safetensors", dict(trained.arrays), dict(trained.spec))
    mask = NetworkPredictor(load_network(tmp_path / "model.safetensors", device="cpu"), device="cpu").mask(
        site.pixels[0]
    )

    light = site.pixels[0][..., 0] > 100
    assert len(steps) == 40
    assert isinstance(trained.score, PointScore)
    gain = trained.score.over_instant
    assert gain is not None
    assert gain.n_points == trained.score.n_points
    # read from masks, where the score is of the points themselves
    assert gain.instant + gain.gain == pytest.approx(trained.score.accuracy, abs=0.1)
    assert -1 <= gain.low <= gain.gain <= gain.high <= 1
    assert trained.score.sources == {"click": trained.score.n_points}
    assert mask.shape == (HEIGHT, WIDTH)
    assert ((mask == site.project.classes[1].id) == light).mean() > 0.9


def test_a_comparison_with_the_instant_learner_that_fails_does_not_fail_the_training(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("fcnlab.services.comparing.over_instant.gain_over_instant", fails)
    training = TrainingSpec(epochs=2, batch_size=2, holdout=0.34)

    _, trained = finished(train(site.lab, site.job(training), resume=None, checkpoint=tmp_path / "resume"))

    assert isinstance(trained.score, PointScore)
    assert trained.score.over_instant is None
    assert "out of memory" in caplog.text


def test_a_closed_training_goes_on_where_it_was_and_ends_alike(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "training.resume"
    _, whole = finished(train(site.lab, site.job(), resume=None, checkpoint=tmp_path / "other"))
    steps = train(site.lab, site.job(), resume=None, checkpoint=file)
    next(steps)
    steps.close()

    rest, resumed = finished(train(site.lab, site.job(), resume=file, checkpoint=file))

    assert [step.epoch for step in rest] == [2, 3]
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, resumed.arrays[name])


def test_no_image_is_both_learned_from_and_held_out(site: Site) -> None:
    points = site.points()

    learned, held = ({one.image for one in part} for part in (points.learned_from(), points.held_out()))

    assert len(held) in (2, 3)  # a third of six, and what looks like them
    assert learned | held == {f"{number}.png" for number in range(6)}
    assert not learned & held


def test_pictures_that_look_alike_stay_on_one_side(lab: Lab) -> None:
    site = Site(lab, 4)
    for copy in range(4):  # each picture once more, a little darker
        darker = (site.pixels[copy] * 0.9).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(darker).save(buffer, format="PNG")
        site.images += [
            step.image_id or 0
            for step in import_files(lab, [(f"again{copy}.png", buffer.getvalue())], project_id=site.project.id)
        ]
        site.pixels.append(darker)
    for number in range(8):
        site.click(number, per_class=2)

    for seed in range(6):
        held = {one.image for one in site.points(TrainingSpec(holdout=0.25, seed=seed)).held_out()}

        assert len(held) == 2
        assert {name.removeprefix("again") for name in held} == {min(held, key=len)}


def test_the_last_points_of_a_class_are_never_held_out(lab: Lab) -> None:
    site = Site(lab, 5)
    rare = site.project.classes[1].id
    for number in range(5):
        classes = [rare] if number == 2 else []
        points = [Point(1, 1, site.project.classes[0].id), *(Point(9, 9, one) for one in classes)]
        add_points(lab, points, image_id=site.images[number], labeller="ann", source=PointSource.CLICK)

    for seed in range(10):
        points = site.points(TrainingSpec(holdout=0.6, seed=seed))

        assert any(1 in one.classes for one in points.learned_from())


def test_the_score_is_taken_on_randomly_drawn_pixels_when_there_are_enough(site: Site) -> None:
    before = site.points()
    assert before.described(None) is None
    for number in range(6):
        site.click(number, per_class=6, source=PointSource.RANDOM_QUERY)

    held = site.points().held_out()

    assert {len(one.classes) for one in held} == {12}


def test_weights_follow_the_source_of_a_point(site: Site) -> None:
    site.click(0, per_class=2, source=PointSource.SCRIBBLE)

    points = site.points(TrainingSpec(holdout=0, source_weights=("scribble=0.25",)))

    first = next(one for one in points.learned_from() if one.image == "0.png")
    stored = points_of_image(site.lab, image_id=site.images[0])
    assert sorted(first.weights.tolist()) == [0.25] * sum(one.source is PointSource.SCRIBBLE for one in stored) + [
        1.0
    ] * sum(one.source is PointSource.CLICK for one in stored)


def test_points_added_meanwhile_join_the_next_epoch(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, 3)
    site.click(0)
    steps = train(lab, site.job(TrainingSpec(epochs=2, holdout=0)), resume=None, checkpoint=tmp_path / "resume")
    next(steps)
    site.click(1)

    _, trained = finished(steps)

    assert trained.n_points == 12


def test_two_classes_are_needed(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, 1)
    add_points(
        lab,
        [Point(1, 2, site.project.classes[0].id)],
        image_id=site.images[0],
        labeller="ann",
        source=PointSource.CLICK,
    )

    with pytest.raises(NoPoints, match="second class"):
        next(train(lab, site.job(), resume=None, checkpoint=tmp_path / "resume"))


def test_a_file_of_another_training_is_refused(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "training.resume"
    steps = train(site.lab, site.job(), resume=None, checkpoint=file)
    next(steps)
    steps.close()
    other = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=8)

    with pytest.raises(CheckpointError, match="start a new one"):
        next(train(site.lab, site.job(network=other), resume=file, checkpoint=file))
    assert load_checkpoint(file)[1]["course"]["stage"] == 0


def test_a_training_may_start_from_a_model_and_refuses_one_that_does_not_fit(site: Site, tmp_path: Path) -> None:
    gentle = TrainingSpec(epochs=1, batch_size=2, learning_rate=1e-7, ema=0, holdout=0, parent="parent.safetensors")
    _, parent = finished(train(site.lab, site.job(), resume=None, checkpoint=tmp_path / "resume"))
    save_checkpoint(site.lab.folders.checkpoints / "parent.safetensors", dict(parent.arrays), dict(parent.spec))

    _, child = finished(train(site.lab, site.job(gentle), resume=None, checkpoint=tmp_path / "resume"))

    for name, array in parent.arrays.items():
        np.testing.assert_allclose(array, child.arrays[name], atol=1e-5)
    wider = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=8)
    with pytest.raises(CheckpointError, match="other settings"):
        next(train(site.lab, site.job(gentle, wider), resume=None, checkpoint=tmp_path / "resume"))
    new_class = projects.add_class(site.lab, project_id=site.project.id, name="third").id
    add_points(site.lab, [Point(2, 2, new_class)], image_id=site.images[0], labeller="ann", source=PointSource.CLICK)
    with pytest.raises(CheckpointError, match=r"settings|classes"):
        next(train(site.lab, site.job(gentle), resume=None, checkpoint=tmp_path / "resume"))


def test_a_training_that_starts_from_a_model_holds_out_what_that_model_held_out(site: Site, tmp_path: Path) -> None:
    _, parent = finished(train(site.lab, site.job(), resume=None, checkpoint=tmp_path / "resume"))
    save_checkpoint(site.lab.folders.checkpoints / "parent.safetensors", dict(parent.arrays), dict(parent.spec))
    other = TrainingSpec(epochs=1, holdout=0.5, seed=7, parent="parent.safetensors")

    _, child = finished(train(site.lab, site.job(other), resume=None, checkpoint=tmp_path / "resume"))

    assert child.spec["plan"] == parent.spec["plan"]
    assert child.spec["plan"]["held_out"]


def test_an_image_labelled_later_that_looks_like_one_held_out_is_held_out_too(site: Site) -> None:
    points = site.points()
    held = points.held_out()[0].image
    darker = (site.pixels[int(held.removesuffix(".png"))] * 0.9).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(darker).save(buffer, format="PNG")
    later = next(iter(import_files(site.lab, [("later.png", buffer.getvalue())], project_id=site.project.id)))
    point = Point(3, 3, site.project.classes[0].id)
    add_points(site.lab, [point], image_id=later.image_id or 0, labeller="ann", source=PointSource.CLICK)

    learned = {one.image for one in points.learned_from()}

    assert "later.png" not in learned
    assert "later.png" in {one.image for one in points.held_out()}


def test_a_source_of_weight_zero_is_left_out(site: Site) -> None:
    points = site.points(TrainingSpec(holdout=0, source_weights=("click=0",)))

    with pytest.raises(NoPoints):
        points.learned_from()


def test_a_network_of_fixed_size_learns_from_pictures_of_any_size(site: Site, tmp_path: Path) -> None:
    network = NetworkSpec(NetworkName.FULLY_CONNECTED, 2, encoder=SCRATCH, width=4)

    _, trained = finished(
        train(site.lab, site.job(TrainingSpec(epochs=1), network), resume=None, checkpoint=tmp_path / "resume")
    )
    save_checkpoint(tmp_path / "model.safetensors", dict(trained.arrays), dict(trained.spec))
    model = load_network(tmp_path / "model.safetensors", device="cpu")

    assert model.network.spec.input_hw == (160, 256)
    assert NetworkPredictor(model, device="cpu").mask(site.pixels[0]).shape == (HEIGHT, WIDTH)


def test_a_foreign_file_is_refused_and_never_run(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_checkpoint(file, {"head.weights": np.zeros((2, 3), np.float32)}, {"kind": "network", "network": {}})

    with pytest.raises(CheckpointError, match="fit together"):
        load_network(file, device="cpu")


def paced(epoch_s: float, write_s: float) -> tuple[list[tuple[float, float]], float, float]:
    """Of 400 epochs (what a kill at the end of each would lose, time since the start); time spent writing; all time."""
    clock = [0.0]
    pace = SnapshotPace(lambda: clock[0])
    kept = spent = 0.0
    losses = []
    for _ in range(400):
        clock[0] += epoch_s
        losses.append((clock[0] - kept, clock[0]))
        if pace.is_due():
            kept = clock[0]
            with pace.writing():
                clock[0] += write_s
            spent += write_s
    return losses, spent, clock[0]


@pytest.mark.parametrize(("epoch_s", "write_s"), [(0.15, 0.01), (5.0, 0.1), (60.0, 2.0), (1.0, 0.05)])
def test_a_kill_loses_a_tenth_of_the_time_and_the_epoch_under_way(epoch_s: float, write_s: float) -> None:
    losses, _, _ = paced(epoch_s, write_s)

    for lost, elapsed in losses:
        assert lost <= min(0.1 * elapsed, 30.0) + epoch_s + write_s + 1e-9


@pytest.mark.parametrize(("epoch_s", "write_s"), [(0.15, 0.01), (1.0, 0.3), (0.2, 1.0), (0.5, 5.0), (60.0, 2.0)])
def test_writing_resume_files_takes_a_tenth_of_the_time_after_the_first(epoch_s: float, write_s: float) -> None:
    losses, spent, elapsed = paced(epoch_s, write_s)

    assert losses[1][0] <= epoch_s + write_s  # the first epoch was kept
    assert spent <= 0.1 * elapsed + write_s


def test_a_resume_file_is_there_after_the_first_epoch_and_says_which_it_has(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "x.resume"
    steps = train(site.lab, site.job(), resume=None, checkpoint=file)

    assert next(steps).epoch == 1

    assert load_spec(file)["epoch"] == 1
    next(steps)
    steps.close()
    assert load_spec(file)["epoch"] == 2


def test_a_score_says_where_its_points_came_from_and_is_measured_on_expert_masks(site: Site, tmp_path: Path) -> None:
    names = {one.id: one.name for one in projects.images(site.lab, project_id=site.project.id)}
    light = {image_id: (pixels[..., 0] > 100) for image_id, pixels in zip(site.images, site.pixels, strict=True)}
    masks = {Path(names[image_id]).stem: mask.astype(np.uint8) for image_id, mask in light.items()}
    take_in(site.lab, masks_in(tmp_path / "masks", masks), site.project.id, points_per_image=10, as_format="index")
    training = TrainingSpec(epochs=30, batch_size=2, learning_rate=1e-2, ema=0.9, holdout=0.34)

    steps, trained = finished(train(site.lab, site.job(training), resume=None, checkpoint=tmp_path / "resume"))

    n_held = len(trained.spec["plan"]["held_out"])
    assert isinstance(trained.score, PointScore)
    assert trained.score.sources == {"click": 6 * n_held, "expert_mask": 10 * n_held}
    assert trained.score.n_points == 16 * n_held
    assert trained.score.n_masks == n_held
    assert isinstance(steps[-1].score, PointScore)
    assert steps[-1].score.sources == trained.score.sources
    save_checkpoint(tmp_path / "model.safetensors", dict(trained.arrays), dict(trained.spec))
    model = load_network(tmp_path / "model.safetensors", device="cpu")
    assert model.score == trained.score
    predictor = NetworkPredictor(model, device="cpu")
    counts = np.zeros((2, 2), np.int64)
    for image_id in trained.spec["plan"]["held_out"]:
        counts += confusion(
            light[image_id].astype(np.uint8), predictor.mask(site.pixels[site.images.index(image_id)]), 2
        )
    assert trained.score.mean_iou == pytest.approx(iou_per_class(counts).mean())


def test_points_read_from_a_table_are_not_taken_for_points_of_expert_masks(lab: Lab) -> None:
    site = Site(lab, 6)
    for number in range(6):
        site.click(number, source=PointSource.IMPORT)
    points = site.points()
    n_points = sum(len(one.classes) for one in points.held_out())

    score = points.described(PointScore(0.5, 0, 1, n_points))

    assert isinstance(score, PointScore)
    assert score.sources == {"import": n_points}
