"""Text and controls stand out from what they lie on: WCAG 2.2 AA, measured on what the browser computed.

Text of 24 pixels, or of 18.66 bold ones, and symbols need 3:1, other text 4.5:1 (1.4.3, 1.4.11); what fills a primary
button needs 3:1 against the page. Disabled controls are exempt. The canvas has a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from fcnlab.domain.events import Point, PointSource
from fcnlab.services.labelling.events import add_points
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, open_page
from tests.support.worker_bench import eventually

PAGES = ("projects", "scribble", "tags", "train", "compare", "models", "export", "survey", "count")

MEASURE = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, k) => value * a + under[k] * (1 - a));
  const ground = (element) => {  // what a slider says stands round its handle, though it lies within it
    const layers = [], slider = element.closest('[data-testid=stSlider]');
    for (let at = slider ?? element; at; at = at.parentElement) {
      const layer = rgba(getComputedStyle(at).backgroundColor);
      if (layer[3] > 0) layers.push(layer);
      if (layer[3] === 1) break;
    }
    let colour = [255, 255, 255];
    for (const layer of layers.reverse()) colour = over(layer, colour);
    return colour;
  };
  const light = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const opacity = (element) => {
    let share = 1;
    for (let at = element; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const modal = document.querySelector('[role=dialog]');  // what lies behind it is dimmed, and cannot be used
  const isDisabled = (element) => element.closest('label')?.querySelector('input:disabled');
  const exempt = (element) => (modal && !modal.contains(element)) || isDisabled(element) || element.closest(
    '[disabled], [aria-disabled=true], fieldset:disabled, .vega-embed, [data-testid=stDataFrame], '
    + '[data-testid=stBidiComponentIsolated]');
  const found = [];
  const note = (what, text, value, wanted) => {
    if (value < wanted) found.push({ what, text: text.slice(0, 40), ratio: Math.round(value * 100) / 100, wanted });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, text = node.textContent.trim();
    if (!text || !element || exempt(element)) continue;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const isSymbol = /material/i.test(style.fontFamily);
    const isLarge = isSymbol || size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const under = ground(element), ink = rgba(style.color);
    ink[3] *= opacity(element);
    if (ink[3] < 0.05) continue;  // shown when the pointer comes
    const where = element.closest('[data-testid]');
    note(where ? where.dataset.testid : element.tagName, text, ratio(over(ink, under), under), isLarge ? 3 : 4.5);
  }
  for (const input of document.querySelectorAll('input, textarea')) {
    const isTyped = ['text', 'number', 'search', 'textarea'].includes(input.type);
    if (exempt(input) || !input.checkVisibility() || !isTyped) continue;
    const under = ground(input), ink = rgba(getComputedStyle(input, input.value ? null : '::placeholder').color);
    const text = input.value || input.placeholder;
    if (text) note('input', text, ratio(over(ink, under), under), 4.5);
  }
  for (const button of document.querySelectorAll('[data-testid^=stBaseButton-primary]')) {
    if (exempt(button) || !button.checkVisibility()) continue;
    note('primary button on page', button.textContent, ratio(ground(button), ground(button.parentElement)), 3);
  }
  return found;
}"""
"""Page script: what stands out too little, with its ratio."""


@pytest.fixture(scope="module")
def project_id(server: Server) -> int:
    lab = lab_of(server)
    project_id, images = project_with_photos(lab, "contrast")
    for image_id in images:
        points = [Point(20, 30 + 9 * place, place % 2) for place in range(6)]
        add_points(lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)
    lab.close()
    return project_id


@pytest.fixture(params=["light", "dark"])
def themed(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1400}, color_scheme=request.param)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_everything_on_a_page_stands_out_enough(server: Server, project_id: int, themed: Page, name: str) -> None:
    open_page(themed, server, name, project_id=project_id)
    themed.wait_for_timeout(600)  # expanders and tabs fade in

    with suppress(AssertionError):  # colours of widgets may still be on their way
        eventually(lambda: too_faint(themed) == [], seconds=10)
    assert too_faint(themed) == []


def test_dialogs_and_menus_stand_out_enough(server: Server, project_id: int, themed: Page) -> None:
    open_page(themed, server, "projects", project_id=project_id)
    themed.get_by_role("button", name="New project").first.click()
    themed.get_by_role("dialog").wait_for()

    with suppress(AssertionError):  # colours of widgets may still be on their way
        eventually(lambda: too_faint(themed) == [], seconds=10)
    assert too_faint(themed) == []


def test_help_stands_out_enough(server: Server, project_id: int, themed: Page) -> None:
    open_page(themed, server, "train", project_id=project_id)
    themed.get_by_role("button", name="Help", exact=True).click()

    for tab in ("Train", "About"):
        themed.get_by_role("dialog").get_by_role("tab", name=tab).click()
        with suppress(AssertionError):  # colours of widgets may still be on their way
            eventually(lambda: too_faint(themed) == [], seconds=10)
        assert too_faint(themed) == []


def too_faint(page: Page) -> list[dict[str, Any]]:
    """What stands out too little, each kind once."""
    found: list[dict[str, Any]] = page.evaluate(MEASURE)
    kinds = {(one["what"], one["ratio"]): one for one in found}
    return list(kinds.values())
