"""Who may talk to a server of fcnlab, and what every answer carries: one ASGI middleware before everything else.

A browser obeys any web page. A page of another site can make it send requests to this server, and with a name of its
own that it points to this machine (DNS rebinding) it could even read the answers. So a request has to name this server
by a name that was configured (`Host`), and a page that sends it has to come from this very server (`Origin`: same host
and same port).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fcnlab.errors import InvalidSetting
from fcnlab.settings import Settings

LOG = logging.getLogger("fcnlab.access")

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HOST_OF_CONTAINERS = "host.docker.internal"
"""What a container calls the machine that it runs on."""

SHORTEST_TOKEN = 8
"""Characters of FCNLAB_ACCESS_TOKEN; a shorter one can be guessed."""

LOGIN_PATH = "/fcnlab/login"
HEALTH_PATH = "/_stcore/health"
"""Tells that the server lives and nothing else; asked before anybody could show a token."""

CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
"""What Streamlit answers for operators and programs, and nobody here asks for."""

STAYS_LOGGED_IN_S = 30 * 24 * 3600
LOGIN_BYTES = 10_000
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

PAGE_POLICY = (
    "default-src 'self'; script-src 'self'{scripts}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' data: blob:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Content security policy of the pages, all that Streamlit needs: emotion writes styles into the page, components run
in frames of this server, and what charts compute is interpreted, not compiled."""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may talk to a server.

    Attributes:
        hosts: names and addresses a request may call this server by, lower case, without port; `*.example.org` stands
            for all names in there, `*` for all.
        origins: (host, port) of pages that may send requests although the request names another host or port, as
            behind a proxy that does not pass on the name it was asked by; port None: those of http and https.
        takes_addresses: whether an IP address is as good as a name; no foreign page can have one of its own.
        takes_bare_names: whether a name without a dot is good enough, such as that of a service in a network of
            containers. Nobody can buy one, but a network can give it, so that more than the name has to be right.
        token: what a first visit has to show; empty: nothing.
    """

    hosts: frozenset[str]
    origins: frozenset[tuple[str, int | None]] = frozenset()
    takes_addresses: bool = False
    takes_bare_names: bool = False
    token: str = ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on this name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_private(settings: Settings, *, listens_on: str) -> bool:
    """Whether only people at this machine reach the pages, so that these may show its paths and read its folders.

    They do where the server listens on an address of this machine alone, and nothing was set that others come by: no
    name of another host (a proxy passes requests on), no access token, and the pages are not open. Of a machine with
    several accounts all who are logged in are people at this machine.
    """
    return is_loopback(listens_on) and not (settings.allowed_hosts or settings.access_token or settings.open)


def access_rules(settings: Settings, *, listens_on: str | None = None) -> AccessRules:
    """Who may talk to a server that listens on an address (None: that of the settings), but for its token.

    Raises:
        InvalidSetting: FCNLAB_ALLOWED_HOSTS holds what is no host.
    """
    address = settings.host if listens_on is None else listens_on
    hosts, origins = {*LOCAL_NAMES, address.lower().strip("[]")}, set()
    for entry in settings.allowed_hosts:
        host, port = _split(entry)
        if not host:
            raise InvalidSetting(
                f"FCNLAB_ALLOWED_HOSTS names {entry!r}, which is no host: write label.example.org, or "
                "label.example.org:8443 for a port of its own, with commas between several"
            )
        hosts.add(host)
        if "*" not in host:
            origins.add((host, port))
    if not is_loopback(address):
        hosts.add(socket.gethostname().lower())
    return AccessRules(frozenset(hosts), frozenset(origins), takes_addresses=not is_loopback(address))


def service_rules(settings: Settings, *, has_token: bool) -> AccessRules:
    """Who may talk to the REST service. With a token, names of containers are good too: Label Studio uses them.

    Raises:
        InvalidSetting: FCNLAB_ALLOWED_HOSTS holds what is no host.
    """
    rules = access_rules(settings)
    if not has_token:
        return rules
    return replace(rules, hosts=rules.hosts | {HOST_OF_CONTAINERS}, takes_bare_names=True)


def page_rules(settings: Settings, *, listens_on: str | None = None) -> AccessRules:
    """Who may open the pages.

    Raises:
        InvalidSetting: others could reach the server and nobody said that they may, or the token can be guessed.
    """
    address = settings.host if listens_on is None else listens_on
    token = settings.access_token
    if token and (len(token) < SHORTEST_TOKEN or not token.isprintable()):
        raise InvalidSetting(
            f"FCNLAB_ACCESS_TOKEN needs {SHORTEST_TOKEN} or more characters that can be typed: choose one that nobody "
            "guesses"
        )
    if not token and not settings.open and not is_loopback(address):
        raise InvalidSetting(
            f"whoever reaches {address or 'any address of this machine'} could label, export and delete: set "
            "FCNLAB_ACCESS_TOKEN to a secret that the first visit has to show, or FCNLAB_OPEN=true if everybody may"
        )
    return replace(access_rules(settings, listens_on=address), token=token)


def page_settings(settings: Settings, *, listens_on: str) -> Settings:
    """Settings of the pages: where only this machine reaches them, people may import from the home folder.

    That holds where nobody set FCNLAB_IMPORT_ROOTS, and where the pages are private (`is_private`).

    Args:
        settings: as they were read.
        listens_on: the address that the server listens on; empty: all of them.
    """
    if not is_private(settings, listens_on=listens_on) or "import_roots" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"import_roots": (Path.home(),)})


class FrontDoor:
    """Refuses requests that do not belong here, asks for the token, and gives every answer its headers.

    An exception that nothing explained becomes status 500 with an id; the log has the traceback under the same id.

    Args:
        app: what answers.
        rules: who may talk to it.
        policy: the content security policy of an address.
        pages: names of pages below which a browser asks for Streamlit's own addresses again; answered the same.
        speaks_json: whether refusals are JSON, for programs.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rules: AccessRules,
        policy: Callable[[str], str],
        pages: frozenset[str] = frozenset(),
        speaks_json: bool = False,
    ) -> None:
        self._app, self._rules, self._policy, self._pages, self._json = app, rules, policy, pages, speaks_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = self._without_page(scope)
        is_page = scope["type"] == "http"
        guarded = self._with_headers(scope["path"], send) if is_page else send
        refusal = await self._refusal(scope, receive)
        if refusal is not None and is_page:
            await refusal(scope, receive, guarded)
        elif refusal is not None:
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await self._passed_on(_as_one_site(scope), receive, guarded)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered in place of the application; None: nothing speaks against the request."""
        headers = Headers(scope=scope)
        if reason := refused_by(headers, scope["scheme"], self._rules):
            return self._said(reason, 403)
        if not self._json and scope["path"].startswith(CLOSED):
            return PlainTextResponse("there is nothing here", status_code=404)
        if self._rules.token and scope["path"] != HEALTH_PATH and not _has_shown(headers, self._rules.token):
            if scope["type"] == "websocket":
                return PlainTextResponse("log in first", status_code=401)
            return await _login(Request(scope, receive), self._rules.token)
        if scope["path"] == LOGIN_PATH:
            return RedirectResponse("/", status_code=303)
        return None

    def _said(self, reason: str, status: int) -> Response:
        return JSONResponse({"error": reason}, status) if self._json else PlainTextResponse(reason, status)

    async def _passed_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as failure:
            error_id = logged(failure, scope["path"])
            if scope["type"] != "http" or has_begun:
                raise
            words = f"something went wrong (error {error_id}); the server's log has the details under this number"
            await self._said(words, 500)(scope, receive, send)

    def _with_headers(self, path: str, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy(path))
                headers.setdefault("X-Frame-Options", "SAMEORIGIN")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            await send(message)

        return sent

    def _without_page(self, scope: Scope) -> Scope:
        """The request, with `/train/_stcore/health` turned into `/_stcore/health`."""
        page, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not slash or page not in self._pages or not rest.startswith("_stcore/"):
            return scope
        return {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}


def refused_by(headers: Headers, scheme: str, rules: AccessRules) -> str:
    """Why a request with these headers does not belong to this server; empty when nothing speaks against it."""
    host, port = _split(headers.get("host", ""))
    if not host or not _is_among(host, rules):
        shown = headers.get("host", "")[:100]
        return f"this server is not called {shown!r}: add the name to FCNLAB_ALLOWED_HOSTS if it should be"
    origins = headers.getlist("origin")
    if not origins:  # browsers leave it out of plain reads of the same site
        return ""
    origin = urlsplit(origins[0]) if len(origins) == 1 else urlsplit("")
    name, asked_port = _split(origin.netloc)
    default = DEFAULT_PORTS.get(origin.scheme)
    if not name or default is None:
        return "a page of another site may not ask this server"
    if (name, asked_port or default) == (host, port or DEFAULT_PORTS.get(scheme, 80)):
        return ""
    if name == host and port is None and asked_port in (None, default) and host not in LOCAL_NAMES:
        return ""  # a proxy that speaks https to browsers and http to this server
    if (name, asked_port) in rules.origins or (asked_port == default and (name, None) in rules.origins):
        return ""
    return (
        f"a page of {origin.netloc[:100]} may not ask this server: open fcnlab by the same name and port, or add them "
        "to FCNLAB_ALLOWED_HOSTS"
    )


def _as_one_site(scope: Scope) -> Scope:
    """An admitted request, with the name and port that the browser sees as its `Host`: what comes after need not ask
    again, and does not take a proxy for another site."""
    headers = Headers(scope=scope)
    netloc = urlsplit(headers.get("origin", "")).netloc
    if not netloc or netloc == headers.get("host"):
        return scope
    others = [(key, value) for key, value in scope["headers"] if key != b"host"]
    return {**scope, "headers": [(b"host", netloc.encode("latin-1")), *others]}


def logged(failure: BaseException, where: str) -> str:
    """The id under which a failure that nobody explained stands in the log, with its traceback."""
    error_id = secrets.token_hex(4)
    LOG.error("error %s at %r", error_id, where, exc_info=failure)
    return error_id


def _is_among(host: str, rules: AccessRules) -> bool:
    if host in rules.hosts or "*" in rules.hosts:
        return True
    if any(host.endswith(pattern[1:]) for pattern in rules.hosts if pattern.startswith("*.")):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return rules.takes_bare_names and "." not in host
    return rules.takes_addresses


def _split(netloc: str) -> tuple[str, int | None]:
    """Name, lower case, and port of `name:port` or `[::1]:port`; an empty name when it is nothing like that."""
    try:
        parts = urlsplit(f"//{netloc.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    if parts.netloc != netloc.strip() or "@" in netloc or any(letter.isspace() for letter in host):
        return "", None
    return host.rstrip("."), port


def _derived(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"fcnlab {purpose}".encode(), hashlib.sha256).hexdigest()


def _cookie_name(token: str) -> str:
    """Of its own for each token: cookies do not tell ports apart, and several servers may run on one machine."""
    return f"fcnlab_{_derived(token, 'name')[:8]}"


def _has_shown(headers: Headers, token: str) -> bool:
    """Whether the token was shown before, which a cookie says, or is shown as `Authorization: Bearer TOKEN`."""
    kind, _, shown = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and _is_token(shown.strip(), token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(token))
    except CookieError:
        return False
    return cookie is not None and secrets.compare_digest(cookie.value.encode(), _derived(token, "cookie").encode())


def _is_token(shown: str, token: str) -> bool:
    return secrets.compare_digest(shown.encode(errors="replace"), token.encode())


async def _login(request: Request, token: str) -> Response:
    """What a visitor without the cookie gets: the way on when the token is shown, else a page that asks for it."""
    if request.url.path == LOGIN_PATH and request.method == "POST":
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LOGIN_BYTES:
                return PlainTextResponse("this is no token", status_code=413)
        form = parse_qs(body.decode(errors="replace"))
        wanted = form.get("next", ["/"])[0]
        shown = form.get("token", [""])[0].strip()
    else:
        query = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        wanted = request.url.path + (f"?{urlencode(query)}" if query else "")
        shown = request.query_params.get("token", "") if request.method in ("GET", "HEAD") else ""
    if not wanted.startswith("/") or wanted.startswith(("//", "/\\", LOGIN_PATH)):
        wanted = "/"
    if shown and _is_token(shown, token):
        response: Response = RedirectResponse(wanted, status_code=303)
        response.set_cookie(
            _cookie_name(token),
            _derived(token, "cookie"),
            max_age=STAYS_LOGGED_IN_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:"),
        )
    elif "text/html" in request.headers.get("accept", "") or shown:
        response = HTMLResponse(_login_page(wanted, is_wrong=bool(shown)), status_code=401)
    else:
        response = PlainTextResponse("log in first: open the start page in a browser", status_code=401)
    response.headers["Cache-Control"] = "no-store"
    return response


def _login_page(wanted: str, *, is_wrong: bool) -> str:
    wrong = '<p role="alert">That is not the token.</p>' if is_wrong else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>fcnlab</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; }}
body {{ display: grid; place-items: center; min-height: 90vh; margin: 0; }}
form {{ display: grid; gap: .8rem; width: min(22rem, 90vw); }}
h1 {{ margin: 0; font-size: 1.5rem; }} p {{ margin: 0; line-height: 1.5; }}
[role=alert] {{ color: light-dark(#a40000, #ff9d94); }}
input, button {{ font: inherit; padding: .6rem .8rem; border-radius: .5rem; border: 1px solid GrayText; }}
button {{ background: #0072B2; border-color: #0072B2; color: #fff; cursor: pointer; }}
</style></head><body>
<form method="post" action="{LOGIN_PATH}">
<h1>fcnlab</h1>
<p>Whoever runs this server has an access token for you.</p>
{wrong}
<label for="token">Access token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{html.escape(wanted)}">
<button>Open fcnlab</button>
</form></body></html>"""
