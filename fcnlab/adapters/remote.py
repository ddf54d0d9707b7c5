"""Reading files by URI: only from where somebody allowed it, never from a private network, and never without end."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from fcnlab.errors import ImportRefused

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 30.0
LISTED_MOST = 100_000
"""Files that one pattern may stand for."""

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
    """

    schemes: tuple[str, ...]
    hosts: tuple[str, ...]
    allows_private: bool
    max_bytes: int


def is_uri(text: str) -> bool:
    """Whether a text is of the form scheme://rest; the letter of a drive is no scheme."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def refuse_uri(uri: str, rules: RemoteRules) -> None:
    """Raises ImportRefused: the rules do not allow this URI."""
    parts = urlsplit(uri)
    if "::" in re.sub(r"//\[[^]]*\]", "//", uri):  # but for addresses of IPv6
        raise ImportRefused(f"{uri} leads through another file; name the file itself")
    if parts.scheme.lower() not in rules.schemes:
        allowed = ", ".join(rules.schemes) or "none yet"
        raise ImportRefused(
            f"{uri} may not be read; kinds of addresses that may: {allowed}; ask whoever runs the server to add "
            f"{parts.scheme} to FCNLAB_IMPORT_SCHEMES"
        )
    if "@" in parts.netloc:
        raise ImportRefused(f"an address with a password may not be read: {parts.scheme}://...@{parts.hostname}")
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
        found = system.glob(inside) if "*" in uri else system.find(inside, maxdepth=None)
        names = sorted(str(one) for one in found if system.isfile(one))
    if not names or len(names) > LISTED_MOST:
        raise ImportRefused(f"{uri} stands for {len(names)} files; name between 1 and {LISTED_MOST}")
    return [str(system.unstrip_protocol(one)) for one in names]


def blocks_of_uri(uri: str, rules: RemoteRules) -> Iterator[bytes]:
    """The content of a file, a block at a time.

    Raises:
        ImportRefused: the rules do not allow it, it cannot be read, or it is larger than allowed.
    """
    refuse_uri(uri, rules)
    read = 0
    with _explained(uri), _opened(uri, rules) as file:
        while block := file.read(BLOCK_BYTES):
            read += len(block)
            if read > rules.max_bytes:
                raise ImportRefused(
                    f"{uri} has more than the {rules.max_bytes // 1_000_000} MB allowed; ask whoever runs the server "
                    "to raise FCNLAB_IMPORT_MAX_MB"
                )
            yield block
        if getattr(file, "length", None):  # what a web server announced and did not send
            raise ValueError("its end is missing")


def _opened(uri: str, rules: RemoteRules) -> BinaryIO:
    if urlsplit(uri).scheme.lower() in WEB:
        request = urllib.request.Request(uri, headers={"User-Agent": "fcnlab"})
        return cast(BinaryIO, _opener(rules).open(request, timeout=TIMEOUT_S))
    import fsspec

    return cast(BinaryIO, fsspec.open(uri, "rb").open())


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    try:
        yield
    except ImportError as failure:
        scheme = urlsplit(uri).scheme.lower()
        package = PACKAGES.get(scheme, str(failure.name or "a package"))
        raise ImportRefused(f"{uri} needs the package {package}: pip install {package}") from failure
    except urllib.error.HTTPError as failure:
        raise ImportRefused(f"{uri} cannot be read ({failure.code} {failure.reason}); check the address") from failure
    except (OSError, http.client.HTTPException, ValueError) as failure:
        reason = getattr(failure, "reason", None) or failure
        if isinstance(reason, _Private):
            raise ImportRefused(
                f"{uri} leads into a private network, which may not be read; ask whoever runs the server about "
                "FCNLAB_IMPORT_PRIVATE"
            ) from failure
        cause = " ".join(str(reason).split())[:200] or type(failure).__name__
        raise ImportRefused(f"{uri} cannot be read ({cause}); check the address") from failure


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


def _opener(rules: RemoteRules) -> urllib.request.OpenerDirector:
    """What opens web addresses: every connection and every redirection is held to the rules; no proxy stands between.

    The address is judged after connecting and before anything is sent, so that no name can stand for a public address
    first and for a private one then.
    """

    def connect(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        sock = socket.create_connection(address, *args, **options)
        if not rules.allows_private and not _is_public(sock.getpeername()[0]):
            sock.close()
            raise _Private(address[0])
        return sock

    class Plain(http.client.HTTPConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class Secure(http.client.HTTPSConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

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
        PlainHandler(),
        SecureHandler(),
        Redirections(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _is_public(address: str) -> bool:
    known = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(known, "ipv4_mapped", None)
    return (mapped or known).is_global and not known.is_multicast
