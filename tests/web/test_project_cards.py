"""The cards of the Projects page, and what follows from where somebody last worked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects.overview import last_worked_on, project_summaries
from fcnlab.services.projects.projects import archive_project, create_project, images
from fcnlab.settings import Settings
from fcnlab.web import session
from tests.support.paths import ROOT
from tests.support.stored_bench import StoredBench


@pytest.fixture
def open_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The router, in an installation with two projects of four and no images."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    st.cache_resource.clear()
    lab = open_lab(Settings())
    create_project(lab, name="Empty *one*")
    StoredBench(lab, tmp_path / "out", ["a.png", "b.png", "c.png", "d.png"])
    lab.close()
    shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    yield shown
    session.engine().jobs.close()
    st.cache_resource.clear()


def test_cards_tell_how_far_each_project_is_and_open_it(open_page: AppTest) -> None:
    shown = open_page.run().switch_page("pages/projects.py").run()

    assert not shown.exception
    told = [bar.proto.text for bar in shown.get("progress")]
    titles = " ".join(text.value for text in shown.markdown)
    assert "**stored**" in titles
    assert "**Empty \\*one\\***" in titles
    assert any("4 of 4 done" in words for words in told)
    assert "no images yet" in titles
    assert titles.count("Open now") == 1
    assert sum(str(button.key).startswith("label-") for button in shown.button) == 1, "none without images"
    (opener,) = (button for button in shown.button if str(button.key).startswith("open-"))
    opener.click().run()
    assert shown.query_params["project"] == str(opener.key).removeprefix("open-")


def test_summaries_are_of_projects_in_use_and_newest_work_first(lab: Lab, tmp_path: Path) -> None:
    bench = StoredBench(lab, tmp_path, ["a.png", "b.png"])
    counting = create_project(lab, name="counted", task=Task.COUNTS)
    archived = create_project(lab, name="gone")
    archive_project(lab, project_id=archived.id)
    (image, _) = images(lab, project_id=bench.project.id)
    add_points(lab, [Point(1, 1, 1)], image_id=image.id, labeller="ann", source=PointSource.CLICK)

    summaries = project_summaries(lab, n_covers=1)

    assert [summary.project.id for summary in summaries] == [bench.project.id, counting.id]
    assert (summaries[0].n_images, summaries[0].n_finished, len(summaries[0].covers)) == (2, 2, 1)
    assert summaries[1].changed_at is None
    assert last_worked_on(lab) == bench.project.id
