"""Label Studio's backend protocol, with requests shaped as its documentation and its own examples shape them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fcnlab.api.service import make_service
from fcnlab.lab import Lab
from fcnlab.services.installation.tokens import label_studio_path
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.projects import projects
from fcnlab.storage.formats.shapes.label_studio_brush import decode_brush
from tests.support.bars import HEIGHT, WIDTH, scene
from tests.support.label_studio_tasks import (
    CONFIG,
    EMBEDDED,
    LIGHT,
    TOKEN,
    TWO_LABELS,
    asked,
    clicks,
    keypoint,
    stored,
)


@pytest.fixture
def client(lab: Lab) -> Iterator[TestClient]:
    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


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
    found = decode_brush(brush["value"]["rle"], (HEIGHT, WIDTH), what="answer")
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
    found = decode_brush(brush["value"]["rle"], (HEIGHT, WIDTH), what="answer")
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


def test_a_click_of_one_label_leaves_the_clicks_of_the_others_alone(client: TestClient, lab: Lab) -> None:
    task = {"id": 12, "data": {"image": EMBEDDED}}
    bar = [keypoint(int(row), int(col)) for row, col in np.argwhere(LIGHT)[::70]]
    dark = [keypoint(int(row), int(col), label="Dark") for row, col in np.argwhere(~LIGHT)[::500]]

    client.post("/predict", json=asked(task, bar, config=TWO_LABELS))
    answer = client.post("/predict", json=asked(task, dark, config=TWO_LABELS)).json()

    assert len(stored(lab)) == len(bar) + len(dark)
    brushes = {one["value"]["brushlabels"][0]: one["value"]["rle"] for one in answer["results"][0]["result"]}
    assert set(brushes) == {"Bar", "Dark"}
    for label, wanted in (("Bar", LIGHT), ("Dark", ~LIGHT)):
        found = decode_brush(brushes[label], (HEIGHT, WIDTH), what="answer")
        assert (found & wanted).sum() / (found | wanted).sum() > 0.9


def test_what_disappeared_from_the_context_of_its_own_label_goes_its_negative_clicks_too(
    client: TestClient, lab: Lab
) -> None:
    task = {"id": 12, "data": {"image": EMBEDDED}}

    def told(*result: dict[str, Any]) -> list[tuple[int, int, str]]:
        client.post("/predict", json=asked(task, list(result), config=TWO_LABELS))
        return stored(lab)

    assert told(keypoint(1, 2), keypoint(3, 4, is_positive=False)) == [(1, 2, "Bar"), (3, 4, "background")]
    dark = keypoint(5, 6, label="Dark"), keypoint(7, 8, label="Dark", is_positive=False)
    both = [(1, 2, "Bar"), (3, 4, "background"), (5, 6, "Dark"), (7, 8, "background")]
    assert told(*dark) == both
    assert told(*dark) == both
    assert told(dark[0]) == both[:3]
    assert told(keypoint(3, 4, is_positive=False)) == both[1:3]


def test_a_result_that_got_another_label_or_place_is_one_point_still(client: TestClient, lab: Lab) -> None:
    task = {"id": 12, "data": {"image": EMBEDDED}}
    client.post("/predict", json=asked(task, [keypoint(1, 2), keypoint(9, 9)], config=TWO_LABELS))

    moved = {**keypoint(4, 5, label="Dark"), "id": keypoint(1, 2)["id"]}
    client.post("/predict", json=asked(task, [moved, keypoint(9, 9, label="Dark")], config=TWO_LABELS))

    assert stored(lab) == [(4, 5, "Dark"), (9, 9, "Dark")]


def test_clicks_of_an_accepted_mask_stay_for_as_long_as_its_region_does(client: TestClient, lab: Lab) -> None:
    task, project = {"id": 5, "data": {"image": EMBEDDED}}, {"id": 7, "label_config": TWO_LABELS}
    brush = {"id": "fcnlab-1-1", "type": "brushlabels", "value": {"brushlabels": ["Bar"], "format": "rle", "rle": []}}

    def told(action: str, *result: dict[str, Any]) -> list[tuple[int, int, str]]:
        annotation = {"id": 31, "result": list(result)}
        event = {"action": action, "task": task, "project": project, "annotation": annotation}
        assert client.post("/webhook", json=event).status_code == 201
        return stored(lab)

    client.post("/predict", json=asked(task, [keypoint(1, 2), keypoint(3, 4, is_positive=False)], config=TWO_LABELS))
    client.post("/predict", json=asked(task, [keypoint(5, 6, label="Dark")], config=TWO_LABELS))

    clicked = [(1, 2, "Bar"), (3, 4, "background")]
    assert told("ANNOTATION_CREATED", brush) == clicked
    assert told("ANNOTATION_UPDATED", brush, keypoint(9, 9)) == [*clicked, (9, 9, "Bar")]
    assert told("ANNOTATION_UPDATED", brush) == clicked
    assert told("ANNOTATION_UPDATED") == []


def test_the_webhook_that_label_studio_makes_itself_teaches_and_unteaches(lab: Lab) -> None:
    address = label_studio_path(TOKEN)
    event = {"task": {"id": 5, "data": {"image": EMBEDDED}}, "project": {"id": 7, "label_config": CONFIG}}
    made = {"action": "ANNOTATION_CREATED", "annotation": {"id": 31, "result": [keypoint(1, 2)]}, **event}
    gone = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 31}], **event}

    with TestClient(make_service(lab, token=TOKEN)) as client:
        introduced = client.post(f"{address}/setup", json={"project": "7.17", "schema": CONFIG})
        first = client.post(f"{address}/webhook", json=made).status_code
        points = stored(lab)
        second = client.post(f"{address}/webhook", json=gone).status_code

    assert introduced.json() == {"model_version": "fcnlab-instant"}
    assert (first, second) == (201, 201)
    assert points == [(1, 2, "Bar")]
    assert stored(lab) == []


def test_the_secret_of_the_address_opens_nothing_but_label_studio_and_is_not_the_token(lab: Lab) -> None:
    address = label_studio_path(TOKEN)
    other = label_studio_path(TOKEN + "x")

    with TestClient(make_service(lab, token=TOKEN)) as client:
        status = {
            path: client.get(path).status_code
            for path in (f"{address}/health", f"{address}/versions", f"{address}/api/v1/projects", f"{address}/docs")
        }
        wrong = [client.get(f"{other}/health").status_code, client.get(f"{address}x/versions").status_code]
        bearer = {"Authorization": f"Bearer {address.rpartition('/')[2]}"}
        as_token = client.get("/api/v1/projects", headers=bearer).status_code

    assert list(status.values()) == [200, 200, 401, 401]
    assert wrong == [401, 401]
    assert as_token == 401
    assert TOKEN not in address


def test_a_webhook_without_the_secret_is_refused_with_what_to_do_in_both_logs(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(make_service(lab, token=TOKEN)) as client:
        wanted = {"project": "7.17", "schema": CONFIG}
        introduced = client.post("/setup", json=wanted, auth=("any", TOKEN)).json()
        said_at_setup = caplog.text
        refused = client.post("/webhook", json={"action": "ANNOTATION_CREATED"})

    assert refused.status_code == 401
    for said in (introduced["warning"], said_at_setup, refused.json()["error"], caplog.text[len(said_at_setup) :]):
        assert "fcnlab serve" in said
        assert "webhook" in said
    assert TOKEN not in caplog.text + refused.text


def test_several_annotations_of_one_event_teach_each_its_own_task(client: TestClient, lab: Lab) -> None:
    other = "data:image/png;base64," + base64.b64encode(scene(2)).decode()
    event = {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [{"id": 1, "task": 6, "result": [keypoint(1, 2)]}, {"id": 2, "task": 5, "result": []}],
        "task": [{"id": 5, "data": {"image": EMBEDDED}}, {"id": 6, "data": {"image": other}}],
        "project": {"id": 7, "label_config": CONFIG},
    }

    answer = client.post("/webhook", json=event)

    assert answer.status_code == 201
    (project,) = projects.projects(lab)
    counts = {
        one.name: len(points_of_image(lab, image_id=one.id)) for one in projects.images(lab, project_id=project.id)
    }
    assert counts == {"task-5/embedded": 0, "task-6/embedded": 1}


def test_tasks_sent_for_a_training_teach_and_what_cannot_is_named(client: TestClient, lab: Lab) -> None:
    good = {"id": 5, "data": {"image": EMBEDDED}, "annotations": [{"id": 31, "result": [keypoint(1, 2)]}]}
    skipped = {"id": 6, "data": {"image": EMBEDDED}, "annotations": [{"id": 32, "was_cancelled": True, "result": []}]}
    lost = {"id": 8, "data": {}, "annotations": [{"id": 33, "result": [keypoint(1, 2)]}]}

    answer = client.post(
        "/train", json={"annotations": [good, skipped, lost], "project": "7.17", "label_config": CONFIG}
    ).json()

    assert answer["result"]["learned"] == 1
    (refusal,) = answer["result"]["refused"]
    assert "task 8" in refusal
    assert stored(lab) == [(1, 2, "Bar")]


def test_labels_are_compared_as_classes_are_named(client: TestClient, lab: Lab) -> None:
    wanted = {"project": "7", "schema": CONFIG.replace('"Bar"', '" Big  bar "')}

    answers = [client.post("/setup", json=wanted).status_code for _ in range(2)]

    assert answers == [200, 200]
    assert [label.name for label in projects.projects(lab)[0].classes] == ["background", "Big bar"]


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
