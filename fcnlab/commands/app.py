"""`fcnlab app`: the web application."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from types import FrameType

import click

from fcnlab.commands.common import say, settings_of
from fcnlab.errors import InvalidSetting

READY_TIMEOUT_S = 120.0
GIVEN_BACK_FROM_BYTES = 4_000_000
THEME = {
    "light.primaryColor": "#0072B2",
    "light.textColor": "#0B0C10",
    "light.redTextColor": "#B3261E",
    "light.orangeTextColor": "#8F4400",
    "light.yellowTextColor": "#6B4E00",
    "light.greenTextColor": "#14652F",
    "light.blueTextColor": "#0A4C86",
    "light.grayTextColor": "#565963",
    "light.codeTextColor": "#0B0C10",
    "dark.primaryColor": "#56B4E9",
    "dark.codeTextColor": "#EDEBE8",
}
"""Colours of the pages. Streamlit fades text to 60 %, and its colours of text on tinted ground are faint; with these
all reach the contrast of WCAG AA. The rest is in `web.frame.style`; `.streamlit/config.toml` has the same ones."""


@click.command()
@click.option("--host", help="Address to listen on, in place of FCNLAB_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, in place of FCNLAB_PORT.")
@click.option("--open/--no-open", "opens", default=None, help="Open a browser (default: where there is a desktop).")
@click.pass_context
def app(ctx: click.Context, host: str | None, port: int | None, opens: bool | None) -> None:
    """Start the web application."""
    given = {"host": host, "port": port}
    ctx.obj = {**(ctx.obj or {}), **{name: value for name, value in given.items() if value is not None}}
    settings = settings_of(ctx)
    from fcnlab.access import is_loopback, page_rules

    page_rules(settings)  # refuses before anything is started
    refuse_taken(settings.host, settings.port)
    is_local = is_loopback(settings.host)
    shown = "localhost" if is_local or settings.host in ("0.0.0.0", "::") else settings.host
    url = f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.port}"
    if settings.access_token:
        say("The first visit of each browser asks for FCNLAB_ACCESS_TOKEN.")
    elif not is_local:
        say(f"FCNLAB_OPEN is set: whoever reaches {settings.host}:{settings.port} may label, export and delete.")
    click.echo(f"fcnlab runs at {url} (data in {settings.data_dir}); stop it with Ctrl-C")
    environment = {
        **server_environment(),
        "FCNLAB_DATA_DIR": str(settings.data_dir.expanduser().absolute()),
        "FCNLAB_HOST": settings.host,
        "FCNLAB_PORT": str(settings.port),
    }
    process = subprocess.Popen(server_command(settings.host, settings.port), env=environment)
    if _has_desktop() if opens is None else opens:
        threading.Thread(target=_open_when_ready, args=(url, process), daemon=True).start()
    ctx.exit(_wait(process))


def server_environment() -> dict[str, str]:
    """The environment of the server process: that of this one, and a memory allocator that gives back.

    glibc keeps freed blocks of up to 32 MB for later, which with feature maps adds up to hundreds of megabytes;
    blocks above the threshold are returned at once, and new ones come in pages of 2 MB where the system has them, so
    that getting them again takes little. What the user has set stays.
    """
    return {
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(GIVEN_BACK_FROM_BYTES),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        **os.environ,
    }


def server_command(host: str, port: int) -> list[str]:
    """The command line of the server process."""
    from fcnlab.webapp_files import server_script

    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": "1024",
        "browser.gatherUsageStats": "false",
        "runner.postScriptGC": "false",  # a full collection after every click takes a quarter of a second
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        **{f"theme.{name}": colour for name, colour in THEME.items()},
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(server_script()), *flags]


def refuse_taken(host: str, port: int) -> None:
    """Raise InvalidSetting where no server can listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            raise InvalidSetting(
                f"cannot listen on {host}:{port} ({failure.strerror}); choose another with --host or --port"
            ) from failure


def _has_desktop() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _open_when_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
        else:
            webbrowser.open(url)
            return


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the server; whoever ends this process ends the server too."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        process.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    code = process.wait()
    return 0 if code in (-signal.SIGTERM, -signal.SIGINT) else code
