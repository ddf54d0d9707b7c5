"""Help, theme, tour and what is copied after a failure, in a real browser."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from fcnlab.domain.images import ImageState
from fcnlab.services.labelling.events import set_image_state
from fcnlab.services.projects.demos import DEMOS, make_demo
from fcnlab.services.projects.projects import create_project, images
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, click_pixel, open_label_page, open_page, running_server, wait_until_drawn

OFFER = "New here? Five steps show how it works."
PAGE_COLOUR = "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", re.compile(r"rgb\(\d\d, \d\d, \d\d\)")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server with the first demo, and the id of its project."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        with closing(lab_of(server)) as lab:
            project_id = make_demo(lab, DEMOS[0]).id
        yield server, project_id


def opened_help(page: Page) -> Locator:
    wait_until_drawn(page)  # a press while the page is being made is lost
    page.get_by_role("button", name="Help", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="About").wait_for()
    return dialog


def has_colour(page: Page, wanted: str | re.Pattern[str]) -> None:
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", wanted)


def step(page: Page, number: int) -> None:
    expect(page.get_by_text(f"Step {number} of 5")).to_be_visible(timeout=15_000)


def test_help_is_at_the_same_place_of_pages_and_keys_work_after_it(page: Page, demo: tuple[Server, int]) -> None:
    server, project_id = demo
    places = set()
    for name in ("", "projects", "train", "export"):
        page.goto(f"{server.url}/{name}?project={project_id}&labeller=ann")
        button = page.get_by_role("button", name="Help", exact=True)
        button.wait_for(timeout=60_000)
        places.add(str(button.bounding_box()))
        dialog = opened_help(page)
        expect(dialog.get_by_role("listitem").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

    assert len(places) == 1
    open_label_page(page, server, project_id=project_id)
    opened_help(page)
    page.keyboard.press("?")  # the page asks something: keys do not mean the picture
    expect(page.get_by_text("Mouse and keys", exact=True)).not_to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_text("Mouse and keys", exact=True)).to_be_visible()


def test_a_question_mark_opens_the_help_of_a_page_unless_somebody_types(page: Page, demo: tuple[Server, int]) -> None:
    server, project_id = demo
    open_page(page, server, "export", project_id=project_id)
    dialog = page.get_by_role("dialog")

    page.keyboard.press("?")
    expect(dialog.get_by_role("tab", name="Export")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("combobox", name="Project").press("?")
    page.wait_for_timeout(300)
    expect(dialog).to_have_count(0)


def test_a_theme_holds_at_once_on_all_pages_in_all_tabs_and_after_a_reload(
    page: Page, demo: tuple[Server, int]
) -> None:
    server, project_id = demo
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    other = page.context.new_page()
    for tab, name in ((page, ""), (other, "projects")):
        tab.goto(f"{server.url}/{name}?project={project_id}&labeller=ann")
        tab.get_by_role("button", name="Help", exact=True).wait_for(timeout=60_000)
        has_colour(tab, LIGHT)

    dialog = opened_help(page)
    dialog.get_by_role("radio", name="Dark").check()

    has_colour(page, DARK)
    has_colour(other, DARK)
    expect(dialog.get_by_role("radio", name="Dark")).to_be_checked()  # it stays open, to look and choose again
    page.reload()
    page.get_by_test_id("stApp").wait_for()
    assert page.evaluate(PAGE_COLOUR) != LIGHT  # from the first paint on
    page.goto(f"{server.url}/train?project={project_id}")
    has_colour(page, DARK)

    opened_help(page).get_by_role("radio", name="As the system").check()
    has_colour(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    has_colour(page, DARK)
    page.get_by_role("dialog").get_by_role("radio", name="Light").check()
    has_colour(page, LIGHT)
    assert complaints == []


def test_without_a_choice_a_page_looks_as_the_system_does_and_remembers_nothing(
    browser: Browser, demo: tuple[Server, int]
) -> None:
    server, project_id = demo
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()

    page.goto(f"{server.url}/export?project={project_id}")

    has_colour(page, DARK)
    page.emulate_media(color_scheme="light")
    has_colour(page, LIGHT)
    assert page.evaluate("localStorage.getItem('fcnlab.theme')") is None
    context.close()


def test_a_theme_that_another_program_left_at_this_address_does_not_win(page: Page, demo: tuple[Server, int]) -> None:
    server, project_id = demo
    page.goto(f"{server.url}/train?project={project_id}")
    page.evaluate(
        """() => { for (const version of [1, 2, 3]) localStorage.setItem(`stActiveTheme-/train-v${version}`, '"Light"');
        localStorage.setItem('fcnlab.theme', 'dark'); }"""
    )

    page.reload()

    has_colour(page, DARK)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tour_goes_on_by_what_is_done_and_ends_at_the_export(
    browser: Browser, demo: tuple[Server, int], width: int
) -> None:
    server, project_id = demo
    with closing(lab_of(server)) as lab:
        for image in images(lab, project_id=project_id, state=ImageState.DONE):
            set_image_state(lab, image_id=image.id, state=ImageState.IN_PROGRESS, labeller="ann")
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    open_label_page(page, server, project_id=project_id)
    page.get_by_role("button", name="Take the tour").click()
    step(page, 1)
    fits(page, width)

    click_pixel(page, 40, 20 + width // 60)
    step(page, 2)
    page.get_by_role("button", name="Next", exact=True).click()
    step(page, 3)
    fits(page, width)
    page.keyboard.press("n")
    step(page, 4)
    page.get_by_role("button", name="Back", exact=True).click()
    step(page, 3)
    page.get_by_role("button", name="Next", exact=True).click()
    page.keyboard.press("Enter")  # after a click on a button of the tour keys still mean the picture
    step(page, 5)
    page.reload()
    step(page, 5)
    page.get_by_role("button", name="Open Export").click()
    page.wait_for_url("**/export?**")
    expect(page.get_by_text("Choose a format and press Export")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Finish").click()

    expect(page.get_by_text("Step 5 of 5")).not_to_be_visible()
    open_label_page(page, server, project_id=project_id)
    expect(page.get_by_text(OFFER)).not_to_be_visible()
    context.close()


def test_the_tour_is_left_at_any_time_and_found_again_from_another_page(page: Page, demo: tuple[Server, int]) -> None:
    server, project_id = demo
    open_label_page(page, server, project_id=project_id)
    page.get_by_role("button", name="Take the tour").click()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Leave").click()
    expect(page.locator(".fcnlab-tour")).to_be_hidden()
    open_label_page(page, server, project_id=project_id)
    expect(page.locator(".fcnlab-tour")).to_be_hidden()

    page.goto(f"{server.url}/train?project={project_id}")
    opened_help(page).get_by_role("button", name="Take the tour").click()

    step(page, 1)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    step(page, 1)


def test_the_offer_of_a_tour_is_made_once_and_in_no_other_project(page: Page, demo: tuple[Server, int]) -> None:
    server, project_id = demo
    with closing(lab_of(server)) as lab:
        other = create_project(lab, name="mine")
    page.goto(f"{server.url}/?project={other.id}&labeller=ann")
    page.get_by_text("No images yet").wait_for(timeout=60_000)
    expect(page.get_by_text(OFFER)).to_have_count(0)
    open_label_page(page, server, project_id=project_id)

    page.get_by_role("button", name="No, thanks").click()

    expect(page.get_by_text(OFFER)).not_to_be_visible()
    open_label_page(page, server, project_id=project_id)
    expect(page.get_by_text(OFFER)).not_to_be_visible()


def fits(page: Page, width: int) -> None:
    """The bar is above the picture and within the window, and the picture ends within it."""
    bar, canvas = page.locator(".fcnlab-tour").bounding_box(), page.locator(".vp").bounding_box()
    assert bar is not None
    assert canvas is not None
    assert bar["y"] + bar["height"] <= canvas["y"]
    assert bar["x"] >= 0
    assert bar["x"] + bar["width"] <= width
    assert canvas["y"] + canvas["height"] <= 844


def test_a_failure_that_nobody_explained_is_copied_with_the_number_of_the_log(page: Page, own_server: Server) -> None:
    with closing(lab_of(own_server)) as lab:
        project_id, _ = project_with_photos(lab, "broken")
    with closing(sqlite3.connect(own_server.data_dir / "lab.db")) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("UPDATE images SET state = 'eaten'")
        database.commit()

    page.goto(f"{own_server.url}/?project={project_id}&labeller=ann")
    page.get_by_text("Something went wrong here").wait_for(timeout=60_000)
    page.get_by_text("Copy diagnosis").click()

    report = page.get_by_test_id("stCode").inner_text()
    error_id = re.search(r"error (\w{8}) on the page Label", report)
    assert error_id
    assert f"error {error_id[1]}" in own_server.log
    assert "eaten" in report
    page.get_by_test_id("stCode").hover()
    expect(page.get_by_role("button", name="Copy to clipboard")).to_be_visible()
