"""The router: page settings and the list of pages."""

import streamlit as st

from fcnlab.web.frame import ICON, counts_objects, know_labeller, style
from fcnlab.web.help import menu
from fcnlab.web.session import failures_explained, remember

st.set_page_config(page_title="fcnlab", page_icon=str(ICON), layout="wide")
st.html(style())
with failures_explained():
    know_labeller()
    page = st.navigation(
        [
            st.Page("pages/projects.py", title="Projects", icon=":material/folder_open:"),
            st.Page("pages/export.py", title="Export", icon=":material/download:"),
            st.Page("pages/label.py", title="Label", icon=":material/gesture:", default=True),
            st.Page("pages/scribble.py", title="Scribble", icon=":material/draw:"),
            st.Page("pages/tags.py", title="Tags", icon=":material/label:"),
            st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
            st.Page("pages/models.py", title="Models", icon=":material/deployed_code:"),
            st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("pages/survey.py", title="Survey", icon=":material/percent:"),
            st.Page(
                "pages/count.py",
                title="Count",
                icon=":material/tag:",
                visibility="visible" if counts_objects() else "hidden",
            ),
        ],
        position="top",
    )
    remember("page", page.title)
    menu.draw(page.url_path or "label")
    page.run()
