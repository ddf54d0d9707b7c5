"""What is fetched from Label Studio, with its token and from nowhere else: annotations and images."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fcnlab.api.service import make_service
from fcnlab.lab import Lab
from fcnlab.services.projects import projects
from tests.support.bars import scene
from tests.support.label_studio_tasks import (
    CONFIG,
    EMBEDDED,
    TOKEN,
    asked,
    keypoint,
    stored,
)


@pytest.fixture
def client(lab: Lab) -> Iterator[TestClient]:
    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.mark.parametrize("action", ["START_TRAINING", "TASKS_CREATED"])
def test_annotations_nobody_told_about_are_fetched_with_either_kind_of_token(
    lab: Lab, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    personal = "eyJhbGciOi.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"
    task = {"id": 5, "data": {"image": EMBEDDED}, "annotations": [{"id": 31, "result": [keypoint(1, 2)]}]}
    shown: list[tuple[str, str | None]] = []

    class Studio(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append((self.path, self.headers.get("Authorization")))
            self.answer([task])

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            shown.append((self.path, sent["refresh"]))
            self.answer({"access": "short-lived"})

        def answer(self, content: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Studio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    changed = {"label_studio_url": f"http://127.0.0.1:{server.server_port}", "label_studio_token": personal}
    object.__setattr__(lab, "settings", lab.settings.model_copy(update=changed))

    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        event = {"action": action, "project": {"id": 7, "label_config": CONFIG}}
        answer = client.post("/webhook", json=event)
    server.shutdown()

    assert (answer.status_code, answer.json()["result"]) == (201, {"learning": True})
    assert shown == [
        ("/api/token/refresh", personal),
        ("/api/projects/7/export?exportType=JSON", "Bearer short-lived"),
    ]
    assert stored(lab) == [(1, 2, "Bar")]


def test_a_training_without_the_address_of_label_studio_says_what_to_set(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7, "label_config": CONFIG}})

    assert "FCNLAB_LABEL_STUDIO_URL" in caplog.text


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
