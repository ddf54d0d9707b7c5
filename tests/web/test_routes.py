"""What browsers fetch by plain HTTP about queries and the strip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import DatabaseUnavailable, ShuttingDown
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.labels.label_import import LabelRequest, found_labels
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects import projects
from fcnlab.services.projects.projects import image as image_of
from fcnlab.settings import Settings
from fcnlab.web import routes
from fcnlab.web.session import Engine

PHOTOS = ("chelsea.png", "coffee.png", "coins.png")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    lab = open_lab(Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu", demo=False))
    jobs = Jobs(lab)
    yield Engine(lab, jobs)
    jobs.close()
    lab.close()


@pytest.fixture
def client(own: Engine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(routes, "engine", lambda: own)
    return TestClient(Starlette(routes=routes.routes))


@pytest.fixture(scope="module")
def address(own: Engine) -> tuple[str, list[int]]:
    """Where the routes of a project begin, and its images: two points on the first, the second one done."""
    folder = Path(skimage.data.__file__).parent
    project = projects.create_project(own.lab, name="photos", learner=LearnerSpec(working_side=128))
    steps = import_files(own.lab, [(name, folder / name) for name in PHOTOS], project_id=project.id)
    ids = [int(step.image_id or 0) for step in steps]
    points = [Point(150, 230, 1), Point(10, 440, 0)]
    add_points(own.lab, points, image_id=ids[0], labeller="ada", source=PointSource.CLICK)
    set_image_state(own.lab, image_id=ids[1], state=ImageState.DONE, labeller="ada")
    return f"/fcnlab/{project.key}", ids


def get(client: TestClient, url: str, status: int = 200) -> Any:
    answer = client.get(url)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.text


def test_queries_are_pixels_of_the_image_and_say_what_their_answers_are(
    client: TestClient, address: tuple[str, list[int]]
) -> None:
    root, (image_id, *_) = address

    doubtful = get(client, f"{root}/queries/{image_id}?count=7")
    drawn = get(client, f"{root}/queries/{image_id}?count=5&strategy=random")

    assert (doubtful["source"], len(doubtful["pixels"])) == ("query", 7)
    assert (drawn["source"], len(drawn["pixels"])) == ("random_query", 5)
    assert all(0 <= row < 300 and 0 <= col < 451 for row, col in doubtful["pixels"] + drawn["pixels"])


def test_pixels_to_avoid_are_named_as_rows_and_columns(client: TestClient, address: tuple[str, list[int]]) -> None:
    root, (image_id, *_) = address
    first = get(client, f"{root}/queries/{image_id}?count=100")["pixels"]
    passed = ",".join(f"{row},{col}" for row, col in first)

    second = get(client, f"{root}/queries/{image_id}?count=100&avoid={passed}")["pixels"]

    assert len(second) == 100
    assert not {tuple(one) for one in first} & {tuple(one) for one in second}


@pytest.mark.parametrize(
    ("query", "place", "status", "reason"),
    [
        ("strategy=vote-entropy", 0, 400, "none of margin"),
        ("count=0", 0, 400, "1 to 100"),
        ("", 1, 400, "reopen"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(
    client: TestClient, address: tuple[str, list[int]], query: str, place: int, status: int, reason: str
) -> None:
    root, ids = address

    assert reason in get(client, f"{root}/queries/{ids[place]}?{query}", status)


def test_another_project_s_key_asks_nothing(client: TestClient, own: Engine, address: tuple[str, list[int]]) -> None:
    other = projects.create_project(own.lab, name="other")

    refused = client.get(f"/fcnlab/{other.key}/queries/{address[1][0]}")

    assert refused.status_code == 404


def test_what_is_gone_for_good_is_told_from_what_passes_and_from_what_was_never_there(
    client: TestClient, own: Engine, address: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Browsers give up at 410 alone; so a database that does not answer for a moment must never look like it."""
    root, (image_id, *_) = address
    monkeypatch.setattr(routes, "LONG_POLL_S", 0.0)
    other = projects.create_project(own.lab, name="another")

    def status(path: str) -> int:
        return client.get(path).status_code

    for what in ("image", "thumb", "overlay", "objects", "queries"):
        assert status(f"{root}/{what}/999999") == 410
        assert status(f"/fcnlab/{other.key}/{what}/{image_id}") == 404
        assert status(f"/fcnlab/no-such-key/{what}/{image_id}") == 410
    assert status("/fcnlab/no-such-key/strip") == 410
    assert status("/fcnlab/download/no-such-token/x.zip") == 404
    for passing in (DatabaseUnavailable("busy"), ShuttingDown("ending")):
        with monkeypatch.context() as patch:

            def fail(*_arguments: object, failure: Exception = passing, **_options: object) -> None:
                raise failure

            for name in ("project_of_image", "image_of_key", "project_of_key"):
                patch.setattr(routes, name, fail)
            for what in (f"image/{image_id}", f"overlay/{image_id}", f"objects/{image_id}", "strip"):
                assert status(f"{root}/{what}") == 503
    assert status(f"{root}/overlay/{image_id}") in (200, 204)


def test_a_key_opens_nothing_from_the_moment_its_project_is_deleted(
    client: TestClient, own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(skimage.data.__file__).parent
    project = projects.create_project(own.lab, name="short-lived", learner=LearnerSpec(working_side=128))
    (step,) = import_files(own.lab, [("clock.png", folder / "clock_motion.png")], project_id=project.id)
    monkeypatch.setattr(routes, "LONG_POLL_S", 0.0)
    paths = [f"/fcnlab/{project.key}/{what}/{step.image_id}" for what in ("image", "thumb", "overlay", "objects")]
    assert all(client.get(path).status_code in (200, 204) for path in paths)

    projects.delete_project(own.lab, project_id=project.id)

    assert [client.get(path).status_code for path in paths] == [410] * 4


def test_the_strip_comes_in_import_order_unless_gain_is_asked_for(
    client: TestClient, own: Engine, address: tuple[str, list[int]]
) -> None:
    root, ids = address

    plain = get(client, f"{root}/strip?start=1&count=2")
    ranked = get(client, f"{root}/strip?sort=gain&start=0&count=2")

    assert plain["n_images"] == 3
    assert [item["id"] for item in plain["items"]] == ids[1:]
    assert sorted(ranked["order"]) == ids
    assert ranked["order"][-1] == ids[1]
    assert [item["id"] for item in ranked["items"]] == ranked["order"][:2]


def test_cells_of_the_ranked_strip_are_fetched_by_their_images(
    client: TestClient, address: tuple[str, list[int]]
) -> None:
    root, ids = address

    found = get(client, f"{root}/strip?sort=gain&ids={ids[2]},{ids[0]},x,999999")

    assert [item["id"] for item in found["items"]] == [ids[2], ids[0]]
    assert all("gain" in item for item in found["items"])


@pytest.mark.parametrize("huge", ["9" * 19, "9" * 23, "9" * 5000])
@pytest.mark.parametrize(
    "tail", ["image/{}", "thumb/{}", "queries/{}", "overlay/{}", "objects/{}", "tile/{}/0/0/0", "tile/1/{}/0/0"]
)
def test_a_number_that_no_database_holds_is_not_there(
    client: TestClient, address: tuple[str, list[int]], tail: str, huge: str
) -> None:
    get(client, f"{address[0]}/{tail.format(huge)}", 404)


@pytest.mark.parametrize("query", ["strip?start={0}&count={0}", "strip?ids={0}&sort=gain", "strip?start=-1&count=x"])
def test_a_huge_number_asked_for_is_no_failure(client: TestClient, address: tuple[str, list[int]], query: str) -> None:
    get(client, f"{address[0]}/{query.format('9' * 30)}")


def test_what_is_no_route_is_not_a_page(client: TestClient) -> None:
    assert client.get("/fcnlab/nothing/at/all").status_code == 404


def test_masks_to_hold_beside_the_one_shown_come_whole_or_say_why_there_is_none(
    client: TestClient, own: Engine, address: tuple[str, list[int]], tmp_path: Path
) -> None:
    root, (first, second, _) = address
    truth = np.full((300, 451), 255, np.uint8)
    truth[100:200, 150:300], truth[:50] = 1, 0
    Image.fromarray(truth).save(tmp_path / "chelsea.png")
    project_id = image_of(own.lab, image_id=first).project_id
    request = LabelRequest(points_per_image=0)
    with found_labels(own.lab, tmp_path, project_id=project_id, request=request, allow_anywhere=True) as labels:
        assert [step.reason for step in labels.steps] == [""]

    imported = client.get(f"{root}/reference/imported/{first}")
    predicted = client.get(f"{root}/reference/prediction/{second}")

    for answer in (imported, predicted):
        meta = json.loads(answer.headers["X-Fcnlab-Meta"])
        assert len(answer.content) == meta["width"] * meta["height"]
    assert set(imported.content) == {0, 1, 255}
    assert imported.content.count(1) / len(imported.content) == pytest.approx(15_000 / (300 * 451), rel=0.05)
    assert set(predicted.content) <= {0, 1}
    assert "has no imported mask" in get(client, f"{root}/reference/imported/{second}", 404)
    assert client.get(f"{root}/reference/other/{second}").status_code == 404
