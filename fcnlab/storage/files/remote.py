"""Reading files by URI: only from where somebody allowed it, from a private network only where that was said, and never
without end."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

from fcnlab.errors import ImportRefused

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 30.0
LISTED_MOST = 100_000
"""Files that one pattern may stand for."""

IMPORTS = "FCNLAB_IMPORT"
WEB = frozenset({"http", "https"})
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""What fsspec needs besides itself."""


@dataclass(frozen=True, slots=True)
class RemoteRules:
    """What may be read.

    Attributes:
        schemes: such as https and s3; none at all when empty.
        hosts: names of hosts, or of buckets; `*.example.org` stands for all hosts in there, `*` for all.
        allows_private: whether a host may have an address of a private network, or of this machine.
        max_bytes: of one file.
        max_seconds: from the first word to a server until the last byte of a file.
        servers: web servers that somebody named one by one, `name` or `name:port`: they may be asked over http and
            https, and may be private, whatever else is said here.
        settings: names of the settings that say all this begin so; told in refusals.
    """

    schemes: tuple[str, ...]
    hosts: tuple[str, ...]
    allows_private: bool
    max_bytes: int
    max_seconds: float = 600.0
    servers: frozenset[str] = frozenset()
    settings: str = IMPORTS


def is_uri(text: str) -> bool:
    """Whether a text is of the form scheme://rest; the letter of a drive is no scheme."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def refuse_uri(uri: str, rules: RemoteRules) -> None:
    """Raises ImportRefused: the rules do not allow this URI."""
    try:
        parts = urlsplit(uri)
        is_named = parts.netloc in rules.servers and parts.scheme.lower() in WEB
    except ValueError as failure:
        raise ImportRefused(f"{uri[:200]} is no address ({failure}); check it") from failure
    shown = _shown(uri)
    if "::" in re.sub(r"//\[[^]]*\]", "//", uri.partition("?")[0]):  # but for addresses of IPv6
        raise ImportRefused(f"{shown} leads through another file; name the file itself")
    if "@" in parts.netloc:
        raise ImportRefused(f"an address with a password may not be read: {parts.scheme}://...@{parts.hostname}")
    if is_named:
        return
    if rules.settings != IMPORTS:
        names = ", ".join(sorted(rules.servers)) or "none yet"
        raise ImportRefused(
            f"{shown} is at no server that may be asked ({names}): set {rules.settings}_URL, or add its host to "
            f"{rules.settings}_HOSTS"
        )
    if parts.scheme.lower() not in rules.schemes:
        allowed = ", ".join(rules.schemes) or "none yet"
        raise ImportRefused(
            f"{shown} may not be read; kinds of addresses that may: {allowed}; ask whoever runs the server to add "
            f"{parts.scheme} to FCNLAB_IMPORT_SCHEMES"
        )
    if parts.netloc:
        _refuse_host(parts.hostname or "", rules)


def file_name(uri: str) -> str:
    """What a file of this address is called."""
    return unquote(PurePosixPath(urlsplit(uri).path).name) or "unnamed"


def listed(uri: str, rules: RemoteRules) -> list[str]:
    """The files that an address stands for: several when it is a pattern with `*`, or ends in `/`.

    Raises:
        ImportRefused: the rules do not allow it, it cannot be listed, or there is nothing.
    """
    refuse_uri(uri, rules)
    path = urlsplit(uri).path
    if not ("*" in uri or path.endswith("/")):
        return [uri]
    scheme = urlsplit(uri).scheme.lower()
    if scheme in WEB:
        raise ImportRefused(f"{uri} cannot be listed: name one file, or a zip archive of all")
    with _explained(uri):
        import fsspec

        system, inside = fsspec.core.url_to_fs(uri)
        matches = system.glob(inside) if "*" in uri else system.find(inside, maxdepth=None)
        names = sorted(str(name) for name in matches if system.isfile(name))
    if not names or len(names) > LISTED_MOST:
        raise ImportRefused(f"{uri} stands for {len(names)} files; name between 1 and {LISTED_MOST}")
    return [str(system.unstrip_protocol(name)) for name in names]


def blocks_of_uri(
    uri: str, rules: RemoteRules, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Iterator[bytes]:
    """The content of a file, a block at a time.

    Args:
        headers: shown to the server of this address alone, not to where it redirects.
        body: sent by POST.

    Raises:
        ImportRefused: the rules do not allow it, it cannot be read, it is larger than allowed, or takes longer.
    """
    refuse_uri(uri, rules)
    read = 0
    with (
        _explained(uri),
        _Deadline(rules.max_seconds) as deadline,
        _opened(uri, rules, deadline, headers, body) as file,
    ):
        announced = getattr(file, "length", None)
        if announced is not None and announced > rules.max_bytes:
            raise _too_large(uri, rules)
        while block := file.read(BLOCK_BYTES):
            deadline.keep()
            read += len(block)
            if read > rules.max_bytes:
                raise _too_large(uri, rules)
            yield block
        if getattr(file, "length", None):  # what a web server announced and did not send
            raise ValueError("its end is missing")


def _too_large(uri: str, rules: RemoteRules) -> ImportRefused:
    what = "FCNLAB_IMPORT_MAX_MB" if rules.settings == IMPORTS else "FCNLAB_API_UPLOAD_MB"
    return ImportRefused(
        f"{_shown(uri)} has more than the {rules.max_bytes // 1_000_000} MB allowed; ask whoever runs the server to "
        f"raise {what}"
    )


class _Deadline:
    """Ends the connections of a fetch when its time is over, however slowly a server goes on talking."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._close)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        if isinstance(failure, OSError | http.client.HTTPException | ValueError):
            self.keep(failure)  # what a closed connection looks like from inside

    def holds(self, sock: socket.socket) -> None:
        """Let a connection end in time."""
        self._sockets.append(sock)

    def left(self) -> float:
        """Seconds until the end. Raises TimeoutError: none."""
        self.keep()
        return self._end - time.monotonic()

    def keep(self, cause: BaseException | None = None) -> None:
        """Raises TimeoutError: the time is over."""
        if time.monotonic() >= self._end:
            raise TimeoutError(f"not whole after the {self._seconds:g} s allowed") from cause

    def _close(self) -> None:
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _opened(
    uri: str, rules: RemoteRules, deadline: _Deadline, headers: Mapping[str, str] | None, body: bytes | None
) -> BinaryIO:
    if urlsplit(uri).scheme.lower() in WEB:
        request = urllib.request.Request(_quoted(uri), body, headers={"User-Agent": "fcnlab"})
        for name, value in (headers or {}).items():
            request.add_unredirected_header(name, value)
        return cast(BinaryIO, _opener(rules, deadline).open(request, timeout=min(TIMEOUT_S, deadline.left())))
    import fsspec

    return cast(BinaryIO, fsspec.open(uri, "rb").open())


def _quoted(uri: str) -> str:
    """The address, percent-encoded; what is encoded already stays."""
    parts = urlsplit(uri)
    return parts._replace(
        path=quote(parts.path, safe="/%:@!$&'()*+,;=~"), query=quote(parts.query, safe="=&%/?:+,;@")
    ).geturl()


def _shown(uri: str) -> str:
    """The address without its query, which may hold a signature."""
    return uri.partition("?")[0].partition("#")[0][:200]


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    try:
        yield
    except ImportError as failure:
        scheme = urlsplit(uri).scheme.lower()
        package = PACKAGES.get(scheme, str(failure.name or "a package"))
        raise ImportRefused(f"{_shown(uri)} needs the package {package}: pip install {package}") from failure
    except urllib.error.HTTPError as failure:
        raise ImportRefused(
            f"{_shown(uri)} cannot be read ({failure.code} {failure.reason}); check the address, and the token if it "
            "needs one"
        ) from failure
    except (OSError, http.client.HTTPException, ValueError) as failure:
        reason = getattr(failure, "reason", None) or failure
        if isinstance(reason, _Private):
            raise ImportRefused(
                f"{_shown(uri)} leads into a private network, which may not be read; ask whoever runs the server about "
                "FCNLAB_IMPORT_PRIVATE"
            ) from failure
        cause = " ".join(str(reason).split()).replace(uri, _shown(uri))[:200] or type(failure).__name__
        raise ImportRefused(f"{_shown(uri)} cannot be read ({cause}); check the address") from failure


def _refuse_host(host: str, rules: RemoteRules) -> None:
    name = host.lower().rstrip(".")
    for allowed in rules.hosts:
        wanted = allowed.lower()
        if wanted in ("*", name) or (wanted.startswith("*.") and name.endswith(wanted[1:])):
            return
    raise ImportRefused(
        f"{host} is none of the hosts that may be read ({', '.join(rules.hosts) or 'none yet'}); ask whoever runs the "
        "server to add it to FCNLAB_IMPORT_HOSTS"
    )


class _Private(OSError):
    """A connection that leads into a private network."""


def _connected(host: str, port: int, *, rules: RemoteRules, deadline: _Deadline) -> socket.socket:
    """A connection to a server that the rules allow. Raises OSError, of which _Private is one."""
    resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    names = {f"{host}:{port}", f"[{host}]:{port}"} | ({host, f"[{host}]"} if port in (80, 443) else set())
    may_be_private = rules.allows_private or bool(rules.servers & names)
    if not may_be_private and not all(_is_public(str(info[4][0])) for info in resolved):
        raise _Private(host)
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in resolved:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(min(TIMEOUT_S, deadline.left()))
        deadline.holds(sock)
        try:
            sock.connect(address)
        except OSError as refused:
            sock.close()
            failure = refused
        else:
            return sock
    raise failure


def _opener(rules: RemoteRules, deadline: _Deadline) -> urllib.request.OpenerDirector:
    """What opens web addresses: every connection and every redirection is held to the rules; no proxy stands between.

    A name is looked up once: the addresses it stands for are checked, and then connected to, so that it cannot stand
    for others by then. What is private is refused before it is knocked at, and so tells nobody which of its ports are
    open.
    """

    def connect(address: tuple[str, int], *_: Any, **_options: Any) -> socket.socket:
        return _connected(*address, rules=rules, deadline=deadline)

    class Http(http.client.HTTPConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class Secure(http.client.HTTPSConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class HttpHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Http, req)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, req, context=ssl.create_default_context())

    class Redirections(urllib.request.HTTPRedirectHandler):
        def redirect_request(
            self,
            req: urllib.request.Request,
            fp: IO[bytes],
            code: int,
            msg: str,
            headers: http.client.HTTPMessage,
            newurl: str,
        ) -> urllib.request.Request | None:
            refuse_uri(newurl, rules)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = urllib.request.OpenerDirector()
    for handler in (
        HttpHandler(),
        SecureHandler(),
        Redirections(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")  # RFC 8215
CARRIES_IPV4 = tuple(
    ipaddress.ip_network(prefix)
    for prefix in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # mapped
        "::ffff:0:0:0/96",  # translated, RFC 2765
        "64:ff9b::/96",  # NAT64, RFC 6052
    )
)
"""Prefixes of IPv6 whose last 32 bits are an address of IPv4."""


def _is_public(address: str) -> bool:
    """Whether an address is one of the open internet, in whatever form of IPv6 an address of IPv4 is written."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    if any(ip in prefix for prefix in CARRIES_IPV4):
        return _is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    if ip.is_site_local or ip.is_multicast or ip in LOCAL_NAT64:
        return False
    embedded = [ip.sixtofour, *(ip.teredo or ())]
    if any(ipv4 is not None and not _is_public(str(ipv4)) for ipv4 in embedded):
        return False
    return ip.sixtofour is not None or ip.teredo is not None or ip.is_global
