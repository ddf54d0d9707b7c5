"""`fcnlab serve` as somebody starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from click.testing import CliRunner

from fcnlab.cli import main
from fcnlab.lab import open_lab
from fcnlab.services.installation.tokens import TOKEN_FILE, api_token, label_studio_path
from fcnlab.settings import Settings


def test_the_service_answers_whoever_shows_the_token_it_names(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fcnlab", "--data-dir", str(tmp_path), "serve", "--port", str(port)]
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stderr=said, env={**os.environ, "FCNLAB_DEMO": "false"})
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "UP"
                break
            except httpx.TransportError:
                assert process.poll() is None, (tmp_path / "said.txt").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        said_text = (tmp_path / "said.txt").read_text()
        token = (tmp_path / TOKEN_FILE).read_text().strip()
        assert str(tmp_path / TOKEN_FILE) in said_text
        assert token not in said_text
        assert label_studio_path(token) not in said_text
        address = f"http://127.0.0.1:{port}/api/v1/projects"
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"Authorization": f"Bearer {token}"}).json() == []
    finally:
        process.terminate()
        process.wait(20)


def test_without_a_token_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--data-dir", str(tmp_path), "serve", "--no-token", "--host", "0.0.0.0"])

    assert done.exit_code == 1
    assert "--no-token" in done.output


def test_the_address_for_label_studio_is_printed_when_asked_for_and_never_at_the_start(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--data-dir", str(tmp_path), "serve", "--address"])

    lab = open_lab(Settings(data_dir=tmp_path, demo=False))
    token = api_token(lab)
    secret = label_studio_path(token)
    lab.close()
    assert done.output.strip() == f"http://127.0.0.1:8502{secret}"
    assert token not in done.output
