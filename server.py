"""The web server: the pages, and the routes that browsers fetch pictures and overlays from."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from fcnlab.threads import wait_politely

wait_politely()  # before torch is loaded

from fcnlab.ui.routes import routes  # noqa: E402
from fcnlab.ui.session import engine  # noqa: E402
from fcnlab.ui.sockets import answer_at_once  # noqa: E402

# Else the first visitor of a page's own address gets that script alone, without the router (and without its frame).
PagesManager.uses_pages_directory = False


@asynccontextmanager
async def serving(_: st.App) -> AsyncIterator[None]:
    """What happens once, between binding the port and the first answer: the learner starts to warm up."""
    answer_at_once()
    threading.Thread(target=engine, name="fcnlab-start", daemon=True).start()
    yield


app = st.App(Path(__file__).with_name("app.py"), routes=routes, lifespan=serving)
