"""Who may talk to a server: by which names, from which pages, with which token; and what every answer carries."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from fcnlab.access import AccessRules, FrontDoor, access_rules, is_private, page_rules, page_settings
from fcnlab.errors import InvalidSetting
from fcnlab.settings import Settings, load_settings

TOKEN = "open-sesame-42"
ADDRESSES = ("/", "/train", "/_stcore/upload_file/s/f", "/media/x.png", "/component/c/index.html", "/fcnlab/k/image/1")
HERE = "localhost:8501"


async def heard(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "host": request.headers["host"]})


async def broken(_request: Request) -> Response:
    raise RuntimeError("secret detail of /home/somebody")


async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


def client(rules: AccessRules | None = None, *, base_url: str = f"http://{HERE}") -> TestClient:
    """The front door before an application that answers everywhere."""
    routes = [
        Route("/broken", broken),
        WebSocketRoute("/_stcore/stream", stream),
        Route("/{path:path}", heard, methods=["GET", "PUT", "POST"]),
    ]
    door = Middleware(
        FrontDoor,
        rules=rules or page_rules(Settings()),
        policy=lambda _path: "frame-ancestors 'self'",
        pages=frozenset({"train", "label"}),
    )
    return TestClient(Starlette(routes=routes, middleware=[door]), base_url=base_url, follow_redirects=False)


def connects(to: TestClient, **headers: str) -> bool:
    try:
        with to.websocket_connect(f"ws://{HERE}/_stcore/stream", headers=headers) as socket:
            return socket.receive_text() == "in"
    except WebSocketDisconnect:
        return False


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8501", None, 200),
        ("localhost:8501", "http://localhost:8501", 200),
        ("127.0.0.1:8501", "http://127.0.0.1:8501", 200),
        ("[::1]:8501", "http://[::1]:8501", 200),
        ("LOCALHOST.:8501", None, 200),
        ("rebind.example:8501", None, 403),
        ("rebind.example:8501", "http://rebind.example:8501", 403),
        ("192.168.1.7:8501", None, 403),
        ("localhost.rebind.example:8501", None, 403),
        ("localhost:8501@rebind.example", None, 403),
        ("", None, 403),
        ("localhost:8501", "http://localhost:9999", 403),
        ("localhost:8501", "http://localhost", 403),
        ("localhost:8501", "https://rebind.example", 403),
        ("localhost:8501", "http://127.0.0.1:8501", 403),
        ("localhost:8501", "null", 403),
        ("localhost:8501", "file://", 403),
        ("localhost:8501", "chrome-extension://localhost:8501", 403),
        ("localhost:8501", "", 403),
    ],
)
def test_only_pages_of_this_server_get_an_answer_and_only_by_its_name(
    address: str, method: str, host: str, origin: str | None, status: int
) -> None:
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})

    answer = client().request(method, address, headers=headers)

    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("host", "origin", "is_in"),
    [
        ("localhost:8501", "http://localhost:8501", True),
        ("rebind.example:8501", "http://rebind.example:8501", False),
        ("localhost:8501", "http://localhost:3000", False),
        ("localhost:8501", "null", False),
    ],
)
def test_the_socket_is_guarded_as_the_pages_are(host: str, origin: str, is_in: bool) -> None:
    assert connects(client(), Host=host, Origin=origin) is is_in


@pytest.mark.parametrize(
    ("allowed", "host", "origin", "status"),
    [
        ("label.example.org", "label.example.org", "https://label.example.org", 200),
        ("label.example.org", "127.0.0.1:8501", "https://label.example.org", 200),
        ("label.example.org", "127.0.0.1:8501", "https://label.example.org:444", 403),
        ("label.example.org:8443", "label.example.org", "https://label.example.org:8443", 200),
        ("label.example.org:8443", "label.example.org:8443", "https://label.example.org:8443", 200),
        ('["a.example", "label.example.org"]', "label.example.org", None, 200),
        ("a.example, label.example.org", "label.example.org", None, 200),
        ("*.example.org", "label.example.org", "https://label.example.org", 200),
        ("*.example.org", "127.0.0.1:8501", "https://label.example.org", 403),
        ("*.example.org", "example.org.evil.example", None, 403),
        ("label.example.org", "other.example.org", None, 403),
        ("*", "anything.example", "http://anything.example", 200),
        ("*", "anything.example", "http://other.example", 403),
    ],
)
def test_names_behind_a_proxy_are_those_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, allowed: str, host: str, origin: str | None, status: int
) -> None:
    monkeypatch.setenv("FCNLAB_ALLOWED_HOSTS", allowed)
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})

    answer = client(page_rules(load_settings())).get("/", headers=headers)

    assert answer.status_code == status, answer.text
    if origin and status == 200:  # what Streamlit compares once more
        assert answer.json()["host"] == origin.partition("//")[2]


@pytest.mark.parametrize("name", ["http://label.example.org", "a b", "label.example.org/x", "host:port"])
def test_a_setting_that_names_no_host_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match="FCNLAB_ALLOWED_HOSTS"):
        access_rules(Settings(allowed_hosts=(name,)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example.org", ""])
def test_nobody_listens_beyond_this_machine_without_saying_who_may_come(host: str) -> None:
    with pytest.raises(InvalidSetting, match=r"FCNLAB_ACCESS_TOKEN .*FCNLAB_OPEN=true") as refused:
        page_rules(Settings(host=host))

    assert "\n" not in str(refused.value)
    assert page_rules(Settings(host=host, open=True)).token == ""
    assert page_rules(Settings(host=host, access_token=TOKEN)).token == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_this_machine_alone_needs_no_setting(host: str) -> None:
    assert host in page_rules(Settings(host=host)).hosts


@pytest.mark.parametrize(
    ("changes", "is_readable"),
    [
        ({}, True),
        ({"host": "0.0.0.0", "open": True}, False),
        ({"access_token": "a long secret"}, False),
        ({"allowed_hosts": ("label.example.org",)}, False),
        ({"open": True}, False),
    ],
)
def test_the_home_folder_may_be_imported_from_where_only_this_machine_reaches_the_pages(
    changes: dict[str, Any], is_readable: bool
) -> None:
    settings = Settings(**changes)
    roots = page_settings(settings, listens_on=settings.host).import_roots

    assert roots == ((Path.home(),) if is_readable else ())


def test_folders_that_were_set_are_all_that_may_be_imported_from() -> None:
    assert page_settings(Settings(import_roots=()), listens_on="127.0.0.1").import_roots == ()
    chosen = Settings(import_roots=(Path("/data"),))
    assert page_settings(chosen, listens_on="127.0.0.1").import_roots == (Path("/data"),)
    assert page_settings(Settings(), listens_on="").import_roots == ()


@pytest.mark.parametrize(
    ("address", "changes", "private"),
    [
        ("127.0.0.1", {}, True),
        ("localhost", {}, True),
        ("::1", {}, True),
        ("0.0.0.0", {}, False),
        ("", {}, False),
        ("192.168.1.5", {}, False),
        ("127.0.0.1", {"allowed_hosts": ("label.example.org",)}, False),
        ("127.0.0.1", {"access_token": "a long secret"}, False),
        ("127.0.0.1", {"open": True}, False),
    ],
)
def test_only_where_nobody_comes_from_elsewhere_may_pages_show_paths(
    address: str, changes: dict[str, Any], private: bool
) -> None:
    assert is_private(Settings(**changes), listens_on=address) == private


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="FCNLAB_ACCESS_TOKEN"):
        page_rules(Settings(access_token="abc"))


def test_beyond_this_machine_an_address_is_as_good_as_a_name_for_no_page_can_take_one() -> None:
    served = client(page_rules(Settings(host="0.0.0.0", open=True)))

    assert served.get("/", headers={"Host": "192.168.1.7:8501"}).status_code == 200
    assert served.get("/", headers={"Host": "rebind.example:8501"}).status_code == 403


def guarded() -> TestClient:
    return client(page_rules(Settings(access_token=TOKEN)))


@pytest.mark.parametrize("address", [one for one in ADDRESSES if one != "/"])
def test_without_the_token_nothing_is_answered(address: str) -> None:
    for shown in ({}, {"Cookie": f"fcnlab={TOKEN}; fcnlab_access={TOKEN}"}, {"Authorization": "Bearer wrong"}):
        assert guarded().get(address, headers=shown).status_code == 401
        assert guarded().put(address, headers=shown).status_code == 401
    assert not connects(guarded(), Origin=f"http://{HERE}")
    assert guarded().get("/_stcore/health").status_code == 200


def test_a_browser_is_asked_for_the_token_and_goes_where_it_wanted_to() -> None:
    browser = guarded()

    asked = browser.get("/train?project=3", headers={"Accept": "text/html"})
    wrong = browser.post("/fcnlab/login", data={"token": "wrong", "next": "/train?project=3"})
    right = browser.post("/fcnlab/login", data={"token": TOKEN, "next": "/train?project=3"})

    assert asked.status_code == wrong.status_code == 401
    assert 'value="/train?project=3"' in asked.text
    assert 'role="alert"' in wrong.text
    assert (right.status_code, right.headers["location"]) == (303, "/train?project=3")
    assert browser.get("/fcnlab/k/image/1").status_code == 200
    assert connects(browser, Origin=f"http://{HERE}")


def test_an_address_may_bring_the_token_and_does_not_keep_it() -> None:
    browser = guarded()

    entered = browser.get(f"/train?project=3&token={TOKEN}")

    assert (entered.status_code, entered.headers["location"]) == (303, "/train?project=3")
    assert browser.get("/").status_code == 200
    assert guarded().get("/?token=wrong").status_code == 401


def test_the_cookie_is_for_this_site_alone_and_is_not_the_token() -> None:
    cookie = guarded().get(f"/?token={TOKEN}").headers["set-cookie"]

    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    assert TOKEN not in cookie


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_the_login_leads_to_no_other_site(wanted: str) -> None:
    answer = guarded().post("/fcnlab/login", data={"token": TOKEN, "next": wanted})

    assert answer.headers["location"] == "/"


def test_what_was_wanted_is_no_html_on_the_login_page() -> None:
    page = guarded().get('/?x="><script>alert(1)</script>', headers={"Accept": "text/html"}).text

    assert "<script" not in page


@pytest.mark.parametrize("address", ["/", "/broken", "/_stcore/metrics", "/nowhere", "/_stcore/health"])
@pytest.mark.parametrize("host", [HERE, "rebind.example"])
def test_every_answer_carries_the_headers(address: str, host: str) -> None:
    for served in (client(), guarded()):
        headers = served.get(address, headers={"Host": host}).headers

        assert "frame-ancestors" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("page", ["", "/train"])
@pytest.mark.parametrize("address", ["/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/agent/mcp"])
def test_what_is_for_operators_is_closed(page: str, address: str) -> None:
    assert client().get(page + address).status_code == 404


@pytest.mark.parametrize("address", ["/_stcore/health", "/_stcore/host-config"])
def test_what_streamlit_asks_for_below_a_page_is_answered_as_at_the_top(address: str) -> None:
    assert client().get(f"/train{address}").json()["path"] == address
    assert client().get(f"/nowhere{address}").json()["path"] == f"/nowhere{address}"


def test_an_unexplained_failure_gives_the_browser_an_id_and_the_log_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client().get("/broken")

    error_id = answer.text.partition("(error ")[2].partition(")")[0]
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert error_id
    record = next(one for one in caplog.records if error_id in one.getMessage())
    assert record.exc_info is not None
    assert "secret detail" in str(record.exc_info[1])
