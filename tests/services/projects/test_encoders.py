"""The encoder of a project: used once it is stored, and stored only when it works."""

from __future__ import annotations

import io
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import FcnlabError, InvalidSetting, UnknownEncoder, WeightsUnavailable
from fcnlab.lab import Lab
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, points_of_project
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.storage.files.weights import BUNDLED_ENCODER, weights_fingerprint
from tests.support.bars import Site
from tests.support.encoder_files import OTHER, SMALL, bundled_file, random_file


@pytest.fixture
def site(lab: Lab) -> Site:
    site = Site(lab, 2)
    site.click(0, per_class=5)
    return site


class Photo:
    """As a Site, of a photograph in which it matters what the encoder sees."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.project = lab, projects.create_project(lab, name="cat")
        self.pixels = [skimage.data.chelsea()[::2, ::2], skimage.data.chelsea()[::2, ::-2]]
        files = [(f"{place}.png", encoded_png(pixels)) for place, pixels in enumerate(self.pixels)]
        self.images = [step.image_id or 0 for step in import_files(lab, files, project_id=self.project.id)]
        points = [Point(75, 115, 1), Point(100, 90, 1), Point(20, 215, 0), Point(10, 30, 0), Point(60, 150, 0)]
        add_points(lab, points, image_id=self.images[0], labeller="ann", source=PointSource.CLICK)


def encoded_png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub can be reached, and nothing of it lies on this machine."""

    def refuse(*_: object, **__: object) -> socket.socket:
        raise OSError("no network here")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)


def chosen(site: Site | Photo, **changes: Any) -> LearnerSpec:
    """Change settings as the command line does."""
    known = projects.project(site.lab, project_id=site.project.id).learner
    wanted = projects.changed_learner(known, changes)
    return projects.set_learner(site.lab, project_id=site.project.id, learner=wanted, allow_anywhere=True).learner


def masks_of(site: Site | Photo) -> list[NDArray[np.uint8]]:
    """Masks of all images by the settings that are stored."""
    learner = ProjectLearner(site.lab, PictureStore(site.lab), project_id=site.project.id)
    learner.refresh()
    images = [projects.image(site.lab, image_id=image_id) for image_id in site.images]
    return [predicted_mask(learner, image, learner.source()) for image in images]


def segmented(site: Site | Photo, **options: Any) -> list[NDArray[np.uint8]]:
    """Masks of all images by a PointSegmenter with the same points."""
    segmenter = PointSegmenter([label.name for label in site.project.classes], **options)
    added = dict(zip(site.images, [segmenter.add_image(pixels) for pixels in site.pixels], strict=True))
    for stored in points_of_project(site.lab, project_id=site.project.id):
        point = stored.point
        segmenter.add_points(added[stored.image_id], rows=point.row, cols=point.col, class_ids=point.class_id)
    segmenter.fit()
    return [segmenter.predict(one) for one in added.values()]


def kept_stages(site: Site) -> set[str]:
    """Names of the encoded images on the disk."""
    return {path.name for path in (site.lab.folders.features / "stages").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [{"scales": [2.0, 0.5]}, {"scales": [0.25]}, {"encoder": SMALL, "encoder_weights": random_file}],
    ids=["two scales", "coarse", "network"],
)
def test_masks_are_those_of_a_point_segmenter_with_the_same_encoder(
    lab: Lab, tmp_path: Path, options: dict[str, Any]
) -> None:
    given = {name: str(value(tmp_path)) if callable(value) else value for name, value in options.items()}
    site = Photo(lab)
    before = masks_of(site)

    chosen(site, **given)
    after = masks_of(site)

    wanted = segmented(site, **{name: tuple(one) if name == "scales" else one for name, one in given.items()})
    assert [np.array_equal(*pair) for pair in zip(after, wanted, strict=True)] == [True, True]
    assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_another_encoder_encodes_anew_and_the_old_one_finds_its_images_again(site: Site) -> None:
    before, encoded = masks_of(site), kept_stages(site)

    chosen(site, scales=[1.0])
    masks_of(site)
    encoded_anew = kept_stages(site) - encoded
    chosen(site, scales=[1.0, 0.5])
    again = masks_of(site)

    assert encoded
    assert encoded_anew
    assert kept_stages(site) == encoded | encoded_anew
    assert all(np.array_equal(*pair) for pair in zip(before, again, strict=True))


def test_the_bundled_weights_from_a_file_give_the_masks_of_the_bundled_encoder(site: Site, tmp_path: Path) -> None:
    before = masks_of(site)

    stored = chosen(site, encoder_weights=str(bundled_file(tmp_path)))

    assert stored.encoder_weights.endswith("bundled.safetensors")
    assert all(np.array_equal(*pair) for pair in zip(before, masks_of(site), strict=True))


def test_points_stay(site: Site) -> None:
    before = points_of_project(site.lab, project_id=site.project.id)

    chosen(site, scales=[2.0])

    assert points_of_project(site.lab, project_id=site.project.id) == before
    assert projects.images_with_points(site.lab, project_id=site.project.id) == 1


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_both_kinds_of_weight_files_are_taken(site: Site, tmp_path: Path, suffix: str) -> None:
    path = random_file(tmp_path, suffix=suffix)

    assert chosen(site, encoder=SMALL, encoder_weights=str(path)).encoder_weights == str(path)


def test_another_encoder_does_not_inherit_the_weight_file(site: Site, tmp_path: Path) -> None:
    chosen(site, encoder=SMALL, encoder_weights=str(random_file(tmp_path)))

    assert chosen(site, encoder=BUNDLED_ENCODER).encoder_weights == ""


def damaged(folder: Path) -> Path:
    whole = random_file(folder)
    whole.write_bytes(whole.read_bytes()[:4000])
    return whole


def of_another_kind(folder: Path) -> Path:
    return random_file(folder).rename(folder / "weights.txt")


REFUSED: dict[str, tuple[dict[str, Any], type[FcnlabError], str]] = {
    "unknown name": ({"encoder": "resnet81"}, UnknownEncoder, "did you mean resnet18"),
    "no name": ({"encoder": ""}, UnknownEncoder, "timm knows no network"),
    "strides": ({"encoder": "vit_tiny_patch16_224"}, UnknownEncoder, "has features at strides"),
    "offline": ({"encoder": OTHER}, WeightsUnavailable, "are not on this machine"),
    "missing": ({"encoder_weights": lambda folder: folder / "no.pth"}, WeightsUnavailable, "there is no weight file"),
    "folder": ({"encoder_weights": lambda folder: folder}, WeightsUnavailable, "does not end in"),
    "relative": ({"encoder_weights": "no.pth"}, WeightsUnavailable, "no whole path"),
    "damaged": ({"encoder": SMALL, "encoder_weights": damaged}, WeightsUnavailable, "cannot be read"),
    "kind": ({"encoder": SMALL, "encoder_weights": of_another_kind}, WeightsUnavailable, "does not end in"),
    "of another network": (
        {"encoder": SMALL, "encoder_weights": lambda folder: random_file(folder, OTHER)},
        WeightsUnavailable,
        "cannot be loaded from the file",
    ),
    "of a part": (
        {"encoder": "resnet34", "encoder_weights": lambda folder: random_file(folder, OTHER)},
        WeightsUnavailable,
        "belongs to another network",
    ),
    "no numbers": (
        {"encoder_weights": lambda folder: bundled_file(folder, factor=float("nan"))},
        WeightsUnavailable,
        "are not finite numbers",
    ),
    "too large": (
        {"encoder_weights": lambda folder: bundled_file(folder, factor=1e12)},
        WeightsUnavailable,
        "too large for 16 bits",
    ),
    "of one size": (
        {
            "encoder": "swin_tiny_patch4_window7_224",
            "encoder_weights": lambda folder: random_file(folder, "swin_tiny_patch4_window7_224"),
        },
        UnknownEncoder,
        "takes images of any size",
    ),
    "crooked scale": ({"scales": [1.0, 0.3]}, InvalidSetting, "is no fraction"),
    "scales apart": ({"scales": [1 / 7, 0.2, 1 / 3]}, InvalidSetting, "line up every"),
    "no scale": ({"scales": []}, InvalidSetting, "at least one"),
}


@pytest.mark.parametrize(("changes", "error", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_work_is_refused_and_the_old_settings_stay(
    site: Site, tmp_path: Path, without_network: None, changes: dict[str, Any], error: type[FcnlabError], words: str
) -> None:
    before = chosen(site, scales=[0.5], refine=False)
    given = {name: str(value(tmp_path)) if callable(value) else value for name, value in changes.items()}

    with pytest.raises(error, match=words) as refusal:
        chosen(site, **given)

    assert len(str(refusal.value)) < 1000
    assert projects.project(site.lab, project_id=site.project.id).learner == before


def test_a_network_whose_maps_have_other_sizes_is_refused(site: Site, tmp_path: Path) -> None:
    weights = random_file(tmp_path, "inception_v3")

    with pytest.raises(UnknownEncoder, match=r"inception_v3.* choose"):
        chosen(site, encoder="inception_v3", encoder_weights=str(weights), scales=[4.0])

    assert projects.project(site.lab, project_id=site.project.id).learner == LearnerSpec()


def test_weight_files_come_from_folders_that_are_allowed(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, 1)
    open_folder, closed_folder = tmp_path / "open", tmp_path / "closed"
    for folder in (open_folder, closed_folder):
        folder.mkdir()
    inside, outside = random_file(open_folder), random_file(closed_folder)
    (open_folder / "link.safetensors").symlink_to(outside)
    opened = replace(lab, settings=lab.settings.model_copy(update={"import_roots": (open_folder,)}))

    def stored(where: Lab, path: Path, scale: float) -> LearnerSpec:
        wanted = LearnerSpec(encoder=SMALL, encoder_weights=str(path), scales=(scale,))
        return projects.set_learner(where, project_id=site.project.id, learner=wanted).learner

    for path in (outside, open_folder / "link.safetensors", open_folder / ".." / "closed" / outside.name):
        with pytest.raises(WeightsUnavailable, match="FCNLAB_IMPORT_ROOTS"):
            stored(opened, path, 1.0)

    assert projects.project(lab, project_id=site.project.id).learner == LearnerSpec()
    with pytest.raises(WeightsUnavailable, match="none yet"):
        stored(lab, inside, 1.0)
    assert stored(opened, inside, 1.0).encoder == SMALL
    assert stored(lab, inside, 0.5).scales == (0.5,)  # the file that the project has may stay


def test_settings_that_are_not_of_the_encoder_are_stored_without_loading_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = random_file(tmp_path)
    known = chosen(site, encoder=SMALL, encoder_weights=str(weights))
    weights.unlink()

    stored = chosen(site, refine=False, working_side=512)

    assert stored == replace(known, refine=False, working_side=512)


def test_a_weight_file_that_is_gone_later_is_explained(site: Site, tmp_path: Path) -> None:
    weights = random_file(tmp_path)
    chosen(site, encoder=SMALL, encoder_weights=str(weights))
    weights.unlink()

    with pytest.raises(WeightsUnavailable, match="put it back"):
        weights_fingerprint(SMALL, str(weights))
    with pytest.raises(WeightsUnavailable, match="put it back"):
        masks_of(site)
