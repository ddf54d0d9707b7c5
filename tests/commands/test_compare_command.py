"""`fcnlab compare`, from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fcnlab.cli import main
from fcnlab.domain.network import NetworkName
from fcnlab.lab import open_lab
from fcnlab.services.comparing.comparisons import best_in_words, comparison_status, comparisons, too_short
from fcnlab.services.training import worker
from fcnlab.settings import Settings
from tests.support.bars import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The installation of the commands, with a project `bars` that has points in six images."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    site = Site(open_lab(Settings()), 6)
    for number in range(6):
        site.click(number)
    yield site
    site.lab.close()


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_comparing_tells_its_progress_and_ends_in_a_table_that_the_file_and_the_database_agree_with(
    site: Site, tmp_path: Path
) -> None:
    file = tmp_path / "out.json"

    result = call(
        *("compare", "-p", "bars", "--networks", "fcn32s:bilinear, sliding-dense", "--minutes", 0.01),
        *("--holdout", 0.34, "--json", file),
    )

    values = json.loads(file.read_text())
    (found,) = comparisons(site.lab, project_id=site.project.id)
    participants = comparison_status(site.lab, comparison_id=found.id).participants
    titles = ["Instant learner", "FCN-32s, bilinear", "Sliding window, at once"]
    assert [one["title"] for one in values["participants"]] == titles
    assert [one.measured.to_dict() for one in participants if one.measured] == [
        one["measured"] for one in values["participants"]
    ]
    assert all(any(line.startswith(title) for line in result.stdout.splitlines()) for title in titles)
    status = comparison_status(site.lab, comparison_id=found.id)
    assert best_in_words(status) in result.stdout
    assert "did best: " in best_in_words(status)
    assert too_short(status) in result.stdout
    assert " clicks: labellers click where the mask is wrong, so this is rather too low" in result.stdout
    assert "epoch 1  fcn32s  loss" in result.stderr


def test_a_network_or_upsampling_nobody_knows_is_refused(site: Site) -> None:
    assert "no network 'fcn64s'" in call("compare", "-p", "bars", "--networks", "fcn64s", code=1).stderr
    assert "'cubic' is none of" in call("compare", "-p", "bars", "--networks", "fcn8s:cubic", code=1).stderr
    assert comparisons(site.lab, project_id=site.project.id) == ()


def test_ctrl_c_ends_the_comparison(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "fine_tune", interrupted)

    result = call("compare", "-p", "bars", "--networks", f"unet,{NetworkName.FCN2S}", "--no-instant", code=130)

    assert "Stopped" in result.stderr
    assert result.stdout.count("cancelled") == 2
