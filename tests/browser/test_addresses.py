"""Every page opened by its address, in a real browser, under the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from fcnlab.domain.training import TrainingSpec, TrainingState
from fcnlab.services.comparing import comparisons
from fcnlab.services.training.trainings import start_training
from tests.browser.conftest import lab_of
from tests.browser.harness import Server, running_server
from tests.support.bars import Site
from tests.support.comparison_bench import SPEC, UNET, work
from tests.support.paths import ROOT

CHARTS = ("compare", "train")
DRAWN = "p:visible, canvas:visible, iframe:visible, .vp:visible"
SETTLED = """() => document.querySelector('[data-testid=stStatusWidget]') === null
  && document.querySelectorAll('[data-testid=stSkeleton]').length === 0"""
PAGES = ("", *sorted(path.stem for path in (ROOT / "pages").glob("*.py")))


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A server, and a project with points, a finished training and a finished comparison: all charts are drawn."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        lab = lab_of(server)
        site = Site(lab, 4)
        for row in range(4):
            site.click(row)
        comparison = comparisons.start_comparison(lab, project_id=site.project.id, spec=SPEC, labeller="ann")
        start_training(lab, project_id=site.project.id, network=UNET, training=TrainingSpec(epochs=2), labeller="ann")
        work(site)
        status = comparisons.comparison_status(lab, comparison_id=comparison.id)
        assert {one.state for one in status.participants} == {TrainingState.FINISHED}
        yield server, site.project.id
        lab.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opened_by_address_finds_everything_it_asks_for(
    page: Page, lived_in: tuple[Server, int], name: str
) -> None:
    server, project_id = lived_in
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    page.on(
        "response",
        lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("requestfailed", lambda request: complaints.append(f"failed {request.url}"))

    page.goto(f"{server.url}/{name}?project={project_id}&labeller=tester")
    page.get_by_test_id("stApp").wait_for()
    page.get_by_test_id("stMain").locator("p:visible, canvas:visible, iframe:visible, .vp:visible").first.wait_for(
        timeout=60_000
    )
    page.wait_for_function(SETTLED, timeout=60_000)
    if name in CHARTS:
        page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
    assert complaints == []
