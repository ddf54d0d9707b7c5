"""Answers to a survey by HTTP: stored once, acknowledged when they are, refused one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fcnlab.domain.survey import Survey, SurveySpec
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects import projects
from fcnlab.services.surveys.surveys import (
    close_survey,
    delete_survey,
    plan_survey,
    reopen_survey,
    survey_points,
)
from fcnlab.web import routes, survey_answers
from fcnlab.web.canvas.answering import UNKNOWN, answering_data
from fcnlab.web.session import Engine
from tests.web.test_pages import picture

Answer = tuple[int | None, bool]


class Tab:
    """A browser tab that answers the four points of a survey."""

    def __init__(self, engine: Engine, client: TestClient, name: str = "reef") -> None:
        self.lab, self.client, self.engine = engine.lab, client, engine
        labels = projects.labels_of(["sand", "coral", "weed"])
        self.project = projects.create_project(engine.lab, name=name, labels=labels)
        list(import_files(engine.lab, [(f"{n}.png", picture(n)) for n in range(2)], project_id=self.project.id))
        spec = SurveySpec("2026", {"": 2}, 2)
        self.survey: Survey = plan_survey(engine.lab, project_id=self.project.id, spec=spec, labeller="ann")
        self.points = [point.id for point in survey_points(engine.lab, survey_id=self.survey.id)]
        self.seq = 0

    def entry(self, place: int, value: int | None, *, point: int | None = None) -> dict[str, Any]:
        self.seq += 1
        payload = {"point": self.points[place] if point is None else point, "value": value}
        return {"seq": self.seq, "kind": "answer", "image_id": 1, "payload": payload}

    def send(self, *log: Any, status: int = 200, client_id: str = "tab-a", labeller: str = "Ada") -> Any:
        body = json.dumps({"client_id": client_id, "log": list(log), "labeller": labeller, "image": None})
        response = self.client.post(f"/fcnlab/{self.project.key}/survey/{self.survey.id}/answers", content=body)
        assert response.status_code == status, response.text
        return response.json() if status == 200 else response.text

    def answers(self) -> list[Answer]:
        points = survey_points(self.lab, survey_id=self.survey.id)
        return [(point.class_id, point.is_unknown) for point in points]


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(routes, "engine", lambda: engine)
    return TestClient(Starlette(routes=[*survey_answers.routes, *routes.routes]))


@pytest.fixture
def tab(engine: Engine, client: TestClient) -> Tab:
    return Tab(engine, client)


def test_answers_are_stored_when_they_are_acknowledged_with_who_gave_them(tab: Tab) -> None:
    said = tab.send(tab.entry(0, 1), tab.entry(1, UNKNOWN), tab.entry(2, 0), tab.entry(2, None))

    assert said == {"acknowledged": {"client_id": "tab-a", "seq": 4}, "refused": []}
    assert tab.answers() == [(1, False), (None, True), (None, False), (None, False)]
    assert survey_points(tab.lab, survey_id=tab.survey.id)[0].labeller == "Ada"


def test_sending_twice_is_sending_once_and_what_comes_late_changes_nothing(tab: Tab) -> None:
    first, second = tab.entry(0, 1), tab.entry(0, 2)
    tab.send(first, second)
    tab.send(first, second)

    late = tab.send(first)

    assert late["acknowledged"]["seq"] == 2
    assert tab.answers()[0] == (2, False)
    tab.send({**first, "seq": 1}, client_id="tab-b")
    assert tab.answers()[0] == (1, False), "another tab has numbers of its own"


def test_what_comes_late_changes_nothing_after_a_restart_of_the_server_either(
    tab: Tab, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tab.entry(0, 1), tab.entry(0, 2)
    tab.send(first, second)
    restarted = Engine(engine.lab, engine.jobs)
    monkeypatch.setattr(routes, "engine", lambda: restarted)

    late = tab.send(first)

    assert late["acknowledged"]["seq"] == 2
    assert tab.answers()[0] == (2, False)


def test_points_of_others_and_removed_classes_are_refused_one_by_one(tab: Tab, client: TestClient) -> None:
    other = Tab(tab.engine, client, "other")
    projects.remove_class(tab.lab, project_id=tab.project.id, class_id=2)

    said = tab.send(tab.entry(0, 1), tab.entry(1, 2), tab.entry(0, 1, point=other.points[0]))

    assert said["acknowledged"]["seq"] == 3, "the browser need not send them for ever"
    assert [(each["point"], each["again"]) for each in said["refused"]] == [
        (tab.points[1], True),
        (other.points[0], False),
    ]
    assert "class answered there was removed" in said["refused"][0]["reason"]
    assert tab.answers() == [(1, False), *[(None, False)] * 3]
    assert other.answers() == [(None, False)] * 4


def test_a_closed_survey_keeps_what_it_has_and_takes_the_rest_once_it_is_reopened(tab: Tab) -> None:
    close_survey(tab.lab, survey_id=tab.survey.id)
    log = [tab.entry(0, 1)]

    assert tab.send(*log, status=400).startswith("Survey '2026' is closed: reopen it")
    assert tab.answers()[0] == (None, False)
    reopen_survey(tab.lab, survey_id=tab.survey.id)
    tab.send(*log)

    assert tab.answers()[0] == (1, False)


def test_a_survey_of_another_project_is_none_and_a_deleted_one_is_gone(tab: Tab, client: TestClient) -> None:
    other = Tab(tab.engine, client, "other")
    entry = tab.entry(0, 1)

    body = json.dumps({"client_id": "tab-a", "log": [entry], "labeller": "Ada", "image": None})
    foreign = client.post(f"/fcnlab/{other.project.key}/survey/{tab.survey.id}/answers", content=body)
    delete_survey(tab.lab, survey_id=tab.survey.id)

    assert foreign.status_code == 410
    assert "deleted" in tab.send(entry, status=410)


@pytest.mark.parametrize(
    "log",
    [
        ["x"],
        [{"seq": 1, "payload": {"point": "a", "value": 1}}],
        [{"seq": 1, "payload": {"point": 1, "value": -2}}],
        [{"seq": "1", "payload": {"point": 1, "value": 1}}],
        [{"seq": 1, "payload": {"point": 1, "value": True}}],
        [{}] * 1001,
    ],
)
def test_what_is_no_log_of_answers_is_refused_whole(tab: Tab, log: list[Any]) -> None:
    tab.send(tab.entry(0, 1), *log, status=400)

    assert tab.answers()[0] == (None, False)


def test_no_json_and_no_sender_are_refused(tab: Tab) -> None:
    address = f"/fcnlab/{tab.project.key}/survey/{tab.survey.id}/answers"

    assert tab.client.post(address, content="{").status_code == 400
    assert tab.client.post(address, content='{"client_id": "a", "log": []}').status_code == 400
    assert tab.client.get(address).status_code in (404, 405)


def test_the_browser_is_told_all_points_with_their_answers_and_no_mask(tab: Tab) -> None:
    tab.send(tab.entry(0, 1), tab.entry(1, UNKNOWN))
    points = survey_points(tab.lab, survey_id=tab.survey.id)
    images = projects.images(tab.lab, project_id=tab.project.id)

    data = answering_data(tab.project, tab.survey, points, images, labeller="Ada")

    assert [answer for *_, answer in data["points"]] == [1, UNKNOWN, None, None]
    for (point_id, place, row, col, _), point in zip(data["points"], points, strict=True):
        image_id, _, width, height, _ = data["images"][place]
        assert (point_id, image_id, row, col) == (point.id, point.image_id, point.row, point.col)
        assert row < height < width
        assert col < width
    assert not {"predicted", "shares"} & set(json.dumps(data).replace('"', " ").split())
