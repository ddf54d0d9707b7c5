"""About fcnlab: version, licence, where data are, and whether the installation is sound."""

from __future__ import annotations

import streamlit as st

import fcnlab
from fcnlab.lab import data_dir_of
from fcnlab.services.installation.diagnostics import Check, examine
from fcnlab.settings import Settings, load_settings
from fcnlab.web import session
from fcnlab.web.help.diagnosis import FOR_WHOM, shows_paths
from fcnlab.web.help.manuals import whole_text
from fcnlab.webapp_files import manual

LICENCE = "Apache-2.0"
PUBLIC = frozenset({"versions"})
"""Checks whose details name nothing of the machine."""

HIDDEN = "Details are shown to those who sit at the server."


def draw() -> None:
    """All of it."""
    settings = load_settings()
    st.markdown(
        f"**fcnlab {fcnlab.__version__}**: click a few pixels, watch a fully convolutional network learn to segment."
    )
    with st.expander(f"Licence: {LICENCE}", icon=":material/license:"):
        st.code(manual("LICENSE"), language=None, wrap_lines=True, height=300)
    with st.expander("What it uses of others", icon=":material/inventory_2:"):
        st.markdown(whole_text("THIRD_PARTY.md"))
    if shows_paths(settings):
        st.markdown("Projects, images and models are in this folder:")
        st.code(str(data_dir_of(settings)), language=None, wrap_lines=True)
    if st.button("Check this installation", icon=":material/stethoscope:", help="As `fcnlab doctor` does"):
        with st.spinner("Looking at versions, disk, database, files and weights"):
            checks = examine(settings)
        _results(checks, settings)


def _results(checks: tuple[Check, ...], settings: Settings) -> None:
    """What was checked, as a table and to be copied."""
    is_shown = shows_paths(settings)
    rows = [(check, check.details if is_shown or check.name in PUBLIC else "") for check in checks]
    st.table(
        [
            {
                "Check": check.name,
                "Result": ":green[:material/check:] sound" if check.is_sound else ":red[:material/error:] broken",
                "Details": session.escape_markdown(details),
            }
            for check, details in rows
        ],
        hide_index=True,
    )
    if not is_shown:
        st.caption(HIDDEN)
    with st.expander("Copy diagnosis", icon=":material/content_copy:"):
        st.caption(FOR_WHOM)
        words = (f"{'sound ' if check.is_sound else 'BROKEN'}  {check.name}: {details}" for check, details in rows)
        st.code("\n".join(words), language=None, wrap_lines=True)
