"""Tags through a real browser, server and database: answered by keys, suggested, found again after a reload."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects.projects import create_project, labels_of, project
from fcnlab.services.tags.answering import set_tags
from fcnlab.services.tags.reading import tags_of
from tests.browser.conftest import PHOTOS, lab_of, project_with_photos
from tests.browser.harness import Server, open_page, wait_until_drawn
from tests.support.worker_bench import eventually

SEEN = ".detail[data-seen='1']"
TAGS = re.compile(r"/fcnlab/[^/]+/tags$")


def stored(server: Server, project_id: int) -> dict[tuple[int, int], str]:
    lab = lab_of(server)
    answers = tags_of(lab, project_id=project_id).answers
    lab.close()
    return {place: tag.answer.value for place, tag in answers.items()}


def class_ids(lab: Lab, project_id: int) -> list[int]:
    return [label.id for label in project(lab, project_id=project_id).classes]


def tag_page(page: Page, server: Server, project_id: int, image_id: int | None = None) -> None:
    image = "" if image_id is None else f"&image={image_id}"
    page.goto(f"{server.url}/tags?project={project_id}&labeller=Ada{image}")
    page.locator(SEEN).wait_for(timeout=60_000)


def press(page: Page, key: str) -> None:
    """Leave the image that is shown, and wait for the next one."""
    shown = page.locator(".detail").get_attribute("data-image")
    page.keyboard.press(key)
    page.wait_for_function(
        """shown => {
          const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
          const { image, seen } = root.querySelector('.detail').dataset;
          return image !== shown && seen === '1';
        }""",
        arg=shown,
    )


def state(page: Page, class_id: int) -> str | None:
    return page.locator(f".tag[data-class='{class_id}']").get_attribute("data-state")


def test_three_images_are_tagged_by_keys_and_found_after_a_reload(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "by keys")
    background, thing = class_ids(lab, project_id)
    lab.close()
    tag_page(page, server, project_id, images[0])

    for keys in (("1", "Shift+Digit2"), ("1", "1", "2"), ("Shift+Digit1", "2", "z", "Shift+Z")):
        for key in keys:
            page.keyboard.press(key)
        if keys[0] != "Shift+Digit1":
            press(page, "n")
    expect(page.locator(".saved")).to_have_text("All saved", timeout=15_000)

    expected = {
        (images[0], background): "yes",
        (images[0], thing): "no",
        (images[1], background): "no",
        (images[1], thing): "yes",
        (images[2], background): "no",
        (images[2], thing): "yes",
    }
    assert stored(server, project_id) == expected
    page.reload()
    page.locator(SEEN).wait_for(timeout=60_000)
    expect(page.locator(".detail")).to_have_attribute("data-image", str(images[2]))
    expect(page.locator(f".tag[data-class='{thing}']")).to_have_attribute("data-state", "yes")
    assert state(page, background) == "no"
    expect(page.get_by_text("3 of 3 images tagged")).to_be_visible()


def test_no_answer_waits_for_the_server_and_none_is_lost(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "offline tags")
    background, thing = class_ids(lab, project_id)
    lab.close()
    tag_page(page, server, project_id, images[0])
    page.route(TAGS, lambda route: route.abort())
    page.keyboard.press("1")
    press(page, "n")
    page.keyboard.press("Shift+Digit2")
    expect(page.locator(".saved")).to_have_text("Offline: 2 answers kept in this tab", timeout=15_000)
    assert stored(server, project_id) == {}

    page.reload()
    page.locator(SEEN).wait_for(timeout=60_000)
    assert state(page, thing) == "no"
    page.unroute(TAGS)

    expect(page.locator(".saved")).to_have_text("All saved", timeout=30_000)
    assert stored(server, project_id) == {(images[0], background): "yes", (images[1], thing): "no"}


def test_suggestions_come_after_answers_and_are_accepted_by_a_key(server: Server, page: Page) -> None:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    lab = lab_of(server)
    made = create_project(lab, name="suggested", labels=labels_of(["cup", "sky"]))
    steps = import_files(lab, [(photo, folder / photo) for photo in PHOTOS], project_id=made.id)
    images = [step.image_id for step in steps]
    cup, sky = class_ids(lab, made.id)
    lab.close()
    tag_page(page, server, made.id, images[0])
    for keys in (("1", "Shift+Digit2"), ("Shift+Digit1", "2")):
        for key in keys:
            page.keyboard.press(key)
        press(page, "Enter")
    expect(page.locator(".detail")).to_have_attribute("data-image", str(images[2]))
    expect(page.get_by_role("button", name="Accept 2 suggestions")).to_be_visible(timeout=60_000)
    assert len(stored(server, made.id)) == 4, "a suggestion is no answer"

    page.keyboard.press("a")

    expect(page.get_by_role("button", name="Accept suggestions")).to_be_disabled()
    eventually(lambda: len(stored(server, made.id)) == 6)
    assert {state(page, cup), state(page, sky)} <= {"yes", "no"}
    page.get_by_text("Find images").click()
    wait_until_drawn(page)
    expect(page.locator(".fcnlab-found a").first).to_be_visible()


def test_images_that_are_found_lead_to_the_label_page(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "found")
    lab.close()
    tag_page(page, server, project_id, images[1])
    page.keyboard.press("1")
    expect(page.locator(".saved")).to_have_text("All saved", timeout=15_000)
    open_page(page, server, "tags", project_id=project_id)
    page.get_by_text("Find images").click()
    page.locator(".fcnlab-found a").first.click()

    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)
    assert f"image={images[1]}" in page.url


def test_the_strip_shows_the_images_that_a_tag_chooses(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "chosen")
    background, _ = class_ids(lab, project_id)
    lab.close()
    tag_page(page, server, project_id, images[2])
    page.keyboard.press("1")
    expect(page.locator(".saved")).to_have_text("All saved", timeout=15_000)
    page.get_by_role("link", name="Label", exact=True).first.click()
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)
    expect(page.locator(".strip .cell")).to_have_count(3)

    page.get_by_role("combobox", name="Show images by tag").select_option(f"{background}:yes")

    expect(page.locator(".strip .cell")).to_have_count(1)
    expect(page.locator(".strip .cell")).to_have_attribute("data-image", str(images[2]))
    page.get_by_role("combobox", name="Show images by tag").select_option("")
    expect(page.locator(".strip .cell")).to_have_count(3)


def test_undo_leaves_what_somebody_else_answered_meanwhile_and_says_so(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "meanwhile")
    background, _ = class_ids(lab, project_id)
    tag_page(page, server, project_id, images[0])
    page.route(TAGS, lambda route: route.abort())
    page.keyboard.press("1")
    page.keyboard.press("z")
    expect(page.locator(".saved")).to_have_text("Offline: 2 answers kept in this tab", timeout=15_000)
    page.unroute(TAGS)
    page.keyboard.press("Shift+Z")
    expect(page.locator(".saved")).to_have_text("All saved", timeout=30_000)
    assert stored(server, project_id) == {(images[0], background): "yes"}

    page.route(re.compile(r"/fcnlab/[^/]+/tags\?"), lambda route: route.abort())
    set_tags(lab, [TagChange(images[0], background, TagAnswer.NO)], project_id=project_id, labeller="Bob")
    lab.close()
    page.keyboard.press("z")

    expect(page.locator(".problem")).to_contain_text("says Bob", timeout=15_000)
    assert stored(server, project_id) == {(images[0], background): "no"}
    page.unroute(re.compile(r"/fcnlab/[^/]+/tags\?"))
    expect(page.locator(f".tag[data-class='{background}']")).to_have_attribute("data-state", "no", timeout=15_000)
    expect(page.locator(".problem")).to_contain_text("says Bob")
