"""Tags by HTTP: stored once, acknowledged when they are, refused one by one; and what browsers are told of images."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fcnlab.domain.events import Point, PointSource
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects
from fcnlab.services.tags.reading import tags_of
from fcnlab.web import routes, tag_answers
from fcnlab.web.canvas.tagging import tagging_data
from fcnlab.web.session import Engine
from tests.support.worker_bench import eventually
from tests.web.test_pages import picture

SAND, CORAL = 0, 1


class Tab:
    """A browser tab that tags the images of a project."""

    def __init__(self, engine: Engine, client: TestClient, name: str = "reef", n_images: int = 3) -> None:
        self.engine, self.lab, self.client = engine, engine.lab, client
        self.project = projects.create_project(self.lab, name=name, labels=projects.labels_of(["sand", "coral"]))
        files = [(f"{n}.png", picture(n)) for n in range(n_images)]
        steps = import_files(self.lab, files, project_id=self.project.id)
        self.images = [step.image_id or 0 for step in steps]
        self.seq = 0

    @property
    def address(self) -> str:
        return f"/fcnlab/{self.project.key}/tags"

    def entry(self, place: int, class_id: int, answer: str | None, *, image: int | None = None) -> dict[str, Any]:
        self.seq += 1
        image_id = self.images[place] if image is None else image
        return {"seq": self.seq, "kind": "tag", "image_id": image_id, "payload": {"class": class_id, "answer": answer}}

    def send(self, *log: Any, status: int = 200, client_id: str = "tab-a", labeller: str = "Ada") -> Any:
        body = json.dumps({"client_id": client_id, "log": list(log), "labeller": labeller, "image": None})
        response = self.client.post(self.address, content=body)
        assert response.status_code == status, response.text
        return response.json() if status == 200 else response.text

    def news(self, *image_ids: int, passed: tuple[int, ...] = ()) -> dict[str, Any]:
        ids, besides = (",".join(map(str, numbers)) for numbers in (image_ids, passed))
        response = self.client.get(f"{self.address}?ids={ids}&besides={besides}")
        assert response.status_code == 200, response.text
        return response.json()

    def answered(self) -> dict[tuple[int, int], str]:
        answers = tags_of(self.lab, project_id=self.project.id).answers
        return {(self.images.index(image), class_id): tag.answer.value for (image, class_id), tag in answers.items()}


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(routes, "engine", lambda: engine)
    return TestClient(Starlette(routes=[*tag_answers.routes, *routes.routes]))


@pytest.fixture
def tab(engine: Engine, client: TestClient) -> Tab:
    return Tab(engine, client)


def test_answers_are_stored_when_they_are_acknowledged_with_who_gave_them(tab: Tab) -> None:
    said = tab.send(tab.entry(0, CORAL, "yes"), tab.entry(1, SAND, "no"), tab.entry(2, SAND, "yes"))
    said = tab.send(tab.entry(2, SAND, None))

    assert said == {"acknowledged": {"client_id": "tab-a", "seq": 4}, "refused": []}
    assert tab.answered() == {(0, CORAL): "yes", (1, SAND): "no"}
    answers = tags_of(tab.lab, project_id=tab.project.id).answers
    assert {tag.labeller for tag in answers.values()} == {"Ada"}


def test_what_a_browser_saw_before_is_a_condition_and_nothing_else_is_taken_for_it(tab: Tab) -> None:
    tab.send(tab.entry(0, CORAL, "no"), labeller="Bob", client_id="tab-b")
    late, good = tab.entry(0, CORAL, "yes"), tab.entry(1, CORAL, "yes")
    for entry in (late, good):
        entry["payload"]["before"] = None

    said = tab.send(late, good)

    (refusal,) = said["refused"]
    assert (refusal["image"], refusal["class"]) == (tab.images[0], CORAL)
    assert "'coral' is not there, says Bob" in refusal["reason"]
    assert tab.answered() == {(0, CORAL): "no", (1, CORAL): "yes"}
    for wrong in ("perhaps", 1, True, [], {}):
        entry = tab.entry(2, CORAL, "yes")
        entry["payload"]["before"] = wrong
        tab.send(entry, status=400)
    assert tab.answered() == {(0, CORAL): "no", (1, CORAL): "yes"}


def test_sending_twice_is_sending_once_and_what_comes_late_changes_nothing(tab: Tab) -> None:
    first, second = tab.entry(0, CORAL, "yes"), tab.entry(0, CORAL, "no")
    tab.send(first, second)
    tab.send(first, second)

    late = tab.send(first)

    assert late["acknowledged"]["seq"] == 2
    assert tab.answered() == {(0, CORAL): "no"}
    tab.send({**first, "seq": 1}, client_id="tab-b")
    assert tab.answered() == {(0, CORAL): "yes"}, "another tab has numbers of its own"


def test_what_comes_late_changes_nothing_after_a_restart_of_the_server_either(
    tab: Tab, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tab.entry(0, CORAL, "yes"), tab.entry(0, CORAL, None)
    tab.send(first, second)
    restarted = Engine(engine.lab, engine.jobs)
    monkeypatch.setattr(routes, "engine", lambda: restarted)

    assert tab.send(first)["acknowledged"]["seq"] == 2
    assert tab.answered() == {}


def test_images_of_others_and_removed_classes_are_refused_one_by_one(tab: Tab, client: TestClient) -> None:
    other = Tab(tab.engine, client, "other")
    projects.remove_class(tab.lab, project_id=tab.project.id, class_id=CORAL)

    said = tab.send(
        tab.entry(0, SAND, "yes"), tab.entry(1, CORAL, "yes"), tab.entry(0, SAND, "yes", image=other.images[0])
    )

    assert said["acknowledged"]["seq"] == 3, "the browser need not send them for ever"
    assert [(each["image"], each["class"]) for each in said["refused"]] == [
        (tab.images[1], CORAL),
        (other.images[0], SAND),
    ]
    assert said["refused"][0]["reason"] == "The class was removed"
    assert tab.answered() == {(0, SAND): "yes"}
    assert other.answered() == {}


def test_a_deleted_project_is_gone(tab: Tab) -> None:
    entry = tab.entry(0, SAND, "yes")
    projects.delete_project(tab.lab, project_id=tab.project.id)

    assert "deleted" in tab.send(entry, status=410)
    assert tab.client.get(tab.address).status_code == 410


@pytest.mark.parametrize(
    "log",
    [
        ["x"],
        [{"seq": 1, "image_id": 1, "payload": {"class": "a", "answer": "yes"}}],
        [{"seq": 1, "image_id": 1, "payload": {"class": 1, "answer": "perhaps"}}],
        [{"seq": 1, "image_id": 1, "payload": {"class": 1, "answer": ["yes"]}}],
        [{"seq": "1", "image_id": 1, "payload": {"class": 1, "answer": "yes"}}],
        [{"seq": 1, "image_id": None, "payload": {"class": 1, "answer": "yes"}}],
        [{}] * 1001,
    ],
)
def test_what_is_no_log_of_tags_is_refused_whole(tab: Tab, log: list[Any]) -> None:
    tab.send(tab.entry(0, SAND, "yes"), *log, status=400)

    assert tab.answered() == {}


def test_no_json_and_no_sender_are_refused(tab: Tab) -> None:
    assert tab.client.post(tab.address, content="{").status_code == 400
    assert tab.client.post(tab.address, content='{"client_id": "a", "log": []}').status_code == 400


def test_a_browser_is_told_what_is_answered_and_what_labels_say_and_nothing_of_other_projects(
    tab: Tab, client: TestClient
) -> None:
    other = Tab(tab.engine, client, "other")
    add_points(tab.lab, [Point(3, 3, CORAL)], image_id=tab.images[0], labeller="bo", source=PointSource.CLICK)
    tab.send(tab.entry(0, CORAL, "no"), tab.entry(1, SAND, "yes"), tab.entry(1, CORAL, "no"))

    news = tab.news(tab.images[1], tab.images[0], other.images[0])

    assert [image["id"] for image in news["images"]] == [tab.images[1], tab.images[0]]
    said = [[entry[:4] for entry in image["tags"]] for image in news["images"]]
    assert said[0] == [[SAND, "yes", None, None], [CORAL, "no", None, None]]
    assert said[1] == [[SAND, None, None, None], [CORAL, "no", "yes", "from points"]]
    assert (news["known"], news["total"]) == (1, 3)
    data = tagging_data(tags_of(tab.lab, project_id=tab.project.id), labeller="Ada", start=other.images[0])
    assert (data["images"], data["start"]) == (tab.images, None)


def test_after_answers_suggestions_come_by_themselves_and_images_that_were_passed_are_asked_about_last(
    tab: Tab,
) -> None:
    first, second, third = tab.images
    assert tab.news(first)["order"] == [first, second, third]
    assert tab.news(first, passed=(first,))["order"] == [second, third, first]

    tab.send(*(tab.entry(0, class_id, "yes") for class_id in (SAND, CORAL)))
    tab.send(*(tab.entry(1, class_id, "no") for class_id in (SAND, CORAL)))
    eventually(lambda: tab.news(third)["looked"] == 3 and not tab.news(third)["behind"])

    news = tab.news(first, third)
    assert news["order"] == [third]
    probabilities = [entry[4] for entry in news["images"][1]["tags"]]
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert tab.answered() == {(0, SAND): "yes", (0, CORAL): "yes", (1, SAND): "no", (1, CORAL): "no"}


def test_the_strip_shows_the_images_that_a_tag_chooses(tab: Tab, client: TestClient) -> None:
    def order(tag: str, *, status: int = 200, sort: str = "") -> Any:
        response = client.get(f"/fcnlab/{tab.project.key}/strip?tag={tag}&sort={sort}")
        assert response.status_code == status, response.text
        return response.json()["order"] if status == 200 else response.text

    first, second, third = tab.images
    assert order(f"{CORAL}:predicted") == []
    tab.send(tab.entry(0, CORAL, "yes"), tab.entry(2, CORAL, "yes"), tab.entry(1, CORAL, "no"))

    assert order(f"{CORAL}:yes") == [first, third]
    assert sorted(order(f"{CORAL}:yes", sort="gain")) == [first, third]
    assert order(f"{CORAL}:no") == [second]
    assert order(f"{CORAL}:unknown") == []
    assert order(f"{SAND}:unknown") == tab.images
    assert "chooses no images" in order("x:yes", status=400)
    assert "chooses no images" in order(f"{CORAL}:perhaps", status=400)
    assert "may have been removed" in order("77:yes", status=400)
