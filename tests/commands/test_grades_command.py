"""`fcnlab projects grades`, from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fcnlab.cli import main


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a project."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    call("projects", "create", "reef", "--classes", "bare,dense,sparse")
    return tmp_path / "data"


def call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def grades(*arguments: str) -> list[str]:
    told: list[str] = json.loads(call("projects", "grades", "-p", "reef", "--json", *arguments).stdout)["grades"]
    return told


def test_grades_are_named_in_their_order_shown_and_taken_away() -> None:
    assert grades() == []
    assert grades("bare", "Sparse", "dense") == ["bare", "sparse", "dense"]
    assert grades() == ["bare", "sparse", "dense"]
    assert "bare < sparse < dense" in call("projects", "grades", "-p", "reef").stdout
    assert grades("--none") == []


def test_what_cannot_be_grades_is_refused_and_they_stay() -> None:
    grades("bare", "dense")

    assert "no class is called 'lush'" in call("projects", "grades", "-p", "reef", "bare", "lush", code=1).output
    assert "at least two" in call("projects", "grades", "-p", "reef", "bare", code=1).output
    call("projects", "grades", "-p", "reef", "bare", "--none", code=2)
    assert grades() == ["bare", "dense"]
