"""What follows a project's choice of a model: when it is asked, what is explained, and what is kept of others."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_project
from fcnlab.services.labelling.queries import ask
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.masks import kept_mask, predicted_mask
from fcnlab.services.models import model_cache
from fcnlab.services.models.models import keep_instant, use_model
from fcnlab.services.projects import projects
from tests.support import chosen_bench
from tests.support.chosen_bench import CORNERS, choose, shown_by
from tests.support.export_bench import Bench

bench, jobs = chosen_bench.bench, chosen_bench.jobs


def test_a_network_needs_no_points_and_is_asked_once_per_image(
    bench: Bench, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    answer = model_cache.rounded_probabilities

    def counted(*args: Any, **options: Any) -> NDArray[np.float16]:
        asked.append(1)
        return answer(*args, **options)

    monkeypatch.setattr(model_cache, "rounded_probabilities", counted)
    first = shown_by(jobs, bench, "one.png")
    for row, col, class_id in CORNERS:
        bench.click("one.png", (row, col, class_id))
        shown_by(jobs, bench, "one.png")
    last = shown_by(jobs, bench, "one.png")

    assert len(asked) == 1
    assert first.shape == last.shape
    assert not np.array_equal(first, last)
    class_probabilities = jobs.overlay_store.class_probabilities(bench.images["one.png"])
    assert class_probabilities is not None
    assert class_probabilities.class_ids == (0, 1)
    assert np.allclose(class_probabilities.probabilities.astype(np.float32).sum(axis=0), 1, atol=2e-3)


def test_a_network_that_knows_one_class_in_use_is_explained_to_the_labeller(
    lab: Lab, jobs: Jobs, tmp_path: Path
) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    new = projects.add_class(lab, project_id=bench.project.id, name="rim")
    choose(bench)
    projects.remove_class(lab, project_id=bench.project.id, class_id=1)
    image_id = bench.images["one.png"]

    jobs.opened(bench.project.id, image_id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert new.id != 1
    assert jobs.overlay_store.status(image_id).phase == "error"
    assert "Models page" in jobs.overlay_store.status(image_id).message


def test_a_model_whose_file_is_gone_is_explained_and_clicks_are_kept(bench: Bench, jobs: Jobs) -> None:
    for file in bench.lab.folders.checkpoints.iterdir():
        file.unlink()
    bench.click("one.png", (40, 60, 1))
    image_id = bench.images["one.png"]

    jobs.opened(bench.project.id, image_id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert jobs.overlay_store.status(image_id).phase == "error"
    assert "no model file" in jobs.overlay_store.status(image_id).message
    assert len(points_of_project(bench.lab, project_id=bench.project.id)) == 1


def test_going_back_to_the_instant_learner_gives_its_mask_again(lab: Lab, jobs: Jobs, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0), (80, 130, 0))
    before = shown_by(jobs, bench, "one.png")

    choose(bench)
    by_network = shown_by(jobs, bench, "one.png")
    use_model(lab, project_id=bench.project.id, model_id=None)
    after = shown_by(jobs, bench, "one.png")

    assert not np.array_equal(before, by_network)
    assert np.array_equal(before, after)


def test_a_kept_instant_version_goes_on_saying_what_it_said(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0), (80, 130, 0))
    bench.learner.refresh()
    two = projects.image(lab, image_id=bench.images["two.png"])
    before = predicted_mask(bench.learner, two, bench.learner.source())
    kept = keep_instant(lab, bench.learner, labeller="ann")
    bench.click("one.png", (41, 61, 0), (20, 60, 0), (60, 60, 0), (90, 5, 1))  # nonsense

    use_model(lab, project_id=bench.project.id, model_id=kept.id)
    bench.learner.refresh()
    after = predicted_mask(bench.learner, two, bench.learner.source())

    assert np.array_equal(before, after)
    one = projects.image(lab, image_id=bench.images["one.png"])
    mask = predicted_mask(bench.learner, one, bench.learner.source())
    assert [mask[row, col] for row, col in ((41, 61), (20, 60), (60, 60), (90, 5))] == [0, 0, 0, 1]


def test_a_done_image_keeps_its_mask_and_says_which_model_made_it(bench: Bench) -> None:
    bench.mark_done("one.png")
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    before = kept_mask(bench.lab, image)
    record = bench.learner.record
    assert record is not None
    use_model(bench.lab, project_id=bench.project.id, model_id=None)
    bench.click("two.png", (40, 60, 0), (5, 5, 1))

    path, _ = bench.export("instant.zip")

    after = kept_mask(bench.lab, image)
    assert before is not None
    assert after is not None
    assert np.array_equal(before, after)
    with zipfile.ZipFile(path) as file:
        manifest = json.loads(file.read("manifest.json"))
    assert manifest["model"] is None
    assert [(one["image"], one["model"]) for one in manifest["images"]] == [("one.png", record.file), ("two.png", "")]
    use_model(bench.lab, project_id=bench.project.id, model_id=record.id)
    with zipfile.ZipFile(bench.export("network.zip")[0]) as file:
        manifest = json.loads(file.read("manifest.json"))
    assert (manifest["model"]["id"], manifest["model"]["name"]) == (record.id, record.name)
    assert [one["model"] for one in manifest["images"]] == [record.file, record.file]


def test_questions_and_gains_follow_the_chosen_model(bench: Bench, jobs: Jobs) -> None:
    image = projects.image(bench.lab, image_id=bench.images["one.png"])
    asked = ask(jobs, image, count=5, rng=np.random.default_rng(0)).result()
    for _ in range(200):
        ranking = jobs.gains.ranking(bench.project.id)
        if len(ranking.gains) == 2:
            break
        time.sleep(0.02)
    bench.click("two.png", (40, 60, 0))
    jobs.gains.ranking(bench.project.id)
    jobs.run(lambda _: None, project_id=bench.project.id).result()

    assert asked.source == "query"  # by the network: nothing was clicked yet
    assert len(asked.pixels) == 5
    assert set(ranking.gains) == set(bench.images.values())
    assert jobs.gains.ranking(bench.project.id).gains == ranking.gains
