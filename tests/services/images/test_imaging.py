"""Laws of making pictures anew: all at once or not at all, and everything that was made of them follows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fcnlab.domain.images import ImageInfo, Imaging, Stretch
from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.errors import InvalidSetting, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.images.imaging import imaging_text, parse_imaging, sample_of, set_imaging
from fcnlab.services.images.importing import import_files, read_picture
from fcnlab.services.images.pictures import shown_file, thumbnail_file
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects.projects import create_project, images, project
from tests.support.tabs import Tab

HW = (40, 70)
FALSE_COLOUR = Imaging((4, 3, 1), (Stretch(0, 2000), None, Stretch(100, 900)))


@pytest.fixture
def field(lab: Lab) -> Project:
    return create_project(lab, name="field")


@pytest.fixture
def satellite(lab: Lab, field: Project, tmp_path: Path) -> tuple[ImageInfo, ...]:
    """Two images of five channels."""
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 2000, (5, *HW), dtype=np.uint16)
        tifffile.imwrite(tmp_path / f"{seed}.tif", pixels, planarconfig="separate", photometric="minisblack")
    paths = [(f"{seed}.tif", tmp_path / f"{seed}.tif") for seed in range(2)]
    assert all(step.refused is None for step in import_files(lab, paths, project_id=field.id))
    return images(lab, project_id=field.id)


def remade(lab: Lab, project_id: int, imaging: Imaging) -> list[str]:
    return [step.refused for step in set_imaging(lab, project_id=project_id, imaging=imaging)]


def files(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_pictures_thumbnails_and_names_follow_the_settings(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]
) -> None:
    before = [read_picture(lab, one) for one in satellite]

    assert remade(lab, field.id, FALSE_COLOUR) == ["", ""]

    after = images(lab, project_id=field.id)
    assert project(lab, project_id=field.id).imaging == FALSE_COLOUR
    for old, new, picture in zip(satellite, after, before, strict=True):
        assert new.picture_id != old.picture_id
        assert new.content_hash == old.content_hash
        assert new.imaging is not None
        assert new.imaging.channels == (4, 3, 1)
        assert new.imaging.limits[0] == Stretch(0, 2000)
        with Image.open(shown_file(lab, new)) as shown:
            assert np.array_equal(np.asarray(shown), read_picture(lab, new))
        assert not np.array_equal(read_picture(lab, new), picture)
    assert files(lab.folders.shown) == files(lab.folders.thumbs) == {one.picture_id for one in after}


def test_a_picture_described_before_stays_as_it_was(lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]) -> None:
    before = read_picture(lab, satellite[0])

    remade(lab, field.id, FALSE_COLOUR)

    assert np.array_equal(read_picture(lab, satellite[0]), before)
    assert thumbnail_file(lab, satellite[0]).is_file()


def test_every_database_keeps_how_pictures_are_made(any_lab: Lab, tmp_path: Path) -> None:
    number = create_project(any_lab, name="field").id
    for seed in range(3):
        np.save(tmp_path / f"{seed}.npy", np.random.default_rng(seed).random((*HW, 5)))
    paths = [(f"{seed}.npy", tmp_path / f"{seed}.npy") for seed in range(3)]
    list(import_files(any_lab, paths, project_id=number))
    before = images(any_lab, project_id=number)

    remade(any_lab, number, FALSE_COLOUR)
    after = images(any_lab, project_id=number)
    remade(any_lab, number, Imaging())

    assert [one.imaging.channels for one in after if one.imaging] == [(4, 3, 1)] * 3
    assert len({one.picture_id for one in (*before, *after)}) == 6
    assert images(any_lab, project_id=number) == before


def test_going_back_is_going_back(lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]) -> None:
    remade(lab, field.id, FALSE_COLOUR)
    remade(lab, field.id, Imaging())

    assert images(lab, project_id=field.id) == satellite


def test_channels_that_no_image_has_are_refused_and_leave_nothing(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]
) -> None:
    shown = files(lab.folders.shown)

    with pytest.raises(InvalidSetting, match="9"):
        remade(lab, field.id, Imaging((9,), (Stretch(0, 70),)))

    assert images(lab, project_id=field.id) == satellite
    assert project(lab, project_id=field.id).imaging.is_default
    assert files(lab.folders.shown) == shown


def test_images_that_lack_a_channel_are_told(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "wide.npy", np.random.default_rng(5).random((*HW, 7)))
    list(import_files(lab, [("wide.npy", tmp_path / "wide.npy")], project_id=field.id))

    steps = list(set_imaging(lab, project_id=field.id, imaging=Imaging((7,))))

    assert [(one.name, one.fits) for one in steps] == [("0.tif", False), ("1.tif", False), ("wide.npy", True)]


def test_a_project_without_images_takes_any_channels(lab: Lab, field: Project) -> None:
    assert remade(lab, field.id, Imaging((9,))) == []
    assert project(lab, project_id=field.id).imaging == Imaging((9,))


def test_nothing_changes_until_everything_is_made(lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]) -> None:
    steps = set_imaging(lab, project_id=field.id, imaging=FALSE_COLOUR)

    next(steps)
    steps.close()  # type: ignore[attr-defined]

    assert images(lab, project_id=field.id) == satellite
    assert project(lab, project_id=field.id).imaging.is_default


def test_images_imported_meanwhile_are_made_too(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "late.npy", np.random.default_rng(5).random((*HW, 6)))
    steps = set_imaging(lab, project_id=field.id, imaging=FALSE_COLOUR)
    next(steps)

    list(import_files(lab, [("late.npy", tmp_path / "late.npy")], project_id=field.id))
    names = [step.name for step in steps]

    assert names == ["1.tif", "late.npy"]
    assert [one.imaging.channels for one in images(lab, project_id=field.id) if one.imaging] == [(4, 3, 1)] * 3


def test_an_import_that_runs_meanwhile_takes_the_new_settings(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...], tmp_path: Path
) -> None:
    def stream() -> Iterator[tuple[str, Path]]:
        remade(lab, field.id, FALSE_COLOUR)
        np.save(tmp_path / "late.npy", np.random.default_rng(5).random((*HW, 6)))
        yield "late.npy", tmp_path / "late.npy"

    list(import_files(lab, stream(), project_id=field.id))

    late = images(lab, project_id=field.id)[-1]
    assert late.imaging is not None
    assert late.imaging.channels == (4, 3, 1)
    assert files(lab.folders.shown) >= {late.picture_id}


def test_an_image_whose_original_is_gone_is_named_and_the_others_are_made(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]
) -> None:
    next(lab.folders.images.rglob(f"{satellite[0].content_hash}.tif")).unlink()

    refused = remade(lab, field.id, FALSE_COLOUR)

    assert "missing" in refused[0]
    assert refused[1] == ""
    assert images(lab, project_id=field.id)[0] == satellite[0]


def test_encoded_pictures_are_kept_apart_by_how_they_were_made(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]
) -> None:
    store, spec = PictureStore(lab), LearnerSpec(working_side=64, scales=(1.0,))
    before = store.passing_picture(satellite[0], spec)

    remade(lab, field.id, FALSE_COLOUR)
    after = store.passing_picture(images(lab, project_id=field.id)[0], spec)

    assert len(list((lab.folders.features / "stages").rglob("*.safetensors"))) == 2
    assert not np.array_equal(before.lab, after.lab)


def test_the_learner_forgets_what_the_old_pictures_taught(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]
) -> None:
    tab = Tab(lab, project_id=field.id, image_id=satellite[0].id)
    tab.add(5, 9, 0), tab.add(30, 60, 1)
    learner = ProjectLearner(lab, PictureStore(lab), project_id=field.id)
    learner.refresh()
    learner.learn_from(satellite[0])
    assert learner.images_to_learn_from() == []
    revision = learner.revision

    remade(lab, field.id, FALSE_COLOUR)
    learner.refresh()

    (again,) = learner.images_to_learn_from()
    assert again.imaging is not None
    assert again.imaging.channels == (4, 3, 1)
    assert learner.revision > revision


def test_one_content_in_two_projects_looks_as_each_wants_it(
    lab: Lab, field: Project, satellite: tuple[ImageInfo, ...], tmp_path: Path
) -> None:
    other = create_project(lab, name="other")
    list(import_files(lab, [("0.tif", tmp_path / "0.tif")], project_id=other.id))

    remade(lab, field.id, FALSE_COLOUR)

    (same,) = images(lab, project_id=other.id)
    assert same.picture_id == satellite[0].picture_id
    assert shown_file(lab, same).is_file()


def test_a_sample_shows_what_settings_would_do(lab: Lab, field: Project, satellite: tuple[ImageInfo, ...]) -> None:
    sample = sample_of(lab, satellite[0])

    rgb, recipe = sample.picture(Imaging((2,), (Stretch(0, 1999),)))

    assert (rgb.shape, len(sample.ranges)) == ((*HW, 3), 5)
    assert all(0 <= one.low < 100 and 1900 < one.high < 2000 for one in sample.ranges)
    assert recipe.imaging == Imaging((2,), (Stretch(0, 1999),))


@pytest.mark.parametrize(
    ("channels", "limits"), [("3,2,1", "0:4000"), ("", ""), ("2", "auto"), ("3,2,1", "0:4000,auto,-1.5:2")]
)
def test_what_is_typed_is_what_is_shown(channels: str, limits: str) -> None:
    assert imaging_text(parse_imaging(channels, limits)) == (channels, limits)


@pytest.mark.parametrize(("channels", "limits"), [("red", ""), ("1,2", ""), ("", "5"), ("", "9:1"), ("", "0:a")])
def test_what_cannot_be_understood_is_explained(channels: str, limits: str) -> None:
    with pytest.raises(InvalidSetting):
        parse_imaging(channels, limits)


def test_a_project_that_does_not_exist_has_no_pictures(lab: Lab) -> None:
    with pytest.raises(UnknownProject):
        set_imaging(lab, project_id=7, imaging=Imaging())
