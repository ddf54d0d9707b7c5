"""Surveys over the REST service: from the plan to the report."""

from __future__ import annotations

import json
import time
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from fcnlab.lab import Lab
from tests.support.bars import Site
from tests.support.paths import ROOT
from tests.support.survey_bench import Bench


@pytest.fixture
def bench(lab: Lab) -> Bench:
    return Bench(lab)


def planned(client: TestClient, project_id: int, **more: object) -> dict[str, Any]:
    body = {"name": "cover", "images": 4, "points_per_image": 10, **more}
    made = client.post(f"/api/v1/projects/{project_id}/surveys", json=body)
    assert made.status_code == 201, made.text
    return dict(made.json())


def answered(client: TestClient, survey: dict[str, Any]) -> dict[str, Any]:
    points = client.get(f"/api/v1/surveys/{survey['id']}/points").json()
    answers = [{"point_id": point["id"], "class_id": int(point["col"] < 23)} for point in points]
    stored = client.put(f"/api/v1/surveys/{survey['id']}/answers", json={"answers": answers, "labeller": "ann"})
    assert stored.status_code == 200, stored.text
    return dict(stored.json())


def test_a_survey_goes_from_its_plan_to_its_report(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id, prior=2, level=0.95, seed=3)
    assert (survey["points"], survey["answered"], survey["prior"], survey["closed"]) == (40, 0, 2, False)

    assert answered(client, survey)["answered"] == 40

    address = f"/api/v1/surveys/{survey['id']}/report"
    report = client.get(address)
    best = report.json()["total"]["estimates"]["from_answers"]["classes"]
    assert report.headers["content-type"] == "application/json"
    assert sum(each["share"] for each in best) == pytest.approx(1)
    assert best[1]["low"] <= 23 / 70 <= best[1]["high"]
    table = client.get(address, params={"format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.splitlines()) == 1 + 2 * (1 + 1 + 4)
    assert client.get(address, params={"format": "coralnet"}).text.startswith("Image ID,Image name")
    figure = client.get(address, params={"format": "svg", "method": "from_answers"})
    assert figure.headers["content-type"].startswith("image/svg+xml")
    assert ElementTree.fromstring(figure.content).get("width") == "160mm"
    assert [each["id"] for each in client.get(f"/api/v1/projects/{bench.project_id}/surveys").json()] == [survey["id"]]


def test_dont_know_is_an_answer_and_one_can_be_taken_back(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id)
    answered(client, survey)
    address = f"/api/v1/surveys/{survey['id']}"
    first, second, *_ = client.get(f"{address}/points").json()

    answers = [{"point_id": first["id"], "unknown": True}, {"point_id": second["id"]}]
    stored = client.put(f"{address}/answers", json={"answers": answers}).json()

    assert (stored["answered"], stored["unknown"]) == (39, 1)
    now = client.get(f"{address}/points", params={"start": 0, "count": 2}).json()
    assert [(point["class_id"], point["unknown"], point["labeller"]) for point in now] == [
        (None, True, "api"),
        (None, False, ""),
    ]
    classes = client.get(f"{address}/report", params={"dont_know": "a class"}).json()["classes"]
    assert [each["name"] for each in classes] == ["background", "cell", "don't know"]


def test_points_tell_nothing_of_what_is_predicted(client: TestClient, bench: Bench) -> None:
    survey = bench.plan()
    bench.predict(survey)

    (point,) = client.get(f"/api/v1/surveys/{survey.id}/points", params={"count": 1}).json()

    assert set(point) == {"id", "image_id", "row", "col", "class_id", "unknown", "labeller", "answered_at"}


def test_strata_have_numbers_of_their_own_and_grow(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id, strata="[0-3](?=.png)", images={"1": 1, "2": 1}, points_per_image=5)
    address = f"/api/v1/surveys/{survey['id']}/images"

    assert survey["points"] == 10
    assert client.post(address, json={"images": {"other": 2}}).json()["points"] == 20
    refused = client.post(address, json={"images": {"9": 2}})
    assert refused.status_code == 400
    assert "no stratum '9'" in refused.json()["error"]


def test_a_closed_survey_takes_no_answers_teaches_once_and_is_deleted(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id)
    answered(client, survey)
    address = f"/api/v1/surveys/{survey['id']}"
    point = client.get(f"{address}/points").json()[0]
    again = {"answers": [{"point_id": point["id"], "class_id": 1}]}
    assert client.post(f"{address}/teach").status_code == 400

    assert client.put(f"{address}/closed", json={"closed": True}).json()["closed"]

    assert "closed" in client.put(f"{address}/answers", json=again).json()["error"]
    assert client.put(f"{address}/closed", json={"closed": False}).json()["closed"] is False
    client.put(f"{address}/closed", json={"closed": True})
    assert client.post(f"{address}/teach").json() == {"taught": 40}
    assert client.get(f"/api/v1/projects/{bench.project_id}").json()["n_points"] == 40
    assert client.post(f"{address}/predictions").status_code == 400
    assert client.delete(address).status_code == 200
    assert client.get(address).status_code == 404


def test_images_are_predicted_in_the_background(client: TestClient, lab: Lab) -> None:
    site = Site(lab, 3)
    site.click(0, per_class=6)
    survey = planned(client, site.project.id, images=2)
    address = f"/api/v1/surveys/{survey['id']}"
    assert client.get(f"{address}/predictions").json()["state"] == "never"

    assert client.post(f"{address}/predictions").status_code == 202
    deadline = time.monotonic() + 60
    while (now := client.get(f"{address}/predictions").json())["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert now["state"] == "finished", now["message"]
    assert client.get(address).json()["predicted_by"] == "instant learner"
    answered(client, survey)
    assert client.get(f"{address}/report").json()["total"]["estimates"]["corrected"]


def test_what_cannot_be_predicted_says_why(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id)
    address = f"/api/v1/surveys/{survey['id']}/predictions"
    client.post(address)
    deadline = time.monotonic() + 60
    while (now := client.get(address).json())["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert now["state"] == "failed"
    assert "click pixels of two classes" in now["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": "x"}, 422),
        ({"name": "", "images": 1}, 422),
        ({"name": "x", "images": 0}, 400),
        ({"name": "x", "images": -1}, 400),
        ({"name": "x", "images": {"a": 1}}, 400),
        ({"name": "x", "images": {}}, 400),
        ({"name": "x", "images": 10**30}, 400),
        ({"name": "x", "images": "all"}, 422),
        ({"name": "x", "images": 1, "plan": "anyhow"}, 422),
        ({"name": "x", "images": 1, "prior": "none"}, 400),
        ({"name": "x", "images": 1, "prior": 0}, 400),
        ({"name": "x", "images": 1, "level": 90}, 400),
        ({"name": "x", "images": 1, "strata": "("}, 400),
        ({"name": "x", "images": 1, "points_per_image": 0}, 422),
        ({"name": "x", "images": 1, "points_per_image": 50_000}, 400),
        ({"name": "x", "images": 1, "labeller": " "}, 400),
        ({"name": "x\u0000", "images": 1}, 400),
        ({"name": "x", "images": 1, "colour": "red"}, 422),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_words(
    client: TestClient, bench: Bench, body: dict[str, object], status: int
) -> None:
    refused = client.post(f"/api/v1/projects/{bench.project_id}/surveys", json=body)

    assert refused.status_code == status, refused.text
    assert refused.json()["error"]
    assert client.get(f"/api/v1/projects/{bench.project_id}/surveys").json() == []


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], 422),
        ([{"point_id": 0}], 422),
        ([{"point_id": 10**12, "class_id": 0}], 422),
        ([{"point_id": 1, "class_id": 300}], 422),
        ([{"point_id": 1, "class_id": 9}], 400),
        ([{"point_id": 1, "class_id": 0, "unknown": True}], 400),
        ([{"point_id": 1, "class_id": 0}, {"point_id": 4711, "class_id": 0}], 400),
    ],
)
def test_answers_are_stored_all_or_none(
    client: TestClient, bench: Bench, answers: list[dict[str, object]], status: int
) -> None:
    survey = planned(client, bench.project_id)

    refused = client.put(f"/api/v1/surveys/{survey['id']}/answers", json={"answers": answers})

    assert refused.status_code == status, refused.text
    assert client.get(f"/api/v1/surveys/{survey['id']}").json()["answered"] == 0


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/projects/77/surveys"),
        ("get", "/surveys/77"),
        ("delete", "/surveys/77"),
        ("get", "/surveys/77/points"),
        ("get", "/surveys/77/report"),
        ("get", "/surveys/77/predictions"),
        ("post", "/surveys/77/predictions"),
        ("post", "/surveys/77/teach"),
    ],
)
def test_what_is_not_there_is_told(client: TestClient, method: str, address: str) -> None:
    missing = client.request(method, f"/api/v1{address}")

    assert missing.status_code == 404
    assert "no" in missing.json()["error"]


def test_every_address_of_surveys_is_in_the_manual(client: TestClient) -> None:
    manual = (ROOT / "docs" / "rest.md").read_text("utf-8")
    addresses = [path for path in client.get("/openapi.json").json()["paths"] if "survey" in path]

    assert len(addresses) == 9
    assert [path for path in addresses if f"{path.removeprefix('/api/v1')}` |" not in manual] == []


def test_a_report_without_answers_has_notes_and_no_figure(client: TestClient, bench: Bench) -> None:
    survey = planned(client, bench.project_id)
    address = f"/api/v1/surveys/{survey['id']}/report"

    assert json.loads(client.get(address).text)["total"]["notes"]
    figure = client.get(address, params={"format": "svg"})
    assert figure.status_code == 400
    assert "no figure can be drawn" in figure.json()["error"]
