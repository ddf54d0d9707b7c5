"""The web server: the pages, and the routes that browsers fetch pictures and overlays from."""

from pathlib import Path

import streamlit as st

from fcnlab.ui.routes import routes

app = st.App(Path(__file__).with_name("app.py"), routes=routes)
