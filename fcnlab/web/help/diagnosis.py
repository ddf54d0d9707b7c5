"""What people send to a maintainer when something fails, and who may see what of it."""

from __future__ import annotations

import streamlit as st

from fcnlab.access import is_private
from fcnlab.errors import InvalidSetting
from fcnlab.lab import utc_now
from fcnlab.services.installation.diagnostics import failure_report
from fcnlab.settings import Settings, load_settings
from fcnlab.web import session

FOR_WHOM = "Send this to whoever looks after this installation, with what you did before."


def shows_paths(settings: Settings) -> bool:
    """Whether this page may show paths and settings of the machine: only people who sit at it see the page."""
    return is_private(settings, listens_on=st.get_option("server.address") or "")


def offer_report(failure: BaseException, *, error_id: str) -> None:
    """What to send about a failure that nobody explained, to be copied."""
    try:
        settings = load_settings()
    except InvalidSetting:  # then a server would not have started
        return
    report = failure_report(
        settings,
        failure,
        error_id=error_id,
        page=session.peek("page", "none"),
        at=utc_now(),
        with_traceback=shows_paths(settings),
    )
    with st.expander("Copy diagnosis", icon=":material/content_copy:"):
        st.caption(FOR_WHOM)
        st.code(report, language=None, wrap_lines=True)
