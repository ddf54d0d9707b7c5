"""Label Studio's backend protocol, with requests shaped as its documentation and its own examples shape them."""

from __future__ import annotations

import base64
import http.server
import io
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fcnlab.adapters.label_studio_brush import decode_brush
from fcnlab.api.service import make_service
from fcnlab.lab import Lab
from fcnlab.services import projects
from fcnlab.services.labelling import points_of_image
from tests.services.bars import HEIGHT, WIDTH, scene

TOKEN = "a-token-that-nobody-guesses"
CONFIG = """
<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="tag" toName="image">
    <Label value="Bar" background="#FF0000"/>
  </BrushLabels>
  <KeyPointLabels name="tag2" toName="image" smart="true">
    <Label value="Bar" smart="true" background="#000000"/>
  </KeyPointLabels>
</View>
"""
PIXELS = np.asarray(Image.open(io.BytesIO(scene(1))))
LIGHT = PIXELS[..., 0] > 100
EMBEDDED = "data:image/png;base64," + base64.b64encode(scene(1)).decode()


@pytest.fixture
def client(lab: Lab) -> Iterator[TestClient]:
    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def keypoint(row: int, col: int, *, is_positive: bool = True) -> dict[str, Any]:
    value = {"x": 100 * (col + 0.5) / WIDTH, "y": 100 * (row + 0.5) / HEIGHT, "width": 0.4, "keypointlabels": ["Bar"]}
    return {
        "id": f"{row}-{col}",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
        "is_positive": is_positive,
        "from_name": "tag2",
        "to_name": "image",
        "type": "keypointlabels",
        "origin": "manual",
    }


def asked(task: dict[str, Any], result: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    params: dict[str, Any] = {"login": None, "password": None}
    if result is not None:
        params["context"] = {"result": result}
    return {
        "tasks": [task],
        "model_version": None,
        "project": "7.1710000000",
        "label_config": CONFIG,
        "params": params,
    }


def clicks() -> list[dict[str, Any]]:
    light, dark = np.argwhere(LIGHT)[::70], np.argwhere(~LIGHT)[::500]
    return [
        keypoint(int(row), int(col), is_positive=positive)
        for positive, places in ((True, light), (False, dark))
        for row, col in places
    ]


def test_a_project_of_label_studio_becomes_one_here(client: TestClient, lab: Lab) -> None:
    wanted = {"project": "7.1710000000", "schema": CONFIG, "hostname": "http://studio", "access_token": "x"}

    first, second = (client.post("/setup", json=wanted) for _ in range(2))

    assert first.json() == second.json() == {"model_version": "fcnlab-instant"}
    (project,) = projects.projects(lab)
    assert project.name == "Label Studio 7"
    assert [label.name for label in project.classes] == ["background", "Bar"]


def test_keypoints_give_a_mask_as_a_brush(client: TestClient) -> None:
    answer = client.post("/predict", json=asked({"id": 12, "data": {"image": EMBEDDED}}, clicks())).json()

    (prediction,) = answer["results"]
    (brush,) = prediction["result"]
    assert (brush["from_name"], brush["to_name"], brush["type"]) == ("tag", "image", "brushlabels")
    assert (brush["original_height"], brush["original_width"]) == (HEIGHT, WIDTH)
    assert brush["value"]["format"] == "rle"
    assert brush["value"]["brushlabels"] == ["Bar"]
    found = decode_brush(brush["value"]["rle"], (HEIGHT, WIDTH), place="answer")
    assert (found & LIGHT).sum() / (found | LIGHT).sum() > 0.9


def test_the_context_is_all_that_counts_of_what_label_studio_said_before(client: TestClient, lab: Lab) -> None:
    task = {"id": 12, "data": {"image": EMBEDDED}}
    client.post("/predict", json=asked(task, clicks()))

    client.post("/predict", json=asked(task, clicks()[:1]))

    (project,) = projects.projects(lab)
    (image,) = projects.images(lab, project_id=project.id)
    assert image.name == "task-12/embedded"
    assert len(points_of_image(lab, image_id=image.id)) == 1


def test_a_task_without_points_gets_what_other_tasks_taught(client: TestClient) -> None:
    client.post("/predict", json=asked({"id": 12, "data": {"image": EMBEDDED}}, clicks()))
    other = "data:image/png;base64," + base64.b64encode(scene(2)).decode()

    answer = client.post("/predict", json=asked({"id": 13, "data": {"image": other}})).json()

    (brush,) = answer["results"][0]["result"]
    wanted = np.asarray(Image.open(io.BytesIO(scene(2))))[..., 0] > 100
    found = decode_brush(brush["value"]["rle"], (HEIGHT, WIDTH), place="answer")
    assert (found & wanted).sum() / (found | wanted).sum() > 0.7


def test_while_nothing_can_be_learned_the_answer_is_empty(client: TestClient) -> None:
    answer = client.post("/predict", json=asked({"id": 1, "data": {"image": EMBEDDED}}))

    assert answer.status_code == 200
    assert answer.json()["results"] == [{"result": [], "score": 0.0, "model_version": "fcnlab-instant"}]


def test_an_annotation_teaches_and_other_events_do_not(client: TestClient, lab: Lab) -> None:
    task = {"id": 5, "data": {"image": EMBEDDED}}
    event = {"annotation": {"id": 31, "result": clicks()}, "task": task, "project": {"id": 7, "label_config": CONFIG}}

    made = client.post("/webhook", json={"action": "ANNOTATION_CREATED", **event})
    again = client.post("/webhook", json={"action": "ANNOTATION_UPDATED", **event})
    other = client.post("/webhook", json={"action": "PROJECT_UPDATED", **event})

    assert (made.status_code, made.json()["result"]) == (201, {"changed": True})
    assert again.json()["result"] == {"changed": False}
    assert other.status_code == 200
    (project,) = projects.projects(lab)
    (image,) = projects.images(lab, project_id=project.id)
    assert len(points_of_image(lab, image_id=image.id)) == len(clicks())


def test_annotations_of_one_task_keep_their_points_apart(client: TestClient, lab: Lab) -> None:
    task, project = {"id": 5, "data": {"image": EMBEDDED}}, {"id": 7, "label_config": CONFIG}

    def told(action: str, **more: Any) -> list[int]:
        client.post("/webhook", json={"action": action, "task": task, "project": project, **more})
        (own,) = projects.projects(lab)
        (image,) = projects.images(lab, project_id=own.id)
        return sorted(one.point.row for one in points_of_image(lab, image_id=image.id))

    first = {"id": 1, "result": [keypoint(2, 3), keypoint(5, 6)]}
    assert told("ANNOTATION_CREATED", annotation=first) == [2, 5]
    assert told("ANNOTATION_CREATED", annotation={"id": 2, "result": [keypoint(8, 9)]}) == [2, 5, 8]
    client.post("/predict", json=asked(task, [keypoint(11, 12)]))
    assert told("PROJECT_UPDATED") == [2, 5, 8, 11]
    assert told("ANNOTATION_UPDATED", annotation={"id": 1, "result": []}) == [8]
    assert told("ANNOTATIONS_DELETED", annotations=[{"id": 2}]) == []


def test_labels_are_compared_as_classes_are_named(client: TestClient, lab: Lab) -> None:
    wanted = {"project": "7", "schema": CONFIG.replace('"Bar"', '" Big  bar "')}

    answers = [client.post("/setup", json=wanted).status_code for _ in range(2)]

    assert answers == [200, 200]
    assert [label.name for label in projects.projects(lab)[0].classes] == ["background", "Big bar"]


def test_images_are_fetched_from_label_studio_with_its_token_and_from_nowhere_else(lab: Lab) -> None:
    shown: list[str | None] = []

    class Studio(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization"))
            self.send_response(200 if self.path == "/data/upload/1/a.png" else 302)
            if self.path != "/data/upload/1/a.png":
                self.send_header("Location", "http://elsewhere.example/a.png")
            self.end_headers()
            self.wfile.write(scene(1))

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Studio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}"
    changed = {"label_studio_url": home, "label_studio_token": "secret"}
    object.__setattr__(lab, "settings", lab.settings.model_copy(update=changed))

    def predicted(address: str, number: int) -> Any:
        return client.post("/predict", json=asked({"id": number, "data": {"image": address}}))

    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        fetched = predicted("/data/upload/1/a.png", 1)
        redirected = predicted("/data/moved.png", 2)
        strange = predicted("http://169.254.169.254/latest/meta-data", 3)
        local = predicted("file:///etc/passwd", 4)
    server.shutdown()

    assert fetched.status_code == 200
    assert shown[0] == "Token secret"
    for refused in (redirected, strange, local):
        assert refused.status_code == 400
        assert "FCNLAB_LABEL_STUDIO" in refused.json()["error"]
    (project,) = projects.projects(lab)
    assert [one.name for one in projects.images(lab, project_id=project.id)] == ["task-1/a.png"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"label_config": "<View><Text name='t' value='$t'/></View>"}, "Image"),
        ({"label_config": "<View"}, "XML"),
        ({"label_config": '<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>'}, "XML"),
        ({"tasks": [{"id": 1, "data": {}}]}, "image"),
        ({"tasks": [{"id": 1, "data": {"image": "data:image/png;base64,@@"}}]}, "decoded"),
        ({"tasks": [{"id": 1, "data": {"image": "data:image/png;base64,AAAA"}}]}, "not an image"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(client: TestClient, change: dict[str, Any], word: str) -> None:
    answer = client.post("/predict", json={**asked({"id": 1, "data": {"image": EMBEDDED}}), **change})

    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_a_keypoint_without_a_place_is_refused_and_nothing_stored(client: TestClient, lab: Lab) -> None:
    broken = [keypoint(3, 4), {"type": "keypointlabels", "value": {"x": "nowhere"}}]

    answer = client.post("/predict", json=asked({"id": 1, "data": {"image": EMBEDDED}}, broken))

    assert answer.status_code == 400
    assert "keypoint 2" in answer.json()["error"]
    (project,) = projects.projects(lab)
    (image,) = projects.images(lab, project_id=project.id)
    assert points_of_image(lab, image_id=image.id) == ()


def test_nobody_predicts_without_the_token(lab: Lab) -> None:
    with TestClient(make_service(lab, token=TOKEN)) as client:
        assert client.post("/predict", json=asked({"id": 1, "data": {}})).status_code == 401
        assert client.get("/health").json()["status"] == "UP"
