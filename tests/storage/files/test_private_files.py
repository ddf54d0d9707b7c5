"""An installation is for its owner alone, and one that was not becomes so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fcnlab.lab import open_lab
from fcnlab.services.installation.backup import backup
from fcnlab.services.installation.diagnostics import examine
from fcnlab.services.installation.tokens import api_token
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of files are those of POSIX")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_installation_and_its_backup_are_for_their_owner_alone(settings: Settings, tmp_path: Path) -> None:
    lab = open_lab(settings)
    create_project(lab, name="a")
    api_token(lab)
    written = backup(lab, tmp_path / "backup.zip")

    names = ("lab.db", "lab.db-wal", "lab.db-shm", "api-token")
    assert {mode(lab.data_dir / name) for name in names} == {0o600}
    assert mode(lab.data_dir) == 0o700
    assert mode(written) == 0o600
    lab.close()


def test_an_installation_that_was_open_to_others_is_reported_and_tightened_at_the_next_start(
    settings: Settings,
) -> None:
    lab = open_lab(settings)
    api_token(lab)
    lab.close()
    copy = lab.data_dir / "lab.before-0004-from-0003.db"
    copy.write_bytes(b"an old database")
    paths = [lab.data_dir / name for name in ("lab.db", "api-token", copy.name)]
    lab.data_dir.chmod(0o755)
    for path in paths:
        path.chmod(0o644)

    told = {check.name: check for check in examine(settings)}["permissions"]
    assert not told.is_sound
    assert "0755" in told.details
    assert "0644" in told.details

    open_lab(settings).close()
    assert {mode(path) for path in paths} == {0o600}
    assert mode(lab.data_dir) == 0o700
    assert {check.name: check for check in examine(settings)}["permissions"].is_sound
