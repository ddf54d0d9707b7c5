"""One browser for all tests; a server and a project for each module that asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings
from tests.browser.harness import Server, running_browser, running_server
from tests.support.firefox import firefox_path

PHOTOS = ("coffee.png", "rocket.jpg", "coins.png")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here with the browser it drives, and skip it where that is missing."""
    here = Path(__file__).parent
    has_chromium = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for item in items:
        if here not in item.path.parents:
            continue
        if item.get_closest_marker("firefox"):
            if firefox_path() is None:
                item.add_marker(pytest.mark.skip(reason="no Firefox: apt-get install firefox-esr"))
            continue
        item.add_marker(pytest.mark.browser)
        if not has_chromium:
            item.add_marker(pytest.mark.skip(reason="no Chromium: apt-get install chromium"))


@pytest.fixture(scope="package")  # its event loop must be gone when other tests start theirs
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone, which it may kill."""
    with running_server(tmp_path / "data") as server:
        yield server


def lab_of(server: Server) -> Lab:
    """The installation a server works on, opened by the test too."""
    return open_lab(Settings(data_dir=server.data_dir, device="cpu", demo=False))


def project_with_photos(lab: Lab, name: str, photos: tuple[str, ...] = PHOTOS) -> tuple[int, list[int]]:
    """A new project of scikit-image's photographs; its id and those of its images."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    project = create_project(lab, name=name)
    steps = import_files(lab, [(photo, folder / photo) for photo in photos], project_id=project.id)
    return project.id, [step.image_id for step in steps if step.image_id is not None]
