"""A survey through a real browser, server and database: planned, answered by keys, reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fcnlab.domain.survey import Survey, SurveyPoint, SurveySpec
from fcnlab.services.projects.projects import images
from fcnlab.services.surveys.surveys import close_survey, plan_survey, survey_points, surveys
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, open_page, wait_until_drawn

SEEN = ".detail[data-seen='1']"
ANSWERS = "**/survey/*/answers"


def planned(server: Server, name: str, *, n_per_image: int = 2) -> Survey:
    lab = lab_of(server)
    project_id, _ = project_with_photos(lab, name)
    n_images = len(images(lab, project_id=project_id))
    spec = SurveySpec(name, {"": n_images}, n_per_image)
    survey = plan_survey(lab, project_id=project_id, spec=spec, labeller="Ada")
    lab.close()
    return survey


def stored(server: Server, survey: Survey) -> list[SurveyPoint]:
    lab = lab_of(server)
    points = survey_points(lab, survey_id=survey.id)
    lab.close()
    return list(points)


def answer_view(page: Page, server: Server, survey: Survey) -> None:
    page.goto(f"{server.url}/survey?project={survey.project_id}&survey={survey.id}&answering=1&labeller=Ada")
    page.locator(SEEN).wait_for(timeout=60_000)


def press(page: Page, key: str) -> None:
    """Answer what is shown, and wait for the next point."""
    asked = page.locator(".detail").get_attribute("data-point")
    page.keyboard.press(key)
    page.wait_for_function(
        """asked => {
          const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
          const detail = root.querySelector('.detail');
          return root.querySelector('.main').hidden || (detail.dataset.point !== asked && detail.dataset.seen === '1');
        }""",
        arg=asked,
    )


def test_a_survey_is_planned_answered_by_keys_and_reported(server: Server, page: Page) -> None:
    lab = lab_of(server)
    project_id, _ = project_with_photos(lab, "planned here")
    open_page(page, server, "survey", project_id=project_id)
    field = page.get_by_role("spinbutton", name="Points in each image")
    field.fill("4")
    field.press("Enter")
    expect(page.get_by_text("12 points in 3 images")).to_be_visible()
    page.get_by_role("button", name="Plan the survey").click()
    page.get_by_role("button", name="Answer", exact=True).click()
    page.locator(SEEN).wait_for(timeout=60_000)

    for place in range(12):
        expect(page.locator(".head .place")).to_have_text(f"{place + 1} of 12")
        press(page, "12u2"[place % 4])
    expect(page.get_by_text("All 12 points of this survey are answered.")).to_be_visible()
    page.locator(".over").get_by_role("button", name="To the report").click()

    expect(page.get_by_role("heading", name="Cover")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("12 of 12 points answered, 3 of them don't know")).to_be_visible()
    wait_until_drawn(page)
    (survey,) = surveys(lab, project_id=project_id)
    lab.close()
    assert [point.class_id for point in stored(server, survey)] == [0, 1, None, 1] * 3
    assert {point.labeller for point in stored(server, survey)} == {"Ada"}
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON").click()
    assert Path(waiting.value.path()).stat().st_size > 0


def test_no_answer_waits_for_the_server_and_none_is_lost(server: Server, page: Page) -> None:
    survey = planned(server, "offline")
    answer_view(page, server, survey)
    page.route(ANSWERS, lambda route: route.abort())
    for key in ("1", "2", "2", "1"):
        press(page, key)
    page.keyboard.press("Backspace")
    expect(page.locator(".head .place")).to_have_text("4 of 6")
    expect(page.locator(".saved")).to_have_text("Offline: 5 answers kept in this tab", timeout=15_000)
    assert not any(point.is_answered for point in stored(server, survey))

    page.reload()
    page.locator(SEEN).wait_for(timeout=60_000)
    expect(page.locator(".head .place")).to_have_text("4 of 6")
    page.unroute(ANSWERS)
    press(page, "u")

    expect(page.locator(".saved")).to_have_text("All saved", timeout=20_000)
    points = stored(server, survey)
    assert [point.class_id for point in points[:3]] == [0, 1, 1]
    assert points[3].is_unknown
    assert not any(point.is_answered for point in points[4:])


def test_the_browser_sees_neither_masks_nor_figures_while_answering(server: Server, page: Page) -> None:
    survey = planned(server, "blind")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    answer_view(page, server, survey)
    press(page, "1")

    assert [url for url in asked if any(part in url for part in ("/overlay/", "/reference/", "/objects/"))] == []
    assert page.locator("[data-testid=stVegaLiteChart], [data-testid=stDataFrame]").count() == 0


def test_a_survey_that_is_closed_meanwhile_says_so_and_keeps_the_answer(server: Server, page: Page) -> None:
    survey = planned(server, "closed")
    answer_view(page, server, survey)
    lab = lab_of(server)
    close_survey(lab, survey_id=survey.id)
    lab.close()

    press(page, "1")

    expect(page.get_by_role("alert")).to_contain_text("is closed: reopen it")
    log = page.evaluate("() => Object.entries(sessionStorage).find(([name]) => name.includes('.survey.'))[1]")
    assert [entry["payload"]["value"] for entry in json.loads(log)["log"]] == [0]


@pytest.mark.parametrize("width", [320, 390])
def test_points_are_answered_by_touch_on_a_phone(server: Server, page: Page, width: int) -> None:
    survey = planned(server, f"phone {width}")
    page.set_viewport_size({"width": width, "height": 700})
    answer_view(page, server, survey)

    for button in page.locator(".fcnlab-survey button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        assert box["x"] + box["width"] <= width
    page.locator(".answer").nth(1).click()

    expect(page.locator(".head .place")).to_have_text("2 of 6")
    expect(page.locator(".saved")).to_have_text("All saved")
    assert stored(server, survey)[0].class_id == 1
