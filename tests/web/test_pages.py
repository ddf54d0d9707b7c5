"""The projects and export pages, without a browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.lab import Lab
from fcnlab.services.export.target import download_url, find_download, new_download
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.projects import projects
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def filled(lab: Lab, name: str = "cells") -> tuple[int, list[int]]:
    project = projects.create_project(lab, name=name)
    files = [(f"{seed}.png", picture(seed)) for seed in range(2)]
    return project.id, [step.image_id or 0 for step in import_files(lab, files, project_id=project.id)]


def clicked(lab: Lab, image_id: int) -> None:
    points = [Point(10, 10, 0), Point(30, 50, 1)]
    add_points(lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)


def page(name: str, *, project: int | None = None) -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"] = "ann"
    if project is not None:
        shown.query_params["project"] = str(project)
    shown.switch_page(f"pages/{name}.py").run()
    assert not shown.exception
    return shown


def labels(shown: AppTest) -> list[str]:
    return [button.label for button in shown.button]


def test_an_empty_installation_offers_a_first_project(lab: Lab) -> None:
    shown = page("projects")

    assert "New project" in labels(shown)
    assert "Delete" not in labels(shown)


def test_the_dashboard_counts(lab: Lab) -> None:
    _, images = filled(lab)
    clicked(lab, images[0])
    set_image_state(lab, image_id=images[1], state=ImageState.DONE, labeller="ann")

    shown = page("projects")

    assert {one.label: one.value for one in shown.metric} == {
        "Images": "2",
        "Done": "1",
        "Points": "2",
        "Labellers": "1",
    }
    assert {"Label", "Rename", "Archive", "Delete", "New project"} <= set(labels(shown))


def test_an_archived_project_is_out_of_sight_until_it_is_taken_back(lab: Lab) -> None:
    first, _ = filled(lab, "first")
    filled(lab, "second")
    shown = page("projects")

    next(button for button in shown.button if button.label == "Archive").click().run()

    assert [project.name for project in projects.projects(lab)] == ["second"]
    assert not shown.exception
    assert "Take back" not in labels(shown)
    next(switch for switch in shown.toggle if switch.label == "Show archived projects (1)").set_value(True).run()
    next(button for button in shown.button if button.label == "Take back").click().run()
    assert {project.id for project in projects.projects(lab)} >= {first}


def test_an_export_page_says_what_is_missing(lab: Lab) -> None:
    assert "no project yet" in page("export").info[0].value
    project = projects.create_project(lab, name="cells")
    assert "no images yet" in page("export").info[0].value
    list(import_files(lab, [("a.png", picture(0))], project_id=project.id))

    shown = page("export")

    assert "Nothing can be learned yet" in shown.info[0].value
    assert "Export" not in labels(shown)


def test_an_export_is_made_and_offered(lab: Lab) -> None:
    _, images = filled(lab)
    clicked(lab, images[0])
    shown = page("export")
    assert any("**2** predicted masks" in one.value for one in shown.markdown)

    next(button for button in shown.button if button.label == "Export").click().run()

    assert not shown.exception
    assert "2 masks (0 kept, 2 predicted)" in shown.success[0].value
    assert len(list(lab.folders.exports.glob("download-*/cells.zip"))) == 1


def test_a_download_needs_its_unguessable_address(lab: Lab) -> None:
    path = new_download(lab, name="a b.zip")
    path.write_bytes(b"data")
    *_, token, name = download_url(path).split("/")

    assert name == "a%20b.zip"
    assert find_download(lab, token=token, name="a b.zip") == path
    for wrong_token, wrong_name in ((token[:-1] + "!", "a b.zip"), (token, "../lab.db"), ("x" * 32, "a b.zip")):
        with pytest.raises(Exception, match="not offered"):
            find_download(lab, token=wrong_token, name=wrong_name)


def test_the_labeller_is_known_on_the_next_page_whose_address_names_nobody(lab: Lab) -> None:
    filled(lab)
    shown = page("scribble").run()
    del shown.query_params["labeller"]

    shown.switch_page("pages/train.py").run()
    shown.switch_page("pages/scribble.py").run()

    assert not shown.exception
    assert shown.query_params["labeller"] in ("ann", ["ann"])
