"""Labels from other tools on the projects page, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import points_of_project
from fcnlab.services.labels.expert_masks import counted_by_source
from fcnlab.services.labels.label_import import sent_labels
from fcnlab.services.projects.projects import project
from fcnlab.settings import Settings
from fcnlab.web import session
from fcnlab.web.session import escape_markdown
from tests.support.export_bench import HEIGHT, WIDTH, Bench
from tests.support.label_imports import BOX, labelme_file
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The installation that the page opens too, with two images."""
    for name, value in {"DATA_DIR": str(tmp_path / "data"), "DEMO": "false", "DEVICE": "cpu"}.items():
        monkeypatch.setenv(f"FCNLAB_{name}", value)
    monkeypatch.setenv("FCNLAB_IMPORT_ROOTS", json.dumps([str(tmp_path / "in")]))
    st.cache_resource.clear()
    lab = open_lab(Settings())
    yield Bench(lab, tmp_path, ["one.png", "two.png"])
    session.engine().jobs.close()
    st.cache_resource.clear()
    lab.close()


def page_with(path: Path, bench: Bench) -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.switch_page("pages/projects.py").run()
    shown.text_input(f"labels-path-{bench.project.id}-0").set_value(str(path)).run()
    assert not shown.exception
    return shown


def said(shown: AppTest) -> str:
    elements = (*shown.text, *shown.success, *shown.warning, *shown.error)
    return "\n".join(one.value for one in elements)


def press(shown: AppTest, label: str) -> None:
    next(one for one in shown.button if one.label == label).click().run()
    assert not shown.exception


def test_labels_are_shown_imported_reported_and_taken_away(bench: Bench, tmp_path: Path) -> None:
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    labelme_file(tmp_path / "in" / "a" / "one.json", "one.jpg", [("object", BOX), ("dust", BOX[:3])], **size)
    labelme_file(tmp_path / "in" / "a" / "x.json", "nowhere.jpg", [("object", BOX)], **size)

    shown = page_with(tmp_path / "in" / "a", bench)

    assert "a is read as LabelMe JSON, 2 images." in said(shown)
    assert "1 of 3 classes are new to the project" in said(shown)
    assert choices(shown, bench) == {"dust": "new", "background": "0", "object": "1"}
    shown.selectbox(f"labels-class-{bench.project.id}-dust").set_value("none").run()
    shown.number_input(f"labels-n-{bench.project.id}").set_value(30).run()
    press(shown, "Import the labels")
    assert "1 image labelled, 30 points" in said(shown)
    assert "nowhere.jpg: the project has no image of this name" in said(shown)
    assert len(points_of_project(bench.lab, project_id=bench.project.id)) == 30
    assert counted_by_source(bench.lab, project_id=bench.project.id) == (("labelme:a", 1, 30),)

    press(shown, "Remove")

    assert points_of_project(bench.lab, project_id=bench.project.id) == ()
    assert counted_by_source(bench.lab, project_id=bench.project.id) == ()


def choices(shown: AppTest, bench: Bench) -> dict[str, str]:
    """What each class of the file becomes, in the order of the page."""
    start = f"labels-class-{bench.project.id}-"
    return {str(one.key).removeprefix(start): one.value for one in shown.selectbox if str(one.key).startswith(start)}


def test_classes_are_renamed_added_and_left_out_before_the_import(bench: Bench, tmp_path: Path) -> None:
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    corner, side = [[2, 2], [6, 2], [6, 6]], [[12, 2], [16, 2], [16, 6]]
    shapes = [("coin", BOX), ("*dust*", corner), ("hair", side)]
    labelme_file(tmp_path / "in" / "one.json", "one.jpg", shapes, **size)
    shown = page_with(tmp_path / "in" / "one.json", bench)
    assert choices(shown, bench) == {"*dust*": "new", "coin": "new", "hair": "new", "background": "0"}

    shown.selectbox(f"labels-class-{bench.project.id}-coin").set_value("1").run()
    shown.selectbox(f"labels-class-{bench.project.id}-hair").set_value("none").run()
    press(shown, "Import the labels")

    assert "class hair: left out; its pixels are unknown" in said(shown)
    assert [one.name for one in project(bench.lab, project_id=bench.project.id).classes][-2:] == ["object", "*dust*"]
    points = points_of_project(bench.lab, project_id=bench.project.id)
    assert {one.point.class_id for one in points} == {0, 1, 2}


def test_labels_of_which_all_classes_are_left_out_cannot_be_imported(bench: Bench, tmp_path: Path) -> None:
    labelme_file(tmp_path / "in" / "one.json", "one.jpg", [("coin", BOX)], imageHeight=HEIGHT, imageWidth=WIDTH)
    shown = page_with(tmp_path / "in" / "one.json", bench)

    shown.selectbox(f"labels-class-{bench.project.id}-coin").set_value("none").run()

    assert "Choose what at least one of them becomes" in said(shown)
    assert next(one for one in shown.button if one.label == "Import the labels").disabled


def test_what_may_not_or_cannot_be_read_is_explained(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{")

    assert "outside the folders that may be imported" in said(page_with(tmp_path / "data", bench))
    assert escape_markdown("a.json") in said(page_with(tmp_path / "in" / "a.json", bench))


class Sent:
    def __init__(self, name: str, content: bytes) -> None:
        self.name, self._content = name, content

    def getbuffer(self) -> memoryview:
        return memoryview(self._content)


def test_sent_files_are_files_while_they_are_read(bench: Bench) -> None:
    lab: Lab = bench.lab
    with sent_labels(lab, [Sent("../../a.json", b"one")]) as (path, name):
        assert name == "a.json"
        assert path.read_bytes() == b"one"
    with sent_labels(lab, [Sent("b.txt", b"two"), Sent("classes.txt", b"three")]) as (path, name):
        assert name == "b.txt and 1 more"
        assert {one.name for one in path.iterdir()} == {"b.txt", "classes.txt"}
    with pytest.raises(ImportRefused, match="two of the files"), sent_labels(lab, [Sent("b.txt", b"")] * 2):
        pass

    assert list(lab.folders.images.parent.glob("labels-*")) == []


def test_marks_that_could_not_be_read_are_reported_with_their_reason(bench: Bench, tmp_path: Path) -> None:
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    labelme_file(tmp_path / "in" / "a" / "one.json", "one.jpg", [("object", BOX), ("", BOX[:3])], **size)

    shown = page_with(tmp_path / "in" / "a", bench)
    press(shown, "Import the labels")

    assert "1 image labelled" in said(shown)
    assert "1 mark not read as it was made" in said(shown)
    assert "one.png: the label of shapes[1] of one.json is '', its pixels are unknown" in said(shown)
