"""`fcnlab projects learner`, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fcnlab.cli import main
from fcnlab.domain.project import LearnerSpec
from tests.support.encoder_files import SMALL, random_file

DEFAULT = LearnerSpec().to_dict()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a project."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    call("projects", "create", "cells")
    return tmp_path / "data"


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def told(*arguments: object, code: int = 0) -> dict[str, Any]:
    """The settings as JSON, without those that name the project."""
    values = json.loads(call("projects", "learner", "-p", "cells", "--json", *arguments, code=code).stdout)
    assert (values.pop("project"), values.pop("name")) == (1, "cells")
    assert isinstance(values, dict)
    return values


def test_without_options_the_settings_are_shown_and_stay() -> None:
    shown = call("projects", "learner", "-p", "cells").stdout

    assert "encoder tf_efficientnet_lite0, weights its usual ones, scales 1, 0.5" in shown
    assert "input size 1536, resolution auto" in shown
    assert told() == DEFAULT


def test_what_is_named_changes_and_the_rest_stays() -> None:
    switches = ("--object-mode", "--no-refine", "--no-position")

    first = told("--working-size", 512, "--resolution", 2, *switches)
    second = told("--scales", "2,1", "--resolution", "none", "--refine")

    changed = {"working_side": 512, "resolution": 2.0, "object_mode": True, "refine": False, "position": False}
    assert first == {**DEFAULT, **changed}
    assert second == {**first, "scales": [2.0, 1.0], "resolution": None, "refine": True}
    assert told() == second
    assert told("--reset", "--no-position") == {**DEFAULT, "position": False}


def test_a_weight_file_is_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = random_file(tmp_path)
    monkeypatch.chdir(tmp_path)

    stored = told("--encoder", SMALL, "--encoder-weights", file.name)

    assert (stored["encoder"], stored["encoder_weights"]) == (SMALL, str(file))
    assert str(file) in call("projects", "learner", "-p", "cells").stdout
    assert told("--encoder", DEFAULT["encoder"]) == DEFAULT


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--encoder", "resnet81"), "did you mean resnet18"),
        (("--encoder-weights", "nowhere.pth"), "there is no weight file"),
        (("--scales", "1,0.3"), "is no fraction"),
        (("--working-size", 1), "must be between 64 and 8192"),
        (("--resolution", 1000), "must be 1 to 64 pixels"),
    ],
)
def test_what_cannot_work_is_one_line_and_changes_nothing(options: tuple[object, ...], words: str) -> None:
    before = told("--scales", "0.5")

    refused = call("projects", "learner", "-p", "cells", "--no-refine", *options, code=1)

    assert words in refused.output
    assert len(refused.output.splitlines()) == 1
    assert told() == before


@pytest.mark.parametrize("options", [("--scales", "half"), ("--resolution", "fine"), ("--working-size", "x")])
def test_what_is_no_number_is_wrong_usage(options: tuple[str, str]) -> None:
    call("projects", "learner", "-p", "cells", *options, code=2)

    assert told() == DEFAULT
