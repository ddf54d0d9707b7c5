"""What the canvas owes whoever works with keys, mouse or a screen reader, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points, points_of_image, set_image_state
from fcnlab.services.projects.projects import image
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, click_pixel, open_label_page
from tests.browser.test_counting import discs_project, find_all
from tests.support.worker_bench import eventually

SAVED = ".vp[data-unsaved='0']"
QUESTION = re.compile(r"^Remove \d+ points of this image\?")


def clicked_project(server: Server, name: str, *, n_points: int = 8) -> tuple[Lab, int, list[int]]:
    """Photographs, each with so many points of two classes."""
    lab = lab_of(server)
    project_id, image_ids = project_with_photos(lab, name)
    for image_id in image_ids:
        points = [Point(20 + 9 * place, 30, place % 2) for place in range(n_points)]
        add_points(lab, points, image_id=image_id, labeller="tester", source=PointSource.CLICK)
    return lab, project_id, image_ids


def n_points(lab: Lab, image_ids: list[int]) -> list[int]:
    return [len(points_of_image(lab, image_id=image_id)) for image_id in image_ids]


def shown(page: Page, image_id: int) -> Locator:
    return page.locator(f".vp[data-image='{image_id}'][data-ready='1']")


def focused(page: Page) -> str:
    """Words on the innermost element that has the focus, else its role."""
    return page.evaluate(
        """() => {
          let element = document.activeElement;
          while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
          return element?.textContent?.trim() || element?.getAttribute("role") || element?.tagName;
        }"""
    )


@pytest.mark.parametrize("key", ["n", "z", "2", "v"])
def test_a_question_closes_with_whatever_is_done_instead_of_answering(page: Page, server: Server, key: str) -> None:
    lab, project_id, image_ids = clicked_project(server, f"question {key}")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    page.get_by_role("button", name="Remove all points and strokes").click()
    expect(page.get_by_role("dialog", name=QUESTION)).to_be_visible()
    assert focused(page) == "Cancel"

    page.keyboard.press(key)

    expect(page.get_by_role("dialog", name=QUESTION)).to_have_count(0)
    if key == "n":
        expect(shown(page, image_ids[1])).to_be_attached(timeout=30_000)
    page.keyboard.press("Escape")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert n_points(lab, image_ids) == [7 if key == "z" else 8, 8, 8]


def test_a_question_closes_when_what_it_counts_changes_elsewhere(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "question elsewhere")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    page.get_by_role("button", name="Remove all points and strokes").click()
    expect(page.get_by_text("Remove 8 points of this image?")).to_be_visible()
    page.keyboard.press("Enter")  # the focus is on Cancel
    expect(page.get_by_role("dialog", name=QUESTION)).to_have_count(0)
    assert n_points(lab, image_ids) == [8, 8, 8]

    page.get_by_role("button", name="Remove all points and strokes").click()
    page.get_by_role("button", name="Remove", exact=True).click()

    expect(page.locator(".vp[data-points='0']")).to_be_attached()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert n_points(lab, image_ids) == [0, 8, 8]


@pytest.mark.parametrize("where", ["thumbnail", "class", "tool", "slider"])
def test_keys_mean_the_picture_after_a_press_elsewhere(page: Page, server: Server, where: str) -> None:
    lab, project_id, image_ids = clicked_project(server, f"focus {where}")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    wanted = image_ids[0]
    if where == "thumbnail":
        wanted = image_ids[1]
        page.locator(f".cell[data-image='{wanted}']").click()
        expect(shown(page, wanted)).to_be_attached(timeout=30_000)
    elif where == "class":
        page.locator(".class[data-class='0']").click()
    elif where == "tool":
        page.get_by_role("button", name="Outlines instead of areas").click()
    else:
        page.get_by_role("slider", name="Opacity of the overlay").click()

    page.keyboard.press("Enter")

    expect(shown(page, image_ids[image_ids.index(wanted) + 1])).to_be_attached(timeout=30_000)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert image(lab, image_id=wanted).state is ImageState.DONE


def test_enter_still_presses_what_was_reached_by_tab(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "tab")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    outlines = page.get_by_role("button", name="Outlines instead of areas")
    outlines.focus()

    page.keyboard.press("Enter")

    expect(outlines).to_have_attribute("aria-pressed", "true")
    assert image(lab, image_id=image_ids[0]).state is not ImageState.DONE
    page.get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.locator(".class[data-class='0'][aria-checked='true']")).to_be_attached()
    images = page.get_by_role("listbox", name="Images")
    images.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # chosen: back to the picture
    expect(shown(page, image_ids[1])).to_be_attached(timeout=30_000)
    expect(page.locator(".vp")).to_be_focused()
    assert image(lab, image_id=image_ids[1]).state is not ImageState.DONE


def test_the_last_image_says_how_many_are_open_and_leads_there(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "last")
    set_image_state(lab, image_id=image_ids[1], state=ImageState.DONE, labeller="tester")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[2])
    page.keyboard.press("n")
    expect(page.get_by_text("This is the last image. Before it 1 image is still open.")).to_be_visible()

    page.keyboard.press("Enter")
    expect(page.get_by_text("Done. This was the last image; 1 image is still open.")).to_be_visible()
    page.get_by_role("button", name="Go to the next open image").last.click()

    expect(shown(page, image_ids[0])).to_be_attached(timeout=30_000)
    page.keyboard.press("Enter")
    expect(page.get_by_text("All 3 images are done.")).to_be_visible()
    assert page.get_by_role("link", name="Export").last.get_attribute("href") is not None
    page.get_by_role("link", name="Train").and_(page.locator(".toast a")).click()
    page.wait_for_url("**/train?**")
    assert [image(lab, image_id=one).state for one in image_ids] == [ImageState.DONE] * 3


def test_undo_is_offered_only_where_there_is_something_to_undo(page: Page, server: Server) -> None:
    project_id, image_ids = project_with_photos(lab_of(server), "nothing to undo")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    undo, redo = (page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
    expect(undo).to_be_disabled()
    expect(redo).to_be_disabled()

    page.keyboard.press("z")
    expect(page.get_by_text("Nothing of yours to undo on this image.")).to_be_visible()
    expect(page.locator(".toast.bad")).to_have_count(0)
    click_pixel(page, 100, 100)
    expect(undo).to_be_enabled()
    page.keyboard.press("z")
    expect(undo).to_be_disabled()
    expect(redo).to_be_enabled()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    expect(redo).to_be_enabled()
    page.keyboard.press("Shift+Z")
    expect(page.locator(".vp[data-points='1']")).to_be_attached()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    page.reload()
    expect(undo).to_be_enabled(timeout=60_000)


def test_a_reopened_image_is_done_again_with_the_same_mask_after_undo(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "reopen")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    page.keyboard.press("Enter")
    expect(shown(page, image_ids[1])).to_be_attached(timeout=30_000)
    page.keyboard.press("p")
    expect(page.get_by_text("Showing the mask kept when the image was done")).to_be_visible(timeout=60_000)
    page.wait_for_timeout(200)
    folder = server.data_dir / "masks" / str(project_id)
    before = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    page.reload()
    page.get_by_role("button", name="Reopen").first.click(timeout=60_000)
    expect(page.get_by_text("This image is done")).to_be_hidden()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)

    page.keyboard.press("z")

    expect(page.get_by_text("This image is done")).to_be_visible(timeout=30_000)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert image(lab, image_id=image_ids[0]).mask_model is not None
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == before
    page.keyboard.press("Shift+Z")
    expect(page.get_by_text("This image is done")).to_be_hidden()


def test_the_first_steps_name_the_chosen_class_beside_the_picture_and_end_with_the_first_mask(
    page: Page, server: Server
) -> None:
    project_id, image_ids = project_with_photos(lab_of(server), "hint")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    hint = page.locator(".hint")
    expect(hint).to_contain_text("Click inside: object", timeout=30_000)
    page.keyboard.press("1")
    expect(hint).to_contain_text("Click outside: background")
    ours, picture = hint.bounding_box(), page.locator(".center").bounding_box()
    assert ours is not None
    assert picture is not None
    assert ours["x"] + ours["width"] <= picture["x"]

    click_pixel(page, 30, 570)
    page.keyboard.press("2")
    click_pixel(page, 180, 250)
    expect(page.locator(".vp[data-painted-seq='2']")).to_be_attached(timeout=60_000)

    expect(hint).to_be_hidden()
    page.keyboard.press("n")
    expect(shown(page, image_ids[1])).to_be_attached(timeout=30_000)
    expect(page.get_by_text("Mask up to date")).to_be_visible(timeout=60_000)
    expect(hint).to_be_hidden()


def check_names(page: Page) -> int:
    """Every control is called by the words on it; how many were looked at."""
    roles = ", ".join(f"[role={role}]" for role in ("option", "radio", "listbox", "application", "dialog"))
    controls = page.locator(f".fcnlab :is(button, a, input, {roles})").filter(visible=True)
    for control in controls.all():
        words = control.evaluate(
            "element => element.matches('[role=listbox], [role=application], [role=dialog], input')"
            " ? '' : element.innerText.replace(/\\s+/g, ' ').trim()"
        )
        pattern = r"\s*".join(re.escape(word) for word in words.split()) or r"\S"
        expect(control).to_have_accessible_name(re.compile(pattern))
    return controls.count()


def test_controls_are_called_by_the_words_on_them_in_every_mode(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "names")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    assert check_names(page) > 25
    page.keyboard.press("b")
    check_names(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add class").click()
    check_names(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove all points and strokes").click()
    check_names(page)
    page.keyboard.press("Escape")
    page.keyboard.press("q")
    expect(page.get_by_text("What is in the ring?")).to_be_visible(timeout=60_000)
    check_names(page)
    page.keyboard.press("Escape")
    set_image_state(lab, image_id=image_ids[1], state=ImageState.DONE, labeller="tester")
    page.keyboard.press("n")
    expect(page.get_by_text("This image is done")).to_be_visible(timeout=30_000)
    check_names(page)
    expect(page.locator(".toolbar .done")).to_have_accessible_name("Reopen")


def test_controls_of_a_project_that_counts_are_called_by_the_words_on_them(page: Page, server: Server) -> None:
    project_id, (image_id, *_) = discs_project(lab_of(server), server, "counting names")
    open_label_page(page, server, project_id=project_id, image_id=image_id)
    check_names(page)
    find_all(page)
    page.keyboard.press("q")
    expect(page.get_by_text("Is this: disc?")).to_be_visible(timeout=30_000)
    check_names(page)


def test_notices_stand_above_what_is_asked_and_never_over_it(browser: Browser, server: Server) -> None:
    project_id, (image_id, *_) = discs_project(lab_of(server), server, "notices")
    context = browser.new_context(viewport={"width": 700, "height": 700})
    page = context.new_page()
    open_label_page(page, server, project_id=project_id, image_id=image_id)
    find_all(page)
    page.mouse.move(5, 5)
    for key in ("a", "9", "8"):
        page.keyboard.press(key)
    page.keyboard.press("q")
    expect(page.get_by_text("Is this: disc?")).to_be_visible(timeout=30_000)

    expect(page.locator(".toast")).to_have_count(3)
    page.get_by_role("button", name="Yes").click(timeout=3_000)  # fails when something is over it
    expect(page.locator(".class[data-class='1'] .tally")).to_have_text(re.compile("^3 marked"))
    boxes = [page.locator(".prompt").filter(visible=True).bounding_box(), page.locator(".toasts").bounding_box()]
    assert all(boxes)
    assert boxes[1]["y"] + boxes[1]["height"] <= boxes[0]["y"]
    context.close()


CONTRAST = """() => {
  const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const colour = (text) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((k) => front[k] * front[3] + back[k] * (1 - front[3]));
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) {
      layers.push(colour(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  for (const element of root.querySelectorAll('.fcnlab *')) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3);
    const words = texts.map((node) => node.data.trim()).join(' ').trim();
    const isSeen = element.checkVisibility({opacityProperty: true, visibilityProperty: true});
    if (!words || !isSeen || element.closest(':disabled')) continue;
    const back = behind(element);
    const front = over(colour(getComputedStyle(element).color), back);
    const [high, low] = [light(front), light(back)].sort((one, other) => other - one);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) faint.push(`${words} (${element.className}): ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
"""Page script: texts of the canvas whose contrast with what is behind them is below AA."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_of_the_canvas_stand_out_from_what_is_behind_them(browser: Browser, server: Server, scheme: str) -> None:
    lab, project_id, image_ids = clicked_project(server, f"contrast {scheme}")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    expect(page.get_by_text("Mask up to date")).to_be_visible(timeout=60_000)
    page.mouse.move(600, 400)
    faint = page.evaluate(CONTRAST)
    page.keyboard.press("q")
    expect(page.get_by_text("What is in the ring?")).to_be_visible(timeout=60_000)
    page.keyboard.press("9")
    faint += page.evaluate(CONTRAST)
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    page.get_by_role("button", name="Remove all points and strokes").click()
    faint += page.evaluate(CONTRAST)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    faint += page.evaluate(CONTRAST)
    page.keyboard.press("?")
    set_image_state(lab, image_id=image_ids[1], state=ImageState.DONE, labeller="tester")
    page.keyboard.press("n")
    expect(page.get_by_text("This image is done")).to_be_visible(timeout=30_000)
    faint += page.evaluate(CONTRAST)
    context.close()

    assert sorted(set(faint)) == []


def open_without_a_name(page: Page, server: Server, project_id: int, labeller: str = "") -> None:
    name = f"&labeller={labeller}" if labeller else ""
    page.goto(f"{server.url}/?project={project_id}{name}")
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)


def who(page: Page, name: str) -> Locator:
    """The button that says who labels."""
    return page.get_by_role("button", name=name, exact=True)


def test_a_name_is_asked_once_with_the_focus_in_its_field_and_remembered_by_the_browser(
    page: Page, server: Server
) -> None:
    lab = lab_of(server)
    project_id, image_ids = project_with_photos(lab, "name")
    open_without_a_name(page, server, project_id)
    question = page.get_by_role("dialog", name="Who is labelling?")
    expect(who(page, "anonymous")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)
    expect(question).to_have_count(0)  # nothing before the first click
    click_pixel(page, 40, 40)
    expect(question).to_be_visible(timeout=30_000)
    expect(question.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Kim *1*")
    page.keyboard.press("Enter")
    expect(who(page, "Kim *1*")).to_be_visible(timeout=30_000)
    expect(question).to_have_count(0)
    assert [one.labeller for one in points_of_image(lab, image_id=image_ids[0])] == ["Kim *1*"]
    page.keyboard.press("z")  # what was clicked before the name is its labeller's own
    eventually(lambda: not points_of_image(lab, image_id=image_ids[0]))

    open_without_a_name(page, server, project_id)

    expect(who(page, "Kim *1*")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)
    expect(question).to_have_count(0)
    click_pixel(page, 100, 100)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert [one.labeller for one in points_of_image(lab, image_id=image_ids[0])] == ["Kim *1*"]

    who(page, "Kim *1*").click()
    question.get_by_label("Your name").fill("Lou")
    page.keyboard.press("Enter")
    expect(who(page, "Lou")).to_be_visible(timeout=30_000)
    eventually(lambda: page.evaluate('localStorage.getItem("fcnlab.labeller")') == '"Lou"')
    page.goto(f"{server.url}/train?project={project_id}")
    open_without_a_name(page, server, project_id)
    expect(who(page, "Lou")).to_be_visible(timeout=30_000)


def test_a_name_in_the_address_is_of_that_tab_and_remembered_only_where_none_is(page: Page, server: Server) -> None:
    project_id, _ = project_with_photos(lab_of(server), "address")
    open_without_a_name(page, server, project_id, "Ada")
    expect(who(page, "Ada")).to_be_visible(timeout=30_000)
    open_without_a_name(page, server, project_id)
    expect(who(page, "Ada")).to_be_visible(timeout=30_000)

    open_without_a_name(page, server, project_id, "Bob")
    expect(who(page, "Bob")).to_be_visible(timeout=30_000)
    open_without_a_name(page, server, project_id)

    expect(who(page, "Ada")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_click_on_the_words_of_a_notice_reaches_the_picture(page: Page, server: Server) -> None:
    lab, project_id, image_ids = clicked_project(server, "through")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[2])
    for _ in range(3):
        page.get_by_role("button", name="Fit the image").click()
        page.mouse.move(740, 400)
        page.mouse.wheel(0, -600)
    page.keyboard.press("n")
    box = page.get_by_text("This is the last image.").bounding_box()
    assert box is not None

    page.mouse.click(box["x"] + 20, box["y"] + box["height"] / 2)

    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert n_points(lab, image_ids) == [8, 8, 9]
