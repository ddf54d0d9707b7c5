"""Help, about and what is copied after a failure: without a browser."""

from __future__ import annotations

import re
import tomllib

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import fcnlab
from fcnlab.domain.counting import Task
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import create_project, labels_of
from fcnlab.web.help.about import LICENCE
from fcnlab.web.help.manuals import (
    PAGES,
    WHERE_OBJECTS_ARE_COUNTED,
    PageHelp,
    Section,
    as_shown,
    help_of,
    lead_of,
    whole_of,
    whole_text,
)
from tests.support.paths import ROOT

ONE_SCREEN = 1800
"""Characters that are read without scrolling, about."""

ALL_HELP = [*PAGES.values(), *WHERE_OBJECTS_ARE_COUNTED.values()]
SECTIONS = sorted({part for help in ALL_HELP for part in (help.lead, *help.more)}, key=str)


@pytest.fixture
def visited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server listens on all addresses of the machine."""
    asked = st.get_option
    monkeypatch.setattr(st, "get_option", lambda key: "0.0.0.0" if key == "server.address" else asked(key))


def any_page(page: str) -> None:
    from fcnlab.web.help import menu

    menu.draw(page)


def helped(page: str, *, project: int) -> AppTest:
    """What all pages have, with the help of one of them open."""
    shown = AppTest.from_function(any_page, default_timeout=60, kwargs={"page": page})
    shown.query_params["project"] = str(project)
    shown.run().button(key="open-help").click().run()
    assert not shown.exception
    return shown


def texts(shown: AppTest) -> str:
    kinds = (shown.markdown, shown.code, shown.caption, shown.error)
    tables = [table.value.to_string() for table in shown.table]
    return "\n".join([*(part.value for kind in kinds for part in kind), *tables])


def prose(text: str) -> str:
    """The text without what is written in code."""
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def test_every_page_has_help() -> None:
    pages = {path.stem for path in (ROOT / "pages").glob("*.py")} - {"__init__"}

    assert set(PAGES) == pages
    assert set(WHERE_OBJECTS_ARE_COUNTED) <= pages


@pytest.mark.parametrize("help", ALL_HELP, ids=lambda help: f"{help.lead.manual} {help.lead.heading}")
def test_what_a_page_says_of_itself_is_read_at_once_and_begins_with_what_to_do(help: PageHelp) -> None:
    lead = lead_of(help.lead)

    assert 300 < len(lead) <= ONE_SCREEN
    assert "\n1. " in lead
    assert "`FCNLAB_" not in lead
    assert "`fcnlab " not in lead


@pytest.mark.parametrize("section", SECTIONS, ids=lambda part: f"{part.manual} {part.heading}")
def test_sections_are_in_the_manuals_and_lead_to_no_file(section: Section) -> None:
    shown = whole_of(section)

    assert len(shown) > 100
    assert [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(shown)) if "://" not in link] == []
    assert "<!--" not in shown
    assert not re.search(r"^#", shown, re.MULTILINE)


@pytest.mark.parametrize("task", Task)
def test_help_opens_on_every_page_with_the_text_of_the_manual(lab: Lab, task: Task) -> None:
    project = create_project(lab, name="cells", labels=labels_of(["background", "cell"]), task=task)

    for page in sorted(PAGES):
        shown = helped(page, project=project.id)

        help = help_of(page, is_counting=task is Task.COUNTS)
        written = [part.value for part in shown.markdown]
        assert lead_of(help.lead) in written
        assert [whole_of(section) for section in help.more if whole_of(section) not in written] == []
        assert {section.heading for section in help.more} <= {expander.label for expander in shown.expander}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("see [the keys](label.md#keys).", "see the keys."),
        ("see [Keep](https://example.org/a).", "see [Keep](https://example.org/a)."),
        ("a <!-- of\nnobody --> b", "a  b"),
        ("![cup](cup.png) a cup", "a cup"),
        ("$5 and :red[x]", r"\$5 and \:red[x]"),
        ("`$5 :red[x] [a](b.md)`", "`$5 :red[x] [a](b.md)`"),
        ("in 10:30, `a`: b", "in 10:30, `a`: b"),
    ],
)
def test_a_text_is_shown_as_people_read_it_in_the_manual(written: str, shown: str) -> None:
    assert as_shown(written) == shown


def test_about_says_version_licence_third_parties_and_where_data_are(lab: Lab) -> None:
    project = create_project(lab, name="cells")
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    shown = helped("train", project=project.id)

    assert f"fcnlab {fcnlab.__version__}" in texts(shown)
    assert stated["version"] == fcnlab.__version__
    assert stated["license"] == LICENCE
    assert f"Licence: {LICENCE}" in {expander.label for expander in shown.expander}
    assert whole_text("THIRD_PARTY.md") in texts(shown)
    assert str(lab.data_dir) in {part.value for part in shown.code}


def test_the_installation_is_checked_and_the_results_can_be_copied(lab: Lab) -> None:
    shown = helped("train", project=create_project(lab, name="cells").id)

    next(button for button in shown.button if button.label == "Check this installation").click().run()

    table = shown.table[0].value
    assert {"versions", "data folder", "database", "device"} <= set(table["Check"])
    assert any("sound   database: " in part.value and str(lab.data_dir) in part.value for part in shown.code)


def test_visitors_of_a_server_see_no_path_of_it(lab: Lab, visited: None) -> None:
    shown = helped("train", project=create_project(lab, name="cells").id)

    next(button for button in shown.button if button.label == "Check this installation").click().run()

    assert not shown.exception
    assert "data folder" in set(shown.table[0].value["Check"])
    assert fcnlab.__version__ in texts(shown)
    assert str(lab.data_dir) not in texts(shown).replace("\\", "")
    assert str(ROOT) not in texts(shown).replace("\\", "")


def failing_page() -> None:
    from pathlib import Path

    from fcnlab.web import session
    from fcnlab.web.shell import show_failure

    session.remember("page", "Train")
    try:
        Path("/no such folder/points").read_bytes()
    except OSError as failure:
        show_failure(failure)


@pytest.fixture
def failed() -> AppTest:
    """A page that reads a file which is not there."""
    return AppTest.from_function(failing_page).run()


def test_a_failure_comes_with_what_a_maintainer_wants_to_know(failed: AppTest) -> None:
    error_id = re.search(r"error (\w{8})", failed.error[0].value)

    assert error_id
    report = failed.code[0].value
    assert f"error {error_id[1]} on the page Train at " in report
    for words in (
        f"fcnlab {fcnlab.__version__}",
        "torch ",
        f"streamlit {st.__version__}",
        "Python ",
        "in failing_page",
    ):
        assert words in report


def test_visitors_of_a_server_copy_no_traceback(visited: None, failed: AppTest) -> None:
    report = failed.code[0].value

    assert report.splitlines()[-1] == "FileNotFoundError"
    assert "Traceback" not in report
    assert "no such folder" not in report
