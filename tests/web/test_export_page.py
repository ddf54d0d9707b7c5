"""The choices of the export page, without a browser."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.lab import open_lab
from fcnlab.services.export.formats import formats_from
from fcnlab.settings import Settings
from fcnlab.web import session
from tests.support.paths import ROOT
from tests.support.stored_bench import StoredBench

ROUTER = ROOT / "app.py"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page of a project with four done images."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    st.cache_resource.clear()
    st.cache_data.clear()
    lab = open_lab(Settings())
    StoredBench(lab, tmp_path / "out", ["a.png", "b.png", "c.png", "d.png"])
    shown = AppTest.from_file(str(ROUTER), default_timeout=60)
    shown.run()
    yield shown.switch_page("pages/export.py").run()
    session.engine().jobs.close()
    st.cache_resource.clear()
    lab.close()


def toggled(shown: AppTest, label: str) -> None:
    next(one for one in shown.toggle if one.label == label).set_value(True).run()


def choose(shown: AppTest, *formats: str) -> None:
    for group in {each.group for each in formats_from()}:
        chosen = [each.title for each in formats_from() if each.group == group and each.name in formats]
        next(one for one in shown.button_group if one.key == f"formats-{group}").set_value(chosen).run()


def made(shown: AppTest, lab_dir: Path) -> zipfile.ZipFile:
    next(button for button in shown.button if button.label == "Export").click().run()
    assert not shown.exception
    (path,) = lab_dir.glob("exports/download-*/stored.zip")
    return zipfile.ZipFile(path)


def test_what_is_chosen_is_made(shown: AppTest, tmp_path: Path) -> None:
    choose(shown, "coco", "voc")
    toggled(shown, "Only images marked done")
    toggled(shown, "Split into train, val and test")
    shown.multiselect[0].set_value([2]).run()
    next(one for one in shown.number_input if one.label == "Border of Pascal VOC masks, in pixels").set_value(2).run()

    with made(shown, tmp_path / "data") as file:
        manifest = json.loads(file.read("manifest.json"))

    assert manifest["formats"] == ["coco", "voc"]
    assert (manifest["options"]["class_ids"], manifest["options"]["border"]) == ([2], 2)
    assert manifest["options"]["split"] == {"shares": [0.7, 0.2, 0.1], "seed": 0, "by": "look"}
    assert {one["split"] for one in manifest["images"]} == {"train", "val", "test"}


def test_how_many_images_and_bytes_are_known_before_the_export(shown: AppTest, tmp_path: Path) -> None:
    choose(shown, "index", "images")
    told = next(words for words in (one.value for one in shown.caption) if "about" in words)
    assert told.startswith("4 images, about ")

    with made(shown, tmp_path / "data"):
        (path,) = (tmp_path / "data").glob("exports/download-*/stored.zip")
    number, unit = told.removeprefix("4 images, about ").split()
    expected = float(number) * {"kB": 1e3, "MB": 1e6}[unit]
    assert 0.5 < expected / path.stat().st_size < 2
    assert not list((tmp_path / "data" / "exports").glob(".estimate*")), "nothing of it stays"


def test_options_appear_where_they_apply(shown: AppTest) -> None:
    choose(shown, "index")
    assert "Regions" not in [one.label for one in shown.button_group]
    assert not [one for one in shown.number_input if "Pascal VOC" in one.label]

    choose(shown, "cvat", "voc")

    assert "Regions" in [one.label for one in shown.button_group]
    assert [one for one in shown.number_input if "Pascal VOC" in one.label]


def test_without_a_format_or_a_class_nothing_can_be_made(shown: AppTest) -> None:
    choose(shown)
    assert next(button for button in shown.button if button.label == "Export").disabled
    choose(shown, "index")
    shown.multiselect[0].set_value([]).run()

    assert next(button for button in shown.button if button.label == "Export").disabled
    assert "a class" in shown.error[0].value
