"""The REST service with real projects behind it: what it gives, what it refuses, and to whom."""

from __future__ import annotations

import io
import stat
import time
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fcnlab.api.service import make_service
from fcnlab.errors import InvalidSetting
from fcnlab.lab import Lab
from fcnlab.services.installation.tokens import api_token
from fcnlab.storage.files.filestore import TOKEN_FILE
from tests.api.conftest import TOKEN
from tests.support.bars import HEIGHT, WIDTH, Site, scene


@pytest.fixture
def site(lab: Lab) -> Site:
    site = Site(lab, 2)
    site.click(0, per_class=6)
    return site


def test_a_project_goes_from_its_making_to_a_mask(client: TestClient) -> None:
    made = client.post("/api/v1/projects", json={"name": "bars", "classes": ["ground", "bar"]}).json()
    files = [("files", ("a.png", scene(1), "image/png")), ("files", ("broken.png", b"\x89PNG\r\n\x1a\n", "image/png"))]
    first, second = client.post(f"/api/v1/projects/{made['id']}/images", files=files).json()
    light = np.argwhere(np.asarray(Image.open(io.BytesIO(scene(1))))[..., 0] > 100)
    dark = np.argwhere(np.asarray(Image.open(io.BytesIO(scene(1))))[..., 0] < 60)
    points = [
        {"row": int(row), "col": int(col), "class_id": class_id}
        for class_id, places in ((1, light[::60]), (0, dark[::400]))
        for row, col in places
    ]

    stored = client.post(f"/api/v1/images/{first['image_id']}/points", json={"points": points})
    mask = client.get(f"/api/v1/images/{first['image_id']}/mask", params={"format": "npy"})

    assert [one["name"] for one in made["classes"]] == ["ground", "bar"]
    assert second["image_id"] is None
    assert "broken.png" in second["refused"]
    assert stored.status_code == 201
    assert len(stored.json()) == len(points)
    found = np.load(io.BytesIO(mask.content))
    assert found.shape == (HEIGHT, WIDTH)
    assert (found[light[:, 0], light[:, 1]] == 1).mean() > 0.9
    assert client.get(f"/api/v1/projects/{made['id']}").json()["n_points"] == len(points)


def test_the_background_is_said_by_name_changed_and_taken_away(client: TestClient) -> None:
    def made(**more: object) -> object:
        name = f"land {len(client.get('/api/v1/projects').json())}"
        return client.post("/api/v1/projects", json={"name": name, "classes": ["road", "bg"], **more}).json()

    assert [made()["background"], made(background="Road")["background"]] == [1, 0]  # type: ignore[index]
    assert made(background=None)["background"] is None  # type: ignore[index]
    address = "/api/v1/projects/3/background"
    assert client.put(address, json={"background": "road"}).json()["background"] == 0
    assert client.put(address, json={"background": None}).json()["background"] is None
    refused = client.put(address, json={"background": "sea"})
    assert refused.status_code // 100 == 4
    assert "no class is called 'sea'" in refused.text
    assert client.put(address, json={}).status_code == 422


def test_a_picture_of_no_project_gets_the_mask_that_the_image_itself_gets(client: TestClient, site: Site) -> None:
    inside = client.get(f"/api/v1/images/{site.images[0]}/mask")
    files = {"file": ("other.png", scene(0), "image/png")}

    outside = client.post(f"/api/v1/projects/{site.project.id}/predict", files=files)

    assert inside.headers["content-type"] == "image/png"
    assert outside.content == inside.content
    assert len(client.get(f"/api/v1/projects/{site.project.id}/images").json()) == 2


def test_points_are_stored_all_or_none(client: TestClient, site: Site) -> None:
    points = [{"row": 1, "col": 2, "class_id": 0}, {"row": HEIGHT, "col": 2, "class_id": 0}]

    refused = client.post(f"/api/v1/images/{site.images[1]}/points", json={"points": points})

    assert refused.status_code == 400
    assert "point 2" in refused.json()["error"]
    assert client.get(f"/api/v1/images/{site.images[1]}/points").json() == []


def test_a_removed_point_is_gone_and_can_be_removed_once(client: TestClient, site: Site) -> None:
    address = f"/api/v1/images/{site.images[0]}/points"
    before = client.get(address).json()

    first, second = (client.delete(f"{address}/{before[0]['uid']}") for _ in range(2))

    assert first.status_code == 200
    assert second.status_code == 400
    assert client.get(address).json() == before[1:]


def test_a_done_image_keeps_its_mask(client: TestClient, site: Site) -> None:
    address = f"/api/v1/images/{site.images[0]}"
    client.put(f"{address}/state", json={"state": "done"})
    client.get(f"{address}/mask")

    refused = client.post(f"{address}/points", json={"points": [{"row": 3, "col": 3, "class_id": 1}]})

    assert client.get(address).json()["state"] == "done"
    assert refused.status_code == 400
    assert "done" in refused.json()["error"]


def test_an_export_is_begun_watched_and_fetched(client: TestClient, site: Site) -> None:
    begun = client.post(f"/api/v1/projects/{site.project.id}/exports", json={"formats": ["index", "points"]})
    assert begun.status_code == 202
    deadline = time.monotonic() + 60

    while (now := client.get(f"/api/v1/exports/{begun.json()['id']}").json())["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert now["state"] == "finished", now["message"]
    with zipfile.ZipFile(io.BytesIO(client.get(now["file"]).content)) as file:
        assert {"masks/0.png", "masks/1.png", "points.csv"} <= set(file.namelist())


def test_an_export_takes_every_option_and_refuses_what_is_out_of_range(client: TestClient, site: Site) -> None:
    address = f"/api/v1/projects/{site.project.id}/exports"
    wanted = {"formats": ["coco"], "instances": True, "min_area": 4, "split": {"shares": [0.5, 0.5, 0], "by": "image"}}

    begun = client.post(address, json=wanted)
    refused = client.post(address, json={**wanted, "split": {"shares": [0.5, 0.6, 0]}})

    assert begun.status_code == 202
    assert refused.status_code == 400
    assert "sum to 1" in refused.json()["error"]


def test_a_model_is_saved_once_for_the_same_points(client: TestClient, site: Site) -> None:
    first, second = (client.post(f"/api/v1/projects/{site.project.id}/fit").json() for _ in range(2))

    assert first["checkpoint"] == second["checkpoint"]
    assert first["n_points"] == 12
    assert first["training_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("get", "/api/v1/projects/77", 404),
        ("get", "/api/v1/projects/77/images", 404),
        ("get", "/api/v1/images/77/mask", 404),
        ("get", "/api/v1/exports/nonsense", 404),
        ("post", "/api/v1/projects/77/exports", 422),
        ("get", "/api/v1/projects/99999999999999", 422),
        ("post", "/api/v1/projects/77/fit", 404),
    ],
)
def test_what_is_not_there_is_told(client: TestClient, method: str, address: str, status: int) -> None:
    answer = client.request(method, address)

    assert answer.status_code == status
    assert answer.json()


def test_a_mask_of_an_image_without_points_is_a_conflict_with_a_way_out(client: TestClient, lab: Lab) -> None:
    site = Site(lab, 1)

    answer = client.get(f"/api/v1/images/{site.images[0]}/mask")

    assert answer.status_code == 409
    assert "click" in answer.json()["error"]


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Basic !!", "Bearer", TOKEN])
def test_nobody_gets_in_without_the_token(lab: Lab, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    with TestClient(make_service(lab, token=TOKEN), headers=headers) as client:
        assert client.get("/api/v1/projects").status_code == 401
        assert client.get("/health").json()["status"] == "UP"


def test_the_token_may_come_as_a_password_and_may_be_given_up(lab: Lab) -> None:
    with TestClient(make_service(lab, token=TOKEN)) as client:
        assert client.get("/api/v1/projects", auth=("anybody", TOKEN)).status_code == 200
    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        assert client.get("/api/v1/projects").status_code == 200


def test_a_body_is_not_read_before_the_token(lab: Lab) -> None:
    with TestClient(make_service(lab, token=TOKEN)) as client:
        assert client.post("/api/v1/projects", content=b"{").status_code == 401


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_without_a_token_other_sites_get_nothing(lab: Lab, headers: dict[str, str]) -> None:
    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        assert client.post("/api/v1/projects", json={"name": "x"}, headers=headers).status_code == 403
        assert client.get("/api/v1/projects").json() == []


def test_with_a_token_too_other_names_and_other_sites_get_nothing(client: TestClient) -> None:
    here = {"Host": "localhost:8502"}
    strangers = (
        {"Host": "evil.example"},
        {"Host": "evil.example:8502", "Origin": "http://evil.example:8502"},
        here | {"Origin": "https://evil.example"},
        here | {"Origin": "http://localhost:3000"},
        here | {"Origin": "null"},
    )
    welcome = (
        here | {"Origin": "http://localhost:8502"},
        {"Host": "host.docker.internal:8502"},
        {"Host": "fcnlab:8502"},
    )

    for address in ("/api/v1/projects", "/health", "/docs", "/openapi.json", "/nowhere"):
        for headers in (*strangers, *welcome):
            answer = client.get(address, headers=headers)
            assert (answer.status_code == 403) is (headers in strangers), (address, headers)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"


def test_a_bare_name_is_no_token(lab: Lab) -> None:
    with TestClient(make_service(lab, token=None), base_url="http://fcnlab:8502") as client:
        assert client.get("/api/v1/projects").status_code == 403


def test_an_unexplained_failure_gives_an_id_and_no_details(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("fcnlab.api.projects.services.projects", fail)

    answer = client.get("/api/v1/projects")

    error_id = answer.json()["error"].partition("(error ")[2].partition(")")[0]
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert any(error_id in one.getMessage() for one in caplog.records)


@pytest.mark.parametrize("name", ["..", "x" * 300, "a/../../b.png", ""])
def test_a_picture_may_be_called_anything(client: TestClient, site: Site, name: str) -> None:
    address = f"/api/v1/projects/{site.project.id}/predict"

    answer = client.post(address, files={"file": (name or "unnamed", scene(0), "image/png")})

    assert answer.status_code == 200


def test_every_failure_is_an_error_in_words(client: TestClient) -> None:
    for answer in (
        client.get("/api/v1/nowhere"),
        client.post("/api/v1/projects", content=b"{", headers={"Content-Type": "application/json"}),
        client.get("/api/v1/projects", headers={"Authorization": "Bearer wrong"}),
    ):
        assert answer.status_code >= 400
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(("labeller", "known_as"), [("", None), ("x" * 150, None), ("a\nb", "a b")])
def test_a_labeller_needs_a_name_that_can_be_shown(
    client: TestClient, site: Site, labeller: str, known_as: str | None
) -> None:
    points = {"points": [{"row": 1, "col": 2, "class_id": 0}], "labeller": labeller}

    answer = client.post(f"/api/v1/images/{site.images[1]}/points", json=points)

    stored = client.get(f"/api/v1/images/{site.images[1]}/points").json()
    assert answer.status_code == (201 if known_as else 400)
    assert [one["labeller"] for one in stored] == ([known_as] if known_as else [])


def test_a_request_that_is_too_large_is_refused_whatever_it_says(lab: Lab) -> None:
    small = lab.settings.model_copy(update={"api_upload_mb": 1})
    object.__setattr__(lab, "settings", small)

    def stream() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        said = client.post("/api/v1/projects", content=b"x" * 1_000_001)
        unsaid = client.post("/api/v1/projects", content=stream(), headers={"Content-Type": "application/json"})
    assert (said.status_code, unsaid.status_code) == (413, 413)


def test_every_address_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]

    for address in ("/api/v1/projects", "/api/v1/images/{image_id}/mask", "/api/v1/projects/{project_id}/exports"):
        assert address in described
    assert all(one.get("description") for path in described.values() for one in path.values())


def test_the_token_is_made_once_and_only_its_owner_reads_it(lab: Lab) -> None:
    first, second = api_token(lab), api_token(lab)

    path = lab.folders.images.parent / TOKEN_FILE
    assert first == second == path.read_text("utf-8").strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_short_token_is_refused(lab: Lab) -> None:
    object.__setattr__(lab, "settings", lab.settings.model_copy(update={"api_token": "short"}))

    with pytest.raises(InvalidSetting, match="FCNLAB_API_TOKEN"):
        api_token(lab)
