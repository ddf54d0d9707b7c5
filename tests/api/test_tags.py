"""Tags over the REST service: answered, predicted, chosen by, and as files."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fcnlab.lab import Lab
from tests.support.paths import ROOT
from tests.support.tag_bench import CELL, PhotoSite, TagBench


@pytest.fixture
def bench(lab: Lab) -> TagBench:
    return TagBench(lab)


def address(project_id: int) -> str:
    return f"/api/v1/projects/{project_id}/tags"


def put(client: TestClient, project_id: int, *tags: tuple[int, int, str | None], who: str = "ann") -> Any:
    body = [{"image_id": image_id, "class_id": class_id, "answer": answer} for image_id, class_id, answer in tags]
    return client.put(address(project_id), json={"tags": body, "labeller": who})


def test_answers_are_stored_told_and_undone_by_what_was_before(client: TestClient, bench: TagBench) -> None:
    first, second, *_ = bench.images
    done = put(client, bench.project_id, (first, CELL, "yes"), (second, CELL, "no"))
    assert done.json()["changed"] == 2

    listed = client.get(address(bench.project_id), params={"count": 1}).json()
    assert [image["image_id"] for image in listed] == [first]
    said = {tag["class_id"]: tag for tag in listed[0]["tags"]}
    assert (said[CELL]["answer"], said[CELL]["source"], said[CELL]["labeller"]) == ("yes", "answered", "ann")
    assert said[0]["answer"] is None
    counts = {each["name"]: each for each in client.get(f"{address(bench.project_id)}/counts").json()}
    assert (counts["cell"]["yes"], counts["cell"]["no"], counts["cell"]["unknown"]) == (1, 1, 2)

    back = client.put(address(bench.project_id), json={"tags": done.json()["before"]})
    assert back.json()["changed"] == 2
    assert client.get(address(bench.project_id)).json()[0]["tags"][1]["answer"] is None


def test_a_contradiction_is_told_and_the_answer_stays(client: TestClient, bench: TagBench) -> None:
    bench.tab(0).add(3, 4, CELL)
    put(client, bench.project_id, (bench.images[0], CELL, "no"))

    tag = client.get(address(bench.project_id)).json()[0]["tags"][1]

    assert (tag["answer"], tag["labelled"], tag["labelled_by"]) == ("no", "yes", "from points")
    assert tag["contradicted"]


def test_images_are_chosen_by_tags(client: TestClient, bench: TagBench) -> None:
    put(client, bench.project_id, (bench.images[0], CELL, "yes"), (bench.images[1], CELL, "no"))
    images = f"{address(bench.project_id)}/images"

    assert client.get(images, params={"tag": "cell"}).json() == bench.images[:1]
    assert client.get(images, params={"tag": ["cell=unknown"], "not_done": True}).json() == bench.images[2:]
    refused = client.get(images, params={"tag": "cell=predicted"})
    assert refused.status_code == 400
    assert "nothing can be predicted" in refused.json()["error"]
    assert client.get(images, params={"tag": "fish"}).status_code == 400


def test_suggestions_come_while_one_asks(client: TestClient, lab: Lab) -> None:
    site = PhotoSite(lab, n_images=8, said=4)
    ends = time.monotonic() + 120
    while True:
        told = client.get(f"{address(site.project.id)}/suggestions").json()
        if told["looked_at"] == told["images"] and not told["behind"]:
            break
        assert time.monotonic() < ends, told
        time.sleep(0.05)

    likely = {each["image_id"] for each in told["suggestions"] if each["probabilities"][str(site.bar)] >= 0.5}

    assert likely == {site.images[number] for number in (0, 2, 4, 6)}
    assert told["class_ids"] == [site.bar]
    assert told["next_image_id"] in site.images[4:]
    predicted = client.get(f"{address(site.project.id)}/images", params={"tag": "bar=predicted"}).json()
    assert predicted == [site.images[4], site.images[6]]
    scores = client.get(f"{address(site.project.id)}/scores").json()
    assert [(each["name"], each["yes"], each["no"]) for each in scores["classes"]] == [("bar", 2, 2)]
    table = client.get(f"{address(site.project.id)}/file", params={"probabilities": True}).text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert float(rows[4]["p(bar)"]) > 0.5 > float(rows[5]["p(bar)"])


def test_tags_go_out_as_files_and_come_back(client: TestClient, bench: TagBench) -> None:
    put(client, bench.project_id, (bench.images[0], CELL, "yes"), (bench.images[1], CELL, "no"))
    file = f"{address(bench.project_id)}/file"

    table = client.get(file)
    assert table.headers["content-type"].startswith("text/csv")
    coco = client.get(file, params={"format": "coco", "class": "cell"})
    assert [each["name"] for each in json.loads(coco.text)["categories"]] == ["cell"]
    lists = client.get(file, params={"format": "yolo", "class": "cell"})
    assert lists.headers["content-type"] == "application/zip"

    changed = table.text.replace("00000.png,,yes", "00000.png,,no").encode()
    tried = client.post(file, params={"dry_run": True}, files={"file": ("mine.csv", changed)})
    refused = client.post(file, files={"file": ("mine.csv", changed)})
    assert len(tried.json()["overwritten"]) == 1
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("mine.csv: line 2: 00000.png, cell: ann answered yes")
    assert client.get(file).text == table.text
    stored = client.post(file, params={"overwrite": True, "labeller": "bob"}, files={"file": ("mine.csv", changed)})
    assert stored.json()["changed"] == 1


def test_surveys_and_exports_take_chosen_images(client: TestClient, bench: TagBench) -> None:
    project = f"/api/v1/projects/{bench.project_id}"
    body = {"name": "cover", "images": 9, "points_per_image": 5, "image_ids": bench.images[:2]}

    assert client.post(f"{project}/surveys", json=body).json()["points"] == 10
    strange = client.post(f"{project}/surveys", json={**body, "name": "other", "image_ids": [999]})
    assert strange.status_code == 404
    begun = client.post(f"{project}/exports", json={"image_ids": bench.images[:1]})
    assert begun.status_code == 202


@pytest.mark.parametrize("answer", ["perhaps", 1, True])
def test_an_answer_is_yes_no_or_null(client: TestClient, bench: TagBench, answer: object) -> None:
    body = {"tags": [{"image_id": bench.images[0], "class_id": CELL, "answer": answer}]}

    assert client.put(address(bench.project_id), json=body).status_code == 422


def test_what_is_not_there_is_refused(client: TestClient, bench: TagBench) -> None:
    assert client.get(address(999)).status_code == 404
    assert put(client, bench.project_id, (999, CELL, "yes")).status_code == 404
    assert put(client, bench.project_id, (bench.images[0], 9, "yes")).status_code == 400
    assert client.get(f"{address(bench.project_id)}/file", params={"format": "yolo"}).status_code == 400


def test_every_address_is_in_the_manual(client: TestClient) -> None:
    manual = (ROOT / "docs" / "rest.md").read_text("utf-8")
    paths = client.get("/openapi.json").json()["paths"]

    for path in (path for path in paths if "/tags" in path):
        assert path.removeprefix("/api/v1") in manual, path
