"""Everybody can use every page: axe-core finds nothing serious by WCAG 2.1 AA, nothing scrolls sideways on a phone.

Contrast is measured further in test_contrast; names, keys and focus of the canvas in test_canvas_manners.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from fcnlab.domain.survey import SurveyAnswer, SurveySpec
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import create_project, images
from fcnlab.services.surveys.surveys import answer, plan_survey, survey_points
from fcnlab.services.training.trainings import start_training
from tests.browser.conftest import lab_of
from tests.browser.harness import Server, open_label_page, open_page, wait_until_drawn
from tests.support.bars import QUICK, SMALL, Site
from tests.support.comparison_bench import SPEC, UNET, start, work
from tests.support.dots_project import Dots
from tests.support.paths import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: install node and npm, then `make js`"),
]

PAGES = ("projects", "label", "scribble", "tags", "train", "models", "compare", "survey", "export")
OF_COUNTS = ("label", "tags", "train", "compare", "survey", "count", "export")
WIDE = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=320, height=640)
"""The width at which WCAG 1.4.10 asks for a page that is scrolled in one direction only."""

FIND = """async () => {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ['violations'] });
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.target.flat().join(' ')}: ${node.failureSummary}`.slice(0, 400)));
}"""
"""Page script: what axe finds, one line an element; it looks into shadow roots by itself."""

TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const right = (element) => element.getBoundingClientRect().right;
  const scrolls = (element) => {  // a table or a picture may scroll in itself, the page may not
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (at.dataset.testid === 'stMain') return false;
      if (getComputedStyle(at).overflowX !== 'visible' && right(at) <= width + 1) return true;
    }
    return false;
  };
  const isTooWide = (element) => element.checkVisibility() && right(element) > width + 1 && !scrolls(element);
  return [...document.querySelectorAll('[data-testid=stMain], [data-testid=stMain] *')].filter(isTooWide)
    .map((element) => `${element.tagName} ${element.dataset.testid ?? ''} ${element.textContent.trim().slice(0, 60)}`);
}"""
"""Page script: what reaches over the right edge of the window."""


@pytest.fixture(scope="module")
def projects(server: Server) -> dict[str, int]:
    """A project where everything has been done, one that counts, and an empty one; by these names."""
    lab = lab_of(server)
    site, dots = Site(lab, 4), Dots(lab, complete=3, begun=1)
    for number in range(4):
        site.click(number)
    start_training(lab, project_id=site.project.id, network=SMALL, training=QUICK, labeller="ann")
    start(site, replace(SPEC, networks=(UNET, replace(UNET, width=6)), minutes=0.003))
    work(site)
    answered(lab, site.project.id)
    empty = create_project(lab, name="empty")
    lab.close()
    return {"full": site.project.id, "counts": dots.project.id, "empty": empty.id}


def answered(lab: Lab, project_id: int) -> None:
    """A survey of two strata, of which some points are not answered, and another one that is not begun."""
    strata = {image.id: "ab"[image.id % 2] for image in images(lab, project_id=project_id)}
    for name, n_answered in (("open", 0), ("answered", 14)):
        spec = SurveySpec(name, {"a": 2, "b": 2}, 4)
        survey = plan_survey(lab, project_id=project_id, spec=spec, labeller="ann", strata=strata)
        points = survey_points(lab, survey_id=survey.id)[:n_answered]
        given = [
            SurveyAnswer(point.id, None if place == 3 else place % 2, place == 3) for place, point in enumerate(points)
        ]
        answer(lab, given, survey_id=survey.id, project_id=project_id, labeller="ann")


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab in each theme, which loads what all pages share only once."""
    context = browser.new_context(viewport=WIDE, color_scheme=request.param)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(("kind", "names"), [("full", PAGES), ("counts", OF_COUNTS), ("empty", PAGES)])
def test_pages(server: Server, projects: dict[str, int], themed: Page, kind: str, names: tuple[str, ...]) -> None:
    open_page(themed, server, names[0], project_id=projects[kind])
    for name in names:
        go_to(themed, name)
        themed.locator("details:not([open]) > summary").evaluate_all("folded => folded.forEach((one) => one.click())")
        wait_until_drawn(themed)

        assert findings(themed) == [], name
        themed.set_viewport_size(PHONE)
        assert too_wide(themed) == [], name
        themed.set_viewport_size(WIDE)


def test_what_opens_on_the_label_page(server: Server, projects: dict[str, int], themed: Page) -> None:
    open_label_page(themed, server, project_id=projects["full"])
    rename = themed.get_by_role("button", name="Rename, recolour or remove object")
    for button in ("Add class", "Brightness, contrast, background", "Mouse and keys", "Remove all points and strokes"):
        themed.get_by_role("button", name=button).click()
        themed.locator(".fcnlab").get_by_role("dialog").filter(visible=True).wait_for()
        assert findings(themed) == [], button
        themed.keyboard.press("Escape")
    themed.locator(".class[data-class='1']").hover()
    rename.click()
    themed.get_by_role("dialog", name="Class object").wait_for()
    assert findings(themed) == []
    themed.keyboard.press("Escape")
    for key in ("b", "q"):
        themed.locator(".vp").press(key)
        assert findings(themed) == [], key
        themed.locator(".vp").press("Escape")


def test_answering_a_survey(server: Server, projects: dict[str, int], themed: Page) -> None:
    open_page(themed, server, "survey", project_id=projects["full"])
    themed.get_by_role("button", name="Go on answering").click()
    themed.locator(".detail[data-seen='1']").wait_for()
    for act in ("", "ArrowLeft"):
        if act:
            themed.keyboard.press(act)
        assert findings(themed) == [], act
    themed.set_viewport_size(PHONE)
    assert findings(themed) == []
    assert too_wide(themed) == []
    themed.set_viewport_size(WIDE)


def test_tagging(server: Server, projects: dict[str, int], themed: Page) -> None:
    open_page(themed, server, "tags", project_id=projects["full"])
    themed.locator(".detail[data-seen='1']").wait_for()
    for act in ("1", "Shift+Digit2"):
        themed.keyboard.press(act)
        assert findings(themed) == [], act
    themed.set_viewport_size(PHONE)
    assert findings(themed) == []
    assert too_wide(themed) == []
    themed.set_viewport_size(WIDE)
    for view in ("Find images", "Progress", "Files"):
        themed.get_by_role("radio", name=view).or_(themed.get_by_role("button", name=view)).first.click()
        themed.mouse.move(640, 890)
        wait_until_drawn(themed)
        assert findings(themed) == [], view
        themed.set_viewport_size(PHONE)
        assert too_wide(themed) == [], view
        themed.set_viewport_size(WIDE)


def test_dialogs_and_menus(server: Server, projects: dict[str, int], themed: Page) -> None:
    open_page(themed, server, "label", project_id=projects["full"])
    for name, button in (("label", "Learner"), ("label", "Ada"), ("projects", "New project"), ("survey", "Delete")):
        go_to(themed, name)
        themed.get_by_role("button", name=button).first.click()
        themed.locator("[role=dialog], [data-testid=stPopoverBody]").first.wait_for()

        assert findings(themed) == [], button
        themed.keyboard.press("Escape")


def go_to(page: Page, name: str) -> None:
    """Go to another page by the navigation, and wait until all of it is drawn."""
    page.get_by_role("link", name=name.capitalize(), exact=True).first.click()
    page.wait_for_function("title => document.title.startsWith(title)", arg=f"{name.capitalize()} · ", timeout=60_000)
    wait_until_drawn(page)


def findings(page: Page) -> list[str]:
    """What axe finds once colours and folds have come to rest."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    return at_rest(page, FIND)


def too_wide(page: Page) -> list[str]:
    """What reaches over the right edge of the window."""
    return at_rest(page, TOO_WIDE)


def at_rest(page: Page, script: str) -> list[str]:
    """What a script finds on a page, which may still be moving for a while."""
    found: list[str] = page.evaluate(script)
    deadline = time.monotonic() + 10
    while found and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        found = page.evaluate(script)
    return found
