"""Debian's Firefox without a window, driven by WebDriver BiDi (W3C), which it speaks by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Firefox:
    """One tab of a running Firefox."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.n_sent = 0
        self.send("session.new", capabilities={})
        self.tab: str = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **params: Any) -> Any:
        """Give a command; its result. Events that come before it are passed over.

        Raises:
            RuntimeError: Firefox refused it.
        """
        self.n_sent += 1
        self.connection.send(json.dumps({"id": self.n_sent, "method": method, "params": params}))
        while True:
            answer = json.loads(self.connection.recv(timeout=60))
            if answer.get("id") == self.n_sent:
                break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    def open(self, address: str, *, width: int = 1280, height: int = 800) -> None:
        """Load a page in a window of this size."""
        self.send("browsingContext.setViewport", context=self.tab, viewport={"width": width, "height": height})
        self.send("browsingContext.navigate", context=self.tab, url=address, wait="interactive")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page: text, a number, a truth value or nothing."""
        result = self.send("script.evaluate", expression=expression, target={"context": self.tab}, awaitPromise=True)
        if result["type"] == "exception":
            raise RuntimeError(f"{expression}: {result['exceptionDetails']['text']}")
        return result["result"].get("value")

    def wait_for(self, expression: str, *, seconds: float = 60) -> Any:
        """Wait until an expression is true on the page; its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"in Firefox this never came true: {expression}"
            time.sleep(0.1)
        return value

    def click(self, x: float, y: float) -> None:
        """Press and release the left button at a place of the window, in CSS pixels."""
        steps = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        source = {"type": "pointer", "id": "mouse", "actions": steps}
        self.send("input.performActions", context=self.tab, actions=[source])

    def press(self, key: str) -> None:
        """Press and release a key."""
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.send("input.performActions", context=self.tab, actions=[{"type": "key", "id": "keys", "actions": steps}])


def firefox_path() -> str | None:
    """The program, where it is installed. Other packages of Firefox may see no folders but the user's."""
    return shutil.which("firefox-esr")


@contextmanager
def running_firefox(folder: Path) -> Iterator[Firefox]:
    """A Firefox with a new profile, which saves what it downloads without asking, in `folder / "downloads"`."""
    profile, downloads = folder / "profile", folder / "downloads"
    profile.mkdir(parents=True)
    downloads.mkdir()
    settings = {
        "browser.download.folderList": 2,
        "browser.download.dir": str(downloads),
        "browser.download.useDownloadDir": True,
        "browser.download.always_ask_before_handling_new_types": False,
        "app.normandy.enabled": False,
        "app.update.enabled": False,
        "datareporting.policy.dataSubmissionEnabled": False,
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
    (profile / "user.js").write_text("\n".join(lines))
    path = firefox_path()
    assert path is not None
    command = [path, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port=0"]
    log = profile / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        address = _listening_at(process, log)
        with connect(f"{address}/session", max_size=None) as connection:
            yield Firefox(connection)
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening_at(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where a Firefox takes commands, as it says itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if said := LISTENS.search(log.read_text(errors="replace")):
            return said[1]
        time.sleep(0.1)
    raise RuntimeError(f"Firefox did not start:\n{log.read_text(errors='replace')[-3000:]}")
