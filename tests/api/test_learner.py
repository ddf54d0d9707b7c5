"""The settings of the learner over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from fcnlab.api.service import make_service
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.segmenter.segmenter import PointSegmenter
from tests.support.bars import Site
from tests.support.encoder_files import SMALL, random_file

ADDRESS = "/api/v1/projects/1/learner"
DEFAULT = {**LearnerSpec().to_dict(), "grades": []}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where weight files may come from."""
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


@pytest.fixture
def site(lab: Lab, folder: Path) -> Site:
    site = Site(replace(lab, settings=lab.settings.model_copy(update={"import_roots": (folder,)})), 1)
    site.click(0, per_class=6)
    return site


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(make_service(site.lab, token=None), base_url="http://localhost") as client:
        yield client


def test_settings_are_given_and_taken(client: TestClient, folder: Path) -> None:
    weights = str(random_file(folder))

    first = client.get(ADDRESS)
    changed = client.put(ADDRESS, json={"encoder": SMALL, "encoder_weights": weights, "scales": [2, 1]})
    again = client.put(ADDRESS, json={"resolution": None, "object_mode": True, "working_side": 256})

    assert (first.status_code, first.json()) == (200, DEFAULT)
    encoder = {"encoder": SMALL, "encoder_weights": weights, "scales": [2.0, 1.0]}
    assert (changed.status_code, changed.json()) == (200, {**DEFAULT, **encoder})
    rest = {"resolution": None, "object_mode": True, "working_side": 256}
    assert again.json() == client.get(ADDRESS).json() == {**DEFAULT, **encoder, **rest}
    assert client.put(ADDRESS, json={}).json() == again.json()
    assert client.put(ADDRESS, json=DEFAULT).json() == DEFAULT


def test_points_stay_and_masks_follow_the_settings(client: TestClient, site: Site, folder: Path) -> None:
    address = f"/api/v1/images/{site.images[0]}"
    points = client.get(f"{address}/points").json()

    def mask() -> NDArray[np.uint8]:
        answer = client.get(f"{address}/mask", params={"format": "npy"})
        assert answer.status_code == 200, answer.text
        return np.load(io.BytesIO(answer.content))

    usual = mask()
    random = {"encoder": SMALL, "encoder_weights": str(random_file(folder)), "scales": [1]}
    client.put(ADDRESS, json=random).raise_for_status()
    by_random = mask()
    client.put(ADDRESS, json=DEFAULT).raise_for_status()

    segmenter = PointSegmenter(["background", "object"], **random | {"scales": (1.0,)})
    image = segmenter.add_image(site.pixels[0])
    columns = {"rows": "row", "cols": "col", "class_ids": "class_id"}
    segmenter.add_points(image, **{name: [point[key] for point in points] for name, key in columns.items()})
    assert np.array_equal(by_random, segmenter.fit().predict(image))
    assert np.array_equal(mask(), usual)
    assert client.get(f"{address}/points").json() == points


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"encoder": "resnet81"}, 400, "did you mean resnet18"),
        ({"encoder": "vit_tiny_patch16_224"}, 400, "has features at strides"),
        ({"encoder_weights": "FOLDER/no.pth"}, 400, "there is no weight file"),
        ({"encoder_weights": "FOLDER/../no.pth"}, 400, "FCNLAB_IMPORT_ROOTS"),
        ({"encoder_weights": "FOLDER/damaged.pth"}, 400, "cannot be read"),
        ({"scales": [0.3]}, 400, "is no fraction"),
        ({"scales": []}, 400, "at least one"),
        ({"working_side": 1}, 400, "must be between 64 and 8192"),
        ({"class_weight": "heavy"}, 422, "class_weight"),
        ({"scales": None}, 422, "scales"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_what_cannot_work_is_refused_and_explained(
    client: TestClient, folder: Path, wanted: dict[str, Any], status: int, words: str
) -> None:
    (folder / "damaged.pth").write_bytes(b"no weights")
    given = {
        name: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value
        for name, value in wanted.items()
    }

    refused = client.put(ADDRESS, json={"refine": False, **given})

    assert refused.status_code == status
    assert words in refused.json()["error"]
    assert client.get(ADDRESS).json() == DEFAULT


def test_a_project_that_is_not_there_has_no_settings(client: TestClient) -> None:
    answers = [client.get("/api/v1/projects/77/learner"), client.put("/api/v1/projects/77/learner", json={})]

    assert [one.status_code for one in answers] == [404, 404]
