"""PointSegmenter: what it learns, what it refuses, and what a saved one remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

import fcnlab
from fcnlab import errors

POINTS = np.array([(150, 230, 1), (100, 200, 1), (10, 440, 0), (285, 20, 0), (150, 440, 0)])


@pytest.fixture(scope="module")
def cat() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.chelsea())


def fitted_segmenter(
    cat: NDArray[np.uint8], points: NDArray[np.int64] = POINTS, **options: object
) -> fcnlab.PointSegmenter:
    segmenter = fcnlab.PointSegmenter(classes=["background", "cat"], device="cpu", **options)
    image = segmenter.add_image(cat)
    segmenter.add_points(image, points[:, 0], points[:, 1], points[:, 2])
    return segmenter.fit()


def test_predictions_have_the_shape_of_the_image_and_probabilities_sum_to_one(cat: NDArray[np.uint8]) -> None:
    segmenter = fitted_segmenter(cat)

    mask = segmenter.predict(segmenter.add_image(cat))
    probabilities = segmenter.predict_proba(segmenter.add_image(cat))

    assert mask.shape == cat.shape[:2]
    assert mask.dtype == np.uint8
    assert probabilities.shape == (*cat.shape[:2], 2)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=2), 1, atol=1e-5)


def test_every_clicked_pixel_has_its_class_in_a_picture_larger_than_the_working_size(cat: NDArray[np.uint8]) -> None:
    segmenter = fitted_segmenter(cat, working_side=128, object_mode=True)

    mask = segmenter.predict(segmenter.add_image(cat))

    np.testing.assert_array_equal(mask[POINTS[:, 0], POINTS[:, 1]], POINTS[:, 2])


def test_a_cold_fit_is_the_same_whatever_the_order_of_clicks_and_images(cat: NDArray[np.uint8]) -> None:
    coffee = skimage.data.coffee()
    results = []
    for order in (1, -1):
        segmenter = fcnlab.PointSegmenter(classes=["background", "thing"], device="cpu")
        ids = [segmenter.add_image(array) for array in (cat, coffee)[::order]]
        for image in ids:
            segmenter.add_points(image, *POINTS[::order].T)
        results.append(segmenter.fit().predict_proba(cat))

    np.testing.assert_array_equal(results[0], results[1])


def test_a_warm_fit_agrees_with_a_cold_one(cat: NDArray[np.uint8]) -> None:
    segmenter = fitted_segmenter(cat, POINTS[:3])
    image = segmenter.add_image(cat)
    segmenter.add_points(image, *POINTS[3:].T)

    warm = segmenter.fit(warm=True).predict_proba(image)
    cold = segmenter.fit().predict_proba(image)

    assert np.abs(warm - cold).max() < 1e-3


def test_a_pixel_labelled_again_takes_the_new_class(cat: NDArray[np.uint8]) -> None:
    segmenter = fitted_segmenter(cat)
    image = segmenter.add_image(cat)

    segmenter.add_points(image, [150], [230], [0])

    assert segmenter.fit().predict(image)[150, 230] == 0


def test_grey_deep_and_transparent_images_are_taken(cat: NDArray[np.uint8]) -> None:
    grey = cat[:, :, 0]
    deep = grey.astype(np.uint16) * 200
    transparent = np.dstack([cat, np.full(cat.shape[:2], 255, np.uint8)])
    segmenter = fitted_segmenter(cat)

    masks = [segmenter.predict(array) for array in (grey, deep, transparent)]

    assert all(mask.shape == cat.shape[:2] for mask in masks)
    np.testing.assert_array_equal(masks[2], segmenter.predict(cat))


def test_the_same_array_is_one_image(cat: NDArray[np.uint8]) -> None:
    segmenter = fitted_segmenter(cat)

    assert segmenter.add_image(cat) == segmenter.add_image(cat.copy())


def test_a_saved_segmenter_predicts_the_same_and_learns_on_where_it_stopped(
    cat: NDArray[np.uint8], tmp_path: Path
) -> None:
    segmenter = fitted_segmenter(cat, object_mode=True)
    segmenter.save(tmp_path / "cat.safetensors")

    loaded = fcnlab.PointSegmenter.load(tmp_path / "cat.safetensors", device="cpu")
    image = loaded.add_image(cat)

    assert loaded.spec == segmenter.spec
    np.testing.assert_array_equal(loaded.predict(image), segmenter.predict(image))
    for both in (loaded, segmenter):
        both.add_points(image, [40], [300], [1])
    np.testing.assert_array_equal(loaded.fit().predict(image), segmenter.fit().predict(image))


GRADED_POINTS = np.array(
    [
        (150, 230, 3),
        (100, 200, 3),
        (10, 440, 0),
        (285, 20, 0),
        (40, 300, 1),
        (150, 440, 1),
        (200, 260, 2),
        (120, 120, 2),
    ]
)


def graded_segmenter(cat: NDArray[np.uint8], **options: object) -> fcnlab.PointSegmenter:
    segmenter = fcnlab.PointSegmenter(["none", "sparse", "medium", "dense"], device="cpu", **options)
    segmenter.add_points(segmenter.add_image(cat), *GRADED_POINTS.T)
    return segmenter.fit()


def test_grades_are_named_saved_loaded_and_learned_on_with(cat: NDArray[np.uint8], tmp_path: Path) -> None:
    segmenter = graded_segmenter(cat, grades=["none", "sparse", "medium", "dense"])
    segmenter.save(tmp_path / "graded.safetensors")

    loaded = fcnlab.PointSegmenter.load(tmp_path / "graded.safetensors", device="cpu")
    image = loaded.add_image(cat)

    assert loaded.spec.grades == segmenter.spec.grades == (0, 1, 2, 3)
    np.testing.assert_array_equal(
        segmenter.predict(image)[GRADED_POINTS[:, 0], GRADED_POINTS[:, 1]], GRADED_POINTS[:, 2]
    )
    np.testing.assert_array_equal(loaded.predict(image), segmenter.predict(image))
    assert (segmenter.predict(image) != graded_segmenter(cat).predict(image)).any()
    for both in (loaded, segmenter):
        both.add_points(image, [60], [60], [1])
    np.testing.assert_array_equal(loaded.fit().predict(image), segmenter.fit().predict(image))
    np.testing.assert_allclose(
        segmenter.fit(warm=True).predict_proba(image), loaded.fit().predict_proba(image), atol=1e-3
    )


def test_grades_in_reverse_give_the_same_mask(cat: NDArray[np.uint8]) -> None:
    up, down = (graded_segmenter(cat, grades=grades) for grades in ((0, 1, 2, 3), (3, 2, 1, 0)))

    assert np.abs(up.predict_proba(cat) - down.predict_proba(cat)).max() < 1e-3


@pytest.mark.parametrize("grades", [["none", "some"], [0, 4], [0, True], "none", 3, [0.5, 1]])
def test_grades_that_are_no_classes_are_refused(grades: object) -> None:
    with pytest.raises(errors.InvalidClasses, match="grade"):
        fcnlab.PointSegmenter(["none", "sparse", "dense"], grades=grades)


def test_a_failed_save_leaves_the_old_file_intact(
    cat: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cat.safetensors"
    fitted_segmenter(cat).save(path)
    before = path.read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(errors.CheckpointError, match="disk full"):
        fitted_segmenter(cat, POINTS[:4]).save(path)

    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", [b"", b"no model at all", None])
def test_a_damaged_file_is_explained(cat: NDArray[np.uint8], tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "cat.safetensors"
    fitted_segmenter(cat).save(path)
    path.write_bytes(path.read_bytes()[:-400] if damage is None else damage)

    with pytest.raises(errors.CheckpointError, match=r"cat\.safetensors"):
        fcnlab.PointSegmenter.load(path)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(errors.CheckpointError, match="there is no model file"):
        fcnlab.PointSegmenter.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "no class"),
        (["a", "b", "a"], "named twice"),
        (["a", " "], "name of class 1 is empty"),
        ("ab", "list of names"),
    ],
)
def test_bad_class_lists_are_refused(classes: list[str], message: str) -> None:
    with pytest.raises(errors.InvalidClasses, match=message):
        fcnlab.PointSegmenter(classes=classes)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 7, 2), np.uint8), "shape"),
        (np.zeros((5, 7, 7), np.uint8), "shape"),
        (np.full((5, 7), np.nan), "float64"),
        (np.zeros((0, 7), np.uint8), "no pixels"),
        (np.zeros((5,), np.uint8), "shape"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array: NDArray[np.float64], message: str) -> None:
    segmenter = fcnlab.PointSegmenter(classes=["a", "b"], device="cpu")

    with pytest.raises(errors.InvalidImage, match=message):
        segmenter.add_image(array)


@pytest.mark.parametrize(
    ("rows", "cols", "class_ids", "error"),
    [
        ([300], [0], [0], errors.ClickOutsideImage),
        ([0], [-1], [0], errors.ClickOutsideImage),
        ([0], [0], [2], errors.InvalidClasses),
        ([0, 1], [0], [0], errors.InvalidPoints),
        ([0.5], [0], [0], errors.InvalidPoints),
    ],
)
def test_bad_points_are_refused_and_none_of_them_is_kept(
    cat: NDArray[np.uint8], rows: list[float], cols: list[int], class_ids: list[int], error: type[Exception]
) -> None:
    segmenter = fcnlab.PointSegmenter(classes=["background", "cat"], device="cpu")
    image = segmenter.add_image(cat)

    with pytest.raises(error):
        segmenter.add_points(image, rows, cols, class_ids)

    with pytest.raises(errors.NoPoints):
        segmenter.fit()


def test_a_last_row_and_column_can_be_clicked(cat: NDArray[np.uint8]) -> None:
    corner = np.array([(299, 450, 0), (150, 230, 1)])

    segmenter = fitted_segmenter(cat, corner)

    assert segmenter.predict(segmenter.add_image(cat))[299, 450] == 0


def test_one_click_gives_a_first_mask_where_a_class_is_the_background(cat: NDArray[np.uint8], tmp_path: Path) -> None:
    first = fitted_segmenter(cat, np.array([(150, 230, 1)]))
    image = first.add_image(cat)

    mask = first.predict(image)

    assert mask[150, 230] == 1
    assert 0.02 < (mask == 1).mean() < 0.8, "neither a spot nor everything"
    assert (mask[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).sum() >= 2
    assert sum(len(one.clicks) for one in first.model().samples) == 1, "nothing of the guess is a point"
    first.save(tmp_path / "first.safetensors")
    again = fcnlab.PointSegmenter.load(tmp_path / "first.safetensors", device="cpu")
    assert np.array_equal(again.fit().predict(again.add_image(cat)), mask)
    bare = fcnlab.PointSegmenter(classes=["background", "cat"], background=None, device="cpu")
    bare.add_points(bare.add_image(cat), [150], [230], [1])
    with pytest.raises(errors.NoPoints, match="second class"):
        bare.fit()


def test_after_the_second_class_nothing_is_left_of_the_guess(cat: NDArray[np.uint8]) -> None:
    guessed = fitted_segmenter(cat, np.array([(150, 230, 1)]))
    asked = fcnlab.PointSegmenter(classes=["background", "cat"], device="cpu")
    for segmenter in (guessed, asked):
        image = segmenter.add_image(cat)
        segmenter.add_points(image, [150, 20], [230, 420], [1, 0])
        segmenter.fit()

    assert np.array_equal(guessed.predict_proba(image), asked.predict_proba(image))
    assert guessed.model().samples[0].samples.guess is None


def test_misuse_is_explained(cat: NDArray[np.uint8]) -> None:
    segmenter = fcnlab.PointSegmenter(classes=["background", "cat"], device="cpu")
    image = segmenter.add_image(cat)

    with pytest.raises(errors.NotFitted, match="fit"):
        segmenter.predict(image)
    with pytest.raises(errors.UnknownImage, match="add_image"):
        segmenter.add_points("nonsense", [0], [0], [0])
    segmenter.add_points(image, [1], [1], [0])
    with pytest.raises(errors.NoPoints, match="second class"):
        segmenter.fit()
    with pytest.raises(errors.InvalidClasses, match="background 'dog'"):
        fcnlab.PointSegmenter(classes=["a", "b"], background="dog")
    with pytest.raises(errors.InvalidSetting, match="unknown learner setting"):
        fcnlab.PointSegmenter(classes=["a", "b"], colour="red")
    with pytest.raises(errors.InvalidSetting, match="device"):
        fcnlab.PointSegmenter(classes=["a", "b"], device="abacus")


def test_every_error_is_of_one_family() -> None:
    found = [one for one in vars(errors).values() if isinstance(one, type) and one.__module__ == errors.__name__]

    assert all(issubclass(one, fcnlab.FcnlabError) for one in found)


def test_a_network_trained_on_the_points_predicts_until_the_next_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 60, (60, 90, 3)).astype(np.uint8)
    photo[:, 45:] += 150
    segmenter = fcnlab.PointSegmenter(classes=["dark", "never clicked", "light"])
    image = segmenter.add_image(photo)
    segmenter.add_points(image, [10, 30, 50, 10, 30, 50], [8, 20, 34, 60, 70, 84], [0, 0, 0, 2, 2, 2])

    steps = list(segmenter.finetune("unet", encoder="", width=4, epochs=30, learning_rate=1e-2, ema=0.8))
    mask = segmenter.predict(image)
    segmenter.save(tmp_path / "network.safetensors")
    loaded = fcnlab.PointSegmenter.load(tmp_path / "network.safetensors")

    assert [step.epoch for step in steps] == list(range(1, 31))
    assert mask.shape == (60, 90)
    assert ((mask == 2) == (photo[..., 0] > 100)).mean() > 0.95
    np.testing.assert_allclose(segmenter.predict_proba(image).sum(axis=2), 1, atol=1e-5)
    np.testing.assert_array_equal(loaded.predict(photo), segmenter.predict(photo))
    segmenter.fit()
    assert segmenter.predict(image).shape == (60, 90)
    with pytest.raises(fcnlab.FcnlabError, match="unknown option 'epoch'"):
        next(segmenter.finetune("unet", epoch=3))


def test_a_network_of_the_segmenter_uses_the_order_of_its_grades(tmp_path: Path) -> None:
    photo = np.repeat(np.linspace(20, 230, 4).astype(np.uint8), 24)[None, :, None] * np.ones((60, 1, 3), np.uint8)
    segmenter = fcnlab.PointSegmenter(classes=["a", "b", "c", "d"], background=None, grades=[3, 2, 1, 0])
    image = segmenter.add_image(photo)
    rows, cols = [10, 30, 50] * 4, [column * 24 + at for column in range(4) for at in (6, 12, 18)]
    segmenter.add_points(image, rows, cols, np.repeat(np.arange(4), 3))

    list(segmenter.finetune("unet", encoder="", width=4, epochs=60, learning_rate=1e-2, ema=0.8, order="corn"))
    segmenter.save(tmp_path / "network.safetensors")

    loaded = fcnlab.PointSegmenter.load(tmp_path / "network.safetensors")
    mask = segmenter.predict(image)
    assert (mask == np.repeat(np.arange(4), 24)).mean() > 0.6
    unclicked = np.ascontiguousarray(photo[:, ::-1])
    np.testing.assert_array_equal(loaded.predict(unclicked), segmenter.predict(unclicked))
    with pytest.raises(fcnlab.FcnlabError, match="needs grades"):
        list(segmenter.finetune("unet", encoder="", width=4, epochs=1, grades=[], order="corn"))
