"""The web server: the pages, and the routes that browsers fetch pictures and overlays from."""

import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from fcnlab.threads import wait_politely

wait_politely()  # before torch is loaded
for quiet in ("caching.cache_data_api", "caching.cache_resource_api", "scriptrunner_utils.script_run_context"):
    logging.getLogger(f"streamlit.runtime.{quiet}").setLevel(logging.ERROR)  # what is loaded before the first visit

from fcnlab.access import FrontDoor, page_rules  # noqa: E402
from fcnlab.errors import InvalidSetting  # noqa: E402
from fcnlab.settings import load_settings  # noqa: E402
from fcnlab.web.events import routes as event_routes  # noqa: E402
from fcnlab.web.routes import routes  # noqa: E402
from fcnlab.web.session import Engine, engine  # noqa: E402
from fcnlab.web.shell import page_policy, shell_routes, show_failure  # noqa: E402
from fcnlab.web.sockets import send_without_delay, when_asked_to_end  # noqa: E402
from fcnlab.web.survey_answers import routes as survey_routes  # noqa: E402
from fcnlab.web.tag_answers import routes as tag_routes  # noqa: E402

# Else the first visitor of a page's own address gets that script alone, without the router (and without its frame).
PagesManager.uses_pages_directory = False

PAGES = tuple(sorted(path.stem for path in Path(__file__).with_name("pages").glob("*.py") if path.stem != "__init__"))

try:
    RULES = page_rules(load_settings(), listens_on=st.get_option("server.address") or "")
except InvalidSetting as failure:
    sys.exit(f"Error: {failure}")


@asynccontextmanager
async def serving(_: st.App) -> AsyncIterator[None]:
    """What happens once, between binding the port and the first answer: the learner starts to warm up."""
    opened: list[Engine] = []
    send_without_delay()
    threading.Thread(target=lambda: opened.append(engine()), name="fcnlab-start", daemon=True).start()

    def end_polls() -> None:
        for engine_of_pages in opened:
            engine_of_pages.jobs.overlay_store.close()

    when_asked_to_end(end_polls)
    yield


app = st.App(
    Path(__file__).with_name("app.py"),
    routes=[*shell_routes(PAGES, default="label"), *event_routes, *survey_routes, *tag_routes, *routes],
    middleware=[
        Middleware(FrontDoor, rules=RULES, pages=frozenset(PAGES), policy=lambda _path: page_policy(PAGES)),
    ],
    lifespan=serving,
    on_script_error=show_failure,
)
