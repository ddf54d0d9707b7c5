"""The web server: the pages, and the routes that browsers fetch pictures and overlays from."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from fcnlab.ui.routes import routes

# Else the first visitor of a page's own address gets that script alone, without the router (and without its frame).
PagesManager.uses_pages_directory = False

app = st.App(Path(__file__).with_name("app.py"), routes=routes)
