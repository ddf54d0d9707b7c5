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
from fcnlab.web.help.diagnosis import offer_report

INDEX = Path(st.__file__).parent / "static" / "index.html"

BASE_SCRIPT = """
  (() => {
    const parts = location.pathname.replace(/\\/+$/, "").split("/");
    if (PAGES.includes(parts.at(-1))) parts.pop();
    window.__streamlit = { BACKEND_BASE_URL: `${location.origin}${parts.join("/")}/` };
  })();
"""
"""Tells Streamlit's page where the server is; else it asks below the address of the page first, where nothing is."""


THEME_SCRIPT = """
  (() => {
    const KEY = "fcnlab.theme", SCHEME = /^\\(prefers-color-scheme: (light|dark)\\)$/;
    const read = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
    const { get } = Object.getOwnPropertyDescriptor(MediaQueryList.prototype, "matches");
    const ask = window.matchMedia.bind(window), lists = new Map();
    window.matchMedia = (query) => {
      const list = lists.get(query) ?? ask(query), scheme = SCHEME.exec(list.media)?.[1];
      if (!scheme || lists.has(query)) return list;
      const isChosen = () => ["light", "dark"].includes(read(KEY)) ? read(KEY) === scheme : get.call(list);
      Object.defineProperty(list, "matches", { get: isChosen });
      lists.set(query, list);
      return list;
    };
    const tell = () => lists.forEach((list) => list.dispatchEvent(new MediaQueryListEvent("change", list)));
    addEventListener("fcnlab-theme", tell);
    addEventListener("storage", (event) => event.key === KEY && tell());
    for (const key of read(KEY) ? Object.keys(localStorage) : []) {
      if (key.startsWith("stActiveTheme") && read(key) !== '"System"') localStorage.removeItem(key);
    }
  })();
"""
"""Lets the theme that was chosen here answer in place of the system, whenever the page asks what the system prefers.

Streamlit shows the theme of the system and follows it while it changes, but offers no call that chooses one, and what
its own menu remembers holds for one address and not for the other pages. Without a choice nothing is changed. A theme
that another program left at the same address would win over both, and is forgotten."""


HELP_SCRIPT = """
  addEventListener("keydown", (event) => {
    const isTyped = event.composedPath()[0].closest?.("input, textarea, [contenteditable]");
    if (event.key !== "?" || event.defaultPrevented || isTyped) return;
    if (document.querySelector('.st-key-workspace, [role="dialog"]')) return;
    document.querySelector(".st-key-open-help button")?.click();
  });
"""
"""Lets `?` open the help of every page but the Label page, where it lists mouse actions and keys."""

MENU_SCRIPT = """
  addEventListener("click", (event) => {
    if (innerWidth >= 768 || !event.target.closest?.('[data-testid="stSidebarNavLink"]')) return;
    setTimeout(() => document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click());
  });
"""
"""On a phone the pages are in a drawer: it closes once one is chosen, else it lies over that page."""


@lru_cache
def shell_html(pages: tuple[str, ...]) -> str:
    """Streamlit's own index page, told where the server is and what the application is called."""
    script = BASE_SCRIPT.replace("PAGES", json.dumps(pages)) + THEME_SCRIPT + HELP_SCRIPT + MENU_SCRIPT
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
            f"Something went wrong here (error {error_id}). What was saved is safe: reload the page. "
            "If it happens again, the server's log has the details under this number.",
            icon=":material/error:",
        )
        offer_report(failure, error_id=error_id)
    return True
