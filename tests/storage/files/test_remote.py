"""Laws of reading by URI: nothing without permission, nothing private, nothing without end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.files.remote import (
    RemoteRules,
    _is_public,
    blocks_of_uri,
    file_name,
    is_uri,
    listed,
    refuse_uri,
)

OPEN = RemoteRules(("http", "https", "file", "memory", "s3"), ("*",), True, 10_000_000)
DATA = bytes(range(256)) * 9000


class Predictions(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/a%20b.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(DATA)
        elif self.path == "/short.png":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")
        elif self.path == "/huge.png":
            self.send_response(200)
            self.send_header("Content-Length", str(10**12))
            self.end_headers()
        elif self.path.startswith("/drip"):
            if self.path == "/drip.png":
                self.send_response(200)
                self.end_headers()
            with suppress(OSError):  # until the other side has enough
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Predictions)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def rules(
    *, schemes: tuple[str, ...] = ("http",), hosts: tuple[str, ...] = ("*",), private: bool = True
) -> RemoteRules:
    return RemoteRules(schemes, hosts, private, 10_000_000)


def content(uri: str, allowed: RemoteRules = OPEN) -> bytes:
    return b"".join(blocks_of_uri(uri, allowed))


def test_a_web_address_is_read_in_blocks_and_redirections_are_followed(web: str) -> None:
    assert content(f"{web}/a%20b.png") == DATA
    assert content(f"{web}/to/{web}/a%20b.png") == DATA
    assert file_name(f"{web}/a%20b.png?size=9") == "a b.png"


@pytest.mark.parametrize(
    ("uri", "schemes", "hosts", "word"),
    [
        ("http://example.org/a.png", (), ("*",), "FCNLAB_IMPORT_SCHEMES"),
        ("http://example.org/a.png", ("https",), ("*",), "FCNLAB_IMPORT_SCHEMES"),
        ("file:///etc/passwd", ("https",), ("*",), "FCNLAB_IMPORT_SCHEMES"),
        ("https://example.org/a.png", ("https",), (), "FCNLAB_IMPORT_HOSTS"),
        ("https://example.org.evil.com/a.png", ("https",), ("example.org", "*.example.org"), "FCNLAB_IMPORT_HOSTS"),
        ("https://evilexample.org/a.png", ("https",), ("*.example.org",), "FCNLAB_IMPORT_HOSTS"),
        ("https://example.org@evil.com/a.png", ("https",), ("*",), "password"),
        ("zip://a.png::https://example.org/a.zip", ("zip", "https"), ("*",), "another file"),
        ("s3://other/a.png", ("s3",), ("bucket",), "FCNLAB_IMPORT_HOSTS"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_opened(
    uri: str, schemes: tuple[str, ...], hosts: tuple[str, ...], word: str
) -> None:
    with pytest.raises(ImportRefused, match=word):
        refuse_uri(uri, rules(schemes=schemes, hosts=hosts, private=False))


def test_hosts_are_allowed_by_name_or_by_ending() -> None:
    allowed = rules(schemes=("https",), hosts=("*.example.org", "example.com"))
    refused = []
    for host in ("a.example.org", "EXAMPLE.com", "example.com.", "example.org", "a.example.com", "example.com.net"):
        try:
            refuse_uri(f"https://{host}/x", allowed)
        except ImportRefused:
            refused.append(host)

    assert refused == ["example.org", "a.example.com", "example.com.net"]


def test_private_addresses_are_refused_whatever_they_are_called(web: str) -> None:
    port = web.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(ImportRefused, match=r"private network|cannot be read"):
            content(f"http://{host}:{port}/a%20b.png", rules(private=False))
    with pytest.raises(ImportRefused, match="FCNLAB_IMPORT_PRIVATE"):
        content(f"{web}/a%20b.png", rules(private=False))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://localhost:9/a.png"])
def test_a_redirection_is_held_to_the_same_rules(web: str, target: str) -> None:
    with pytest.raises(ImportRefused, match=r"FCNLAB_IMPORT_SCHEMES|FCNLAB_IMPORT_HOSTS|not allowed"):
        content(f"{web}/to/{target}", rules(hosts=("127.0.0.1",)))


def test_a_proxy_of_the_environment_is_not_asked(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert content(f"{web}/a%20b.png") == DATA


def test_a_file_larger_than_allowed_is_refused_when_it_gets_too_long(web: str) -> None:
    few = RemoteRules(("http",), ("*",), True, 1_500_000)
    blocks = blocks_of_uri(f"{web}/a%20b.png", few)

    assert len(next(blocks)) == 1 << 20
    with pytest.raises(ImportRefused, match="1 MB allowed"):
        next(blocks)


@pytest.mark.parametrize("path", ["missing.png", "short.png", "to/"])
def test_what_cannot_be_read_is_explained(web: str, path: str) -> None:
    with pytest.raises(ImportRefused, match=r"cannot be read|FCNLAB_IMPORT_SCHEMES"):
        content(f"{web}/{path}")


def test_a_host_that_does_not_answer_is_explained() -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        content("http://127.0.0.1:9/a.png")


def test_what_fsspec_opens_is_read_and_listed(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("b.png", "a.png", "deep/c.png"):
        memory.pipe(f"/photos/{name}", name.encode())
    (tmp_path / "d.png").write_bytes(b"d")

    assert listed("memory://photos/*.png", OPEN) == ["memory:///photos/a.png", "memory:///photos/b.png"]
    assert len(listed("memory://photos/", OPEN)) == 3
    assert content("memory://photos/a.png") == b"a.png"
    assert [content(one) for one in listed(f"file://{tmp_path}/*.png", OPEN)] == [b"d"]
    memory.rm("/photos", recursive=True)


@pytest.mark.parametrize("uri", ["memory://nowhere/*.png", "memory://nowhere/", "https://example.org/photos/"])
def test_what_cannot_be_listed_is_explained(uri: str) -> None:
    with pytest.raises(ImportRefused):
        listed(uri, OPEN)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ImportRefused, match="pip install s3fs"):
        content("s3://bucket/a.png")


def test_paths_are_no_addresses() -> None:
    assert is_uri("s3://bucket/a.png")
    assert not any(is_uri(text) for text in ("C:\\a.png", "C:/a.png", "/a/b.png", "a.png", "a//b", "://a"))


FORMS = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:7f00:1::",
    "2001:0:808:808:0:0:80ff:fffe",
    "fec0::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", FORMS)
def test_every_form_of_a_private_address_is_private(address: str) -> None:
    assert not _is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700::1"]
)
def test_every_form_of_a_public_address_is_public(address: str) -> None:
    assert _is_public(address)


def test_an_open_private_port_looks_like_a_closed_one(web: str) -> None:
    told = set()
    for port in (web.rpartition(":")[2], "9"):
        with pytest.raises(ImportRefused) as refused:
            content(f"http://127.0.0.1:{port}/a.png", rules(private=False))
        told.add(str(refused.value).replace(port, "PORT"))

    assert len(told) == 1


def test_a_name_is_looked_up_once(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, *args: Any, **options: Any) -> Any:
        looked_up.append(host)
        return real("127.0.0.1", *args, **options)

    monkeypatch.setattr("fcnlab.storage.files.remote.socket.getaddrinfo", lookup)

    with pytest.raises(ImportRefused, match="private network"):
        content(f"http://rebind.example:{web.rpartition(':')[2]}/a%20b.png", rules(private=False))
    assert looked_up == ["rebind.example"]


def test_a_server_somebody_named_may_be_private_and_no_other(web: str) -> None:
    named = RemoteRules((), (), False, 10_000_000, servers=frozenset({web.partition("//")[2]}), settings="FCNLAB_X")

    assert content(f"{web}/a%20b.png", named) == DATA
    for other in ("http://127.0.0.1:9/a.png", "http://169.254.169.254/a.png", f"{web}/to/http://127.0.0.1:9/a.png"):
        with pytest.raises(ImportRefused, match="FCNLAB_X_HOSTS"):
            content(other, named)


@pytest.mark.parametrize("path", ["drip.png", "drip-head.png"])
def test_a_fetch_ends_however_slowly_a_server_talks(web: str, path: str) -> None:
    hurried = RemoteRules(("http",), ("*",), True, 10_000_000, 0.6)

    with pytest.raises(ImportRefused, match=r"0\.6 s allowed"):
        content(f"{web}/{path}", hurried)


def test_a_file_that_says_it_is_too_large_is_not_begun(web: str) -> None:
    with pytest.raises(ImportRefused, match="allowed"):
        next(blocks_of_uri(f"{web}/huge.png", rules()))


def test_a_refusal_does_not_repeat_what_an_address_was_signed_with(web: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        content(f"{web}/missing.png?signature=secret")

    assert "secret" not in str(refused.value)
