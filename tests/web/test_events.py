"""The event log by HTTP: stored once, acknowledged when it is, told in as few words as will do."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from sqlalchemy import event
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from fcnlab.access import FrontDoor, page_rules
from fcnlab.domain.counting import Task
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.projects import projects
from fcnlab.settings import Settings
from fcnlab.storage.database.engine import engine_of
from fcnlab.web import events, posted_logs, routes
from fcnlab.web.session import Engine

TAB = "tab-of-the-tests"
SIDE = 64
LOG: dict[str, Any] = {"client_id": TAB, "log": [], "labeller": "Ada", "image": None}


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(routes, "engine", lambda: engine)
    return TestClient(Starlette(routes=[*events.routes, *routes.routes]))


def flat(grey: int) -> bytes:
    """A PNG of one grey."""
    return cv2.imencode(".png", np.full((SIDE, SIDE, 3), grey, np.uint8))[1].tobytes()


class Tab:
    """A browser tab that shows an image, and keeps what the server tells it."""

    def __init__(self, client: TestClient, engine: Engine, *, task: Task = Task.MASKS, name: str = TAB) -> None:
        self.client, self.lab, self.name = client, engine.lab, name
        self.project = projects.create_project(engine.lab, name=f"project of {name}", task=task)
        pictures = [(f"{n}.png", flat(40 * n)) for n in range(2)]
        self.images = [
            int(step.image_id or 0) for step in import_files(engine.lab, pictures, project_id=self.project.id)
        ]
        self.revision, self.seq = 0, 0

    def event(self, kind: str = "add", image: int = 0, **payload: Any) -> dict[str, Any]:
        self.seq += 1
        if kind == "add":
            payload = {"row": self.seq % SIDE, "col": 2 * self.seq % SIDE, "class_id": self.seq % 2} | payload
        return {"seq": self.seq, "kind": kind, "image_id": self.images[image], "payload": payload}

    def send(self, *log: dict[str, Any], status: int = 200, **message: Any) -> Any:
        image = {"id": self.images[0], "revision": self.revision}
        body = {"client_id": self.name, "log": list(log), "labeller": "Ada", "image": image} | message
        answer = self.client.post(f"/fcnlab/{self.project.key}/events", content=json.dumps(body))
        assert answer.status_code == status, answer.text
        if status != 200:
            return answer.text
        said = answer.json()
        self.revision = said["revision"] if said["revision"] is not None else said["scene"]["revision"]
        return said

    def stored(self) -> list[tuple[int, int, int]]:
        points = points_of_image(self.lab, image_id=self.images[0])
        return sorted((stored.point.row, stored.point.col, stored.point.class_id) for stored in points)


def test_a_click_is_stored_when_it_is_acknowledged_and_needs_no_scene(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)

    first = tab.send(tab.event())
    second = tab.send(tab.event(), tab.event())

    assert first["acknowledged"] == {"client_id": TAB, "seq": 1}
    assert second["acknowledged"]["seq"] == 3
    assert [first["scene"], second["scene"]] == [None, None]
    assert second["revision"] > first["revision"] == second["base"]
    assert tab.stored() == [(1, 2, 1), (2, 4, 0), (3, 6, 1)]


def test_what_is_sent_twice_is_stored_once_and_answered_with_the_scene(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)
    click = tab.event()
    tab.send(click)
    known = tab.revision

    again = tab.send(click)

    assert again["acknowledged"]["seq"] == 1
    assert [point[1:] for point in again["scene"]["points"]] == [[1, 2, 1]]
    assert again["scene"]["revision"] == known
    assert tab.stored() == [(1, 2, 1)]


def test_a_browser_is_told_the_scene_where_more_happened_than_it_knows(client: TestClient, engine: Engine) -> None:
    tab, other = Tab(client, engine), Tab(client, engine, name="tab-of-somebody-else")
    other.project, other.images = tab.project, tab.images
    tab.send(tab.event())
    other.send(other.event(row=30))

    told = tab.send(tab.event())
    undone = tab.send(tab.event("undo"))
    refused = tab.send(tab.event(row=SIDE + 1))
    elsewhere = tab.send(tab.event(image=1))

    assert len(told["scene"]["points"]) == 3
    assert len(undone["scene"]["points"]) == 2
    assert (refused["refusals"], refused["scene"]["refusals"]) == (refused["refusals"], refused["refusals"])
    assert "outside the image" in refused["refusals"][0]
    assert elsewhere["scene"]["image"]["id"] == tab.images[0]


def test_what_was_refused_is_said_again_where_the_answer_was_lost(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)
    click = tab.event(row=SIDE + 1)
    first = tab.send(click)

    again = tab.send(click, tab.event())

    assert again["refusals"] == first["refusals"] != []
    assert len(tab.stored()) == 1


def test_a_name_is_written_and_looked_up_in_one_way(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)
    tab.send(tab.event(), labeller=" Ada  B ")

    scene = tab.send(tab.event("clear"), labeller="Ada B")["scene"]

    assert scene["reversible"]["undo"] == 2


def test_images_of_other_projects_are_left_alone(client: TestClient, engine: Engine) -> None:
    tab, other = Tab(client, engine), Tab(client, engine, name="tab-of-somebody-else")

    said = tab.send({**tab.event(), "image_id": other.images[0]})

    assert said["refusals"]
    assert other.images[0] not in engine.jobs._attention._images


def test_numbers_of_scenes_rise(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)

    numbers = [tab.send(tab.event("clear"))["scene"]["number"] for _ in range(3)]

    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("n_points", [10, 800])
def test_a_click_costs_ten_statements_at_most_and_none_reads_all_points(
    client: TestClient, engine: Engine, task: Task, n_points: int
) -> None:
    tab = Tab(client, engine, task=task)
    tab.send(*(tab.event(image=1, row=n // SIDE, col=n % SIDE) for n in range(n_points)))
    for _ in range(4):
        tab.send(tab.event())
    engine.jobs.run(lambda learner: learner.refresh(), project_id=tab.project.id).result(120)
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((" ".join(statement.split()), parameters))

    database = engine_of(engine.lab.sessions)
    event.listen(database, "before_cursor_execute", note)
    said = tab.send(tab.event())
    engine.jobs.run(lambda _learner: None, project_id=tab.project.id).result(120)
    event.remove(database, "before_cursor_execute", note)

    asked = [(text, parameters) for text, parameters in statements if not text.startswith(("BEGIN", "SELECT leases"))]
    assert said["scene"] is None
    assert len(asked) <= 10, asked
    of_points = [text for text, _ in asked if "FROM points" in text.partition(" WHERE ")[0]]
    assert all("points.image_id = " in text for text in of_points), of_points


def test_what_is_no_log_is_refused_with_the_reason(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)
    url = f"/fcnlab/{tab.project.key}/events"

    assert client.post(url, content="no json").status_code == 400
    assert "wanted a list" in tab.send(log={}, status=400)
    assert "Labeller" in tab.send(tab.event(), labeller=7, status=400)
    assert "The image shown" in tab.send(tab.event(), image=[1], status=400)
    assert "name" in tab.send(tab.event(), labeller="  ", status=400)
    assert tab.stored() == []


def test_too_much_is_not_read(client: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    tab = Tab(client, engine)
    monkeypatch.setattr(posted_logs, "MAX_BYTES", 100)

    assert "no log of clicks" in tab.send(tab.event(), tab.event(), status=413)
    assert tab.stored() == []


def test_a_project_that_is_gone_is_gone_for_those_who_knew_it(client: TestClient, engine: Engine) -> None:
    tab = Tab(client, engine)
    tab.send(tab.event())
    projects.delete_project(engine.lab, project_id=tab.project.id)

    assert "deleted" in tab.send(tab.event(), status=410)
    assert client.post("/fcnlab/no-such-key/events", content=json.dumps(LOG)).status_code == 410


def test_a_page_of_another_site_stores_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "engine", lambda: engine)
    rules = page_rules(Settings(data_dir=engine.lab.settings.data_dir, demo=False), listens_on="127.0.0.1")
    guarded = Starlette(routes=events.routes, middleware=[Middleware(FrontDoor, rules=rules, policy=lambda _path: "")])
    client = TestClient(guarded, base_url="http://127.0.0.1:8501", headers={"Origin": "http://evil.example"})
    tab = Tab(client, engine)

    tab.send(tab.event(), status=403)

    assert tab.stored() == []
