"""The HTML that the pages live in, and what becomes of a script that fails."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from fcnlab.access import PAGE_POLICY, logged
from fcnlab.errors import FcnlabError
from fcnlab.web import session

INDEX = Path(st.__file__).parent / "static" / "index.html"

BASE_SCRIPT = """
  (() => {
    const parts = location.pathname.replace(/\\/+$/, "").split("/");
    if (PAGES.includes(parts.at(-1))) parts.pop();
    window.__streamlit = { BACKEND_BASE_URL: `${location.origin}${parts.join("/")}/` };
  })();
"""
"""Tells Streamlit's page where the server is; else it asks below the address of the page first, where nothing is."""


@lru_cache
def shell_html(pages: tuple[str, ...]) -> str:
    """Streamlit's own index page, told where the server is and what the application is called."""
    script = BASE_SCRIPT.replace("PAGES", json.dumps(pages))
    html = INDEX.read_text(encoding="utf-8").replace("<title>Streamlit</title>", "<title>fcnlab</title>")
    return html.replace("<script", f"<script>{script}</script>\n    <script", 1)


@lru_cache
def page_policy(pages: tuple[str, ...]) -> str:
    """The content security policy of all pages: of scripts written into the HTML, those of the shell alone run."""
    inline = re.findall(r"<script>(.*?)</script>", shell_html(pages), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    return PAGE_POLICY.format(scripts="".join(f" 'sha256-{digest}'" for digest in digests))


def shell_routes(pages: Sequence[str], *, default: str) -> list[Route]:
    """What answers at the address of every page; the default page is at `/`, and its name leads there."""
    html = shell_html(tuple(pages))

    async def shell(_request: Request) -> HTMLResponse:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    async def start(request: Request) -> RedirectResponse:
        return RedirectResponse(f"/?{request.url.query}")

    return [Route("/", shell), Route(f"/{default}", start), *(Route(f"/{page}", shell) for page in pages)]


def show_failure(failure: Exception) -> bool:
    """Show a failure of a page's script: what it says when it is explained, else the id that the log has too."""
    if isinstance(failure, FcnlabError):
        session.explained(failure)
    else:
        error_id = logged(failure, "a page")
        st.error(
            f"Something went wrong here (error {error_id}). What you stored is safe: reload the page. "
            "If it happens again, the server's log has the details under this number.",
            icon=":material/error:",
        )
    return True
