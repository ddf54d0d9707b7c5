"""The wheel alone is fcnlab: built, installed in a fresh environment, and used from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCES = ("fcnlab", "pages", "docs", ".streamlit", "app.py", "server.py", "setup.py", "pyproject.toml")
TEXTS = ("README.md", "LICENSE", "THIRD_PARTY.md")
READY_S = 120.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing an earlier build left gets in."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*SOURCES, *TEXTS):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)])
    return next((copy / "dist").glob("fcnlab-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel, and with the libraries of this one."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    programs = home / "bin"
    _run([sys.executable, "-m", "pip", "--python", str(home), "install", "--no-deps", "--no-index", str(wheel)])
    libraries = next((home / "lib").glob("python*/site-packages"))
    # Behind the wheel's own folder on the path, and without running the .pth file that leads to this checkout.
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def environment_of(data_dir: Path) -> dict[str, str]:
    strangers = ("FCNLAB_", "STREAMLIT_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
    return {**kept, "FCNLAB_DATA_DIR": str(data_dir), "FCNLAB_DEVICE": "cpu"}


def test_the_wheel_carries_what_the_checkout_runs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    outside = {f"fcnlab/webapp/{file}" for file in ("app.py", "server.py", ".streamlit/config.toml")}
    outside |= {f"fcnlab/webapp/{file}" for file in ("LICENSE", "THIRD_PARTY.md")}
    outside |= {f"fcnlab/webapp/docs/{manual.name}" for manual in (ROOT / "docs").glob("*.md")}
    pages = {f"fcnlab/webapp/pages/{page.name}" for page in (ROOT / "pages").glob("*.py")}
    inside = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fcnlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert (outside | pages | inside) - names == set()
    assert not any(name.startswith("tests/") or name.endswith("setup.py") for name in names)
    assert not any("/adr/" in name or "/design/" in name for name in names), "these are for those who change it"


def test_the_wheel_is_what_gets_imported(installed: Path, empty: Path, tmp_path: Path) -> None:
    code = "import fcnlab, pathlib; print(pathlib.Path(fcnlab.__file__).parent)"

    found = _run([str(installed / "python"), "-c", code], cwd=empty, environment=environment_of(tmp_path))

    assert Path(found.strip()).is_relative_to(installed.parent)


def test_the_help_of_every_page_comes_along(installed: Path, empty: Path, tmp_path: Path) -> None:
    code = (
        "from fcnlab.web.help.manuals import PAGES, whole_of\n"
        "print([len(whole_of(part)) for help in PAGES.values() for part in (help.lead, *help.more)])\n"
    )

    lengths = json.loads(_run([str(installed / "python"), "-c", code], cwd=empty, environment=environment_of(tmp_path)))

    assert min(lengths) > 100


def test_doctor_finds_the_installation_sound(installed: Path, empty: Path, tmp_path: Path) -> None:
    environment = environment_of(tmp_path / "data")

    answer = json.loads(_run([str(installed / "fcnlab"), "doctor", "--json"], cwd=empty, environment=environment))

    assert answer["sound"], answer
    assert any(str(installed.parent) in check["details"] for check in answer["checks"]), "pages of another installation"


def test_pictures_are_imported(installed: Path, empty: Path, tmp_path: Path) -> None:
    import skimage.data

    coffee = Path(skimage.data.__file__).with_name("coffee.png")
    program, environment = str(installed / "fcnlab"), environment_of(tmp_path / "data")

    command = [program, "import", "--json", "--project", "Cups", str(coffee)]
    answer = json.loads(_run(command, cwd=empty, environment=environment))

    assert (answer["imported"], answer["refused"]) == (1, [])
    assert list(empty.iterdir()) == []


def test_the_app_serves_its_page_its_canvas_and_its_routes(installed: Path, empty: Path, tmp_path: Path) -> None:
    port = _free_port()
    command = [str(installed / "fcnlab"), "app", "--no-open", "--port", str(port)]
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=empty, env=environment_of(tmp_path / "data"), stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/_stcore/health", server, log)

        assert _get(f"{url}/")[0] == 200
        assets = ROOT / "fcnlab" / "web" / "canvas" / "assets"
        for asset in ("canvas.js", "canvas.css", "tools/keys.js"):
            answer = _get(f"{url}/_stcore/bidi-components/fcnlab.workspace/{asset}")
            assert answer == (200, (assets / asset).read_bytes()), asset
        status, text = _get(f"{url}/fcnlab/nobody-has-this-key/strip")
        assert (status, b"was deleted" in text) == (410, True)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def _run(command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise AssertionError(f"the server did not answer:\n{log.read_text(errors='replace')}")


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as failure:
        return failure.code, failure.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
