"""Fetching a file from a web server that somebody allowed."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Collection
from email.message import Message
from typing import IO
from urllib.parse import quote, urljoin, urlsplit

from fcnlab.errors import ImportRefused

TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 20


def fetched(address: str, *, home: str, authorization: str, hosts: Collection[str], most_bytes: int) -> bytes:
    """The bytes behind an address.

    Args:
        address: with a host, or relative to `home`.
        home: address of a server; it is allowed, and alone is shown the authorization.
        authorization: the header of that name; empty: none.
        hosts: other names, with their port if they have one, that may be asked; redirects go to allowed ones only.
        most_bytes: longer files are refused while they arrive.

    Raises:
        ImportRefused: the host is not allowed, does not answer, or sends too much.
    """
    whole = _quoted(urljoin(home, address) if home else address)
    own = urlsplit(home).netloc
    allowed = {one for one in (own, *hosts) if one}
    _refuse(whole, allowed)
    request = urllib.request.Request(whole)
    if authorization and urlsplit(whole).netloc == own:
        request.add_unredirected_header("Authorization", authorization)
    opener = urllib.request.build_opener(_Redirects(allowed))
    data = bytearray()
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            said = answer.headers.get("Content-Length", "")
            while block := answer.read(BLOCK_BYTES):
                data += block
                if len(data) > most_bytes:
                    raise ImportRefused(f"{_shown(whole)} is larger than the {most_bytes} bytes allowed")
    except (http.client.InvalidURL, ValueError) as failure:  # their words repeat the address with its query
        raise ImportRefused(f"{_shown(whole)} is no address that can be fetched: check it") from failure
    except (http.client.HTTPException, OSError) as failure:
        raise ImportRefused(
            f"{_shown(whole)} cannot be fetched ({failure}): check the address and the token"
        ) from failure
    if said.isdigit() and len(data) != int(said):
        raise ImportRefused(f"{_shown(whole)} broke off after {len(data)} of {said} bytes: try again")
    return bytes(data)


def _quoted(address: str) -> str:
    """With letters that addresses may not hold written as percents; what is written so already stays."""
    parts = urlsplit(address)
    return parts._replace(path=quote(parts.path, safe="/%"), query=quote(parts.query, safe="=&%/?:+,;@")).geturl()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to allowed hosts only."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _refuse(newurl, self._allowed)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _refuse(address: str, allowed: Collection[str]) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or parts.netloc not in allowed:
        names = ", ".join(sorted(allowed)) or "none yet"
        raise ImportRefused(
            f"{_shown(address)} is at no server that may be asked ({names}): set FCNLAB_LABEL_STUDIO_URL, or add its "
            "host to FCNLAB_LABEL_STUDIO_HOSTS"
        )


def _shown(address: str) -> str:
    """Without its query, which may hold a signature."""
    return urlsplit(address)._replace(query="", fragment="").geturl()[:200]
