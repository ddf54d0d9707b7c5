"""The command line, from outside."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import fcnlab
from fcnlab.cli import main
from fcnlab.commands.app import THEME, server_command
from fcnlab.core.tiling import large
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import open_lab
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.settings import Settings
from fcnlab.webapp_files import server_script
from tests.support.paths import ROOT

POINTS = ((60, 115, 1), (127, 165, 1), (20, 30, 0), (140, 15, 0))
TABLE = "image,row,col,class\n" + "".join(
    f"cat.png,{row},{col},{['background', 'cat'][class_id]}\n" for row, col, class_id in POINTS
)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    return tmp_path / "data"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two small photographs in a folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, shown in (("cat.png", skimage.data.chelsea()), ("coffee.png", skimage.data.coffee())):
        Image.fromarray(shown[::2, ::2]).save(folder / name)
    return folder


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def answer_of(*arguments: object, code: int = 0) -> Any:
    return json.loads(call(*arguments, "--json", code=code).stdout)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(text)
    return path


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.parametrize("large_pixels", [large.LARGE_PIXELS, 1000])
def test_app_command_line_and_segmenter_give_the_same_mask(
    data: Path, pictures: Path, tmp_path: Path, large_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "LARGE_PIXELS", large_pixels)
    call("import", "-p", "cats", "--classes", "background,cat", pictures)
    call("points", "import", "-p", "cats", table(tmp_path, TABLE))
    checkpoint = answer_of("fit", "-p", "cats")["checkpoint"]
    files = [pictures / "cat.png", pictures / "coffee.png"]
    call("predict", "--model", checkpoint, "-o", tmp_path / "by_model", *files)
    call("predict", "-p", "cats", "-o", tmp_path / "by_project", *files)
    call("export", "-p", "cats", "-o", tmp_path / "out.zip", "-f", "index")
    segmenter = PointSegmenter(["background", "cat"], device="cpu", **LearnerSpec().to_dict())
    rows, cols, class_ids = zip(*POINTS, strict=True)
    known = {file.stem: segmenter.add_image(read(file)) for file in files}
    segmenter.add_points(known["cat"], rows, cols, class_ids)
    segmenter.fit()
    lab = open_lab(Settings(data_dir=data, device="cpu"))
    learner = ProjectLearner(lab, PictureStore(lab), project_id=1)
    learner.refresh()
    source = learner.source()

    for image in projects.images(lab, project_id=1):
        stem = Path(image.name).stem
        with zipfile.ZipFile(tmp_path / "out.zip") as file:
            exported = np.array(Image.open(io.BytesIO(file.read(f"masks/{stem}.png"))))
        assert 0 < exported.mean() < 1
        assert np.array_equal(predicted_mask(learner, image, source), exported)
        assert np.array_equal(read(tmp_path / "by_model" / f"{stem}.png"), exported)
        assert np.array_equal(read(tmp_path / "by_project" / f"{stem}.png"), exported)
        assert np.array_equal(segmenter.predict(known[stem]), exported)
    lab.close()


def test_the_background_of_a_project_is_said_and_changed(data: Path) -> None:
    land = ["--classes", "forest,road,None"]
    call("projects", "create", "land", *land, "--background", "road")
    call("projects", "create", "bare", *land)
    call("projects", "create", "none", "--classes", "forest,road", "--background", "none")

    told = {one["name"]: one["background"] for one in json.loads(call("projects", "list", "--json").stdout)}
    assert told == {"land": 1, "bare": 2, "none": None}, "a class may be called none"
    assert "road is the background" in call("projects", "background", "-p", "land").stdout
    assert "no background" in call("projects", "background", "-p", "none", "none").stdout
    call("projects", "background", "-p", "none", "FOREST")
    refused = call("projects", "background", "-p", "none", "sea", code=1)
    assert "no class is called 'sea'" in refused.output
    assert json.loads(call("projects", "background", "-p", "none", "--json").stdout)["background"] == "forest"
    counting = call("projects", "create", "cells", "--counts", "--classes", "round,long", code=1)
    assert "counts needs a class for what is no object" in counting.output


def test_points_go_out_and_in_again_unchanged(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", "--classes", "background,cat", pictures)
    call("points", "import", "-p", "cats", "--labeller", "ann", table(tmp_path, TABLE))
    call("points", "export", "-p", "cats", tmp_path / "first.csv")
    call("import", "-p", "again", "--classes", "background,cat", pictures)

    assert answer_of("points", "import", "-p", "again", tmp_path / "first.csv") == {
        "project": 2,
        "added": 4,
        "known": 0,
    }
    assert answer_of("points", "import", "-p", "again", tmp_path / "first.csv") == {
        "project": 2,
        "added": 0,
        "known": 4,
    }

    call("points", "export", "-p", "again", tmp_path / "second.csv")
    tables = []
    for name in ("first.csv", "second.csv"):
        with (tmp_path / name).open(newline="") as file:
            tables.append([{**row, "created_at": ""} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert {row["labeller"] for row in tables[0]} == {"ann"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat.png,5000,1,cat", "line 3: row 5000, column 1 is outside"),
        ("cat.png,-1,1,cat", "line 3: row -1"),
        ("cat.png,1.5,1,cat", "line 3: row '1.5' is no whole number"),
        ("dog.png,1,1,cat", "line 3: the project has no image 'dog.png'"),
        ("cat.png,1,1,dog", "line 3: the project has no class 'dog'"),
        ("cat.png,1,1", "line 3: 3 values"),
    ],
)
def test_a_wrong_line_is_named_and_no_point_is_added(
    data: Path, pictures: Path, tmp_path: Path, line: str, message: str
) -> None:
    call("import", "-p", "cats", "--classes", "background,cat", pictures)

    result = call(
        "points", "import", "-p", "cats", table(tmp_path, f"image,row,col,class\ncat.png,1,1,cat\n{line}\n"), code=1
    )

    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert answer_of("projects", "list")[0]["points"] == 0


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_without_commas_is_called_that(
    data: Path, pictures: Path, tmp_path: Path, mark: str, word: str
) -> None:
    call("import", "-p", "cats", pictures)

    result = call("points", "import", "-p", "cats", table(tmp_path, TABLE.replace(",", mark)), code=1)

    assert word in result.stderr


def test_a_table_of_points_is_named_once(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", "--classes", "background,cat", pictures)
    call("points", "import", "-p", "cats", table(tmp_path, TABLE))

    call("points", "export", "-p", "cats", tmp_path / "as_argument.csv")
    call("points", "export", "-p", "cats", "-o", tmp_path / "as_option.csv")
    call("points", "export", "-p", "cats", code=2)

    assert (tmp_path / "as_option.csv").read_bytes() == (tmp_path / "as_argument.csv").read_bytes()


def test_a_table_with_an_unknown_column_is_refused(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", pictures)

    result = call("points", "import", "-p", "cats", table(tmp_path, "image,row,col,class,labeler\n"), code=1)

    assert "labeler" in result.stderr


def test_what_cannot_be_imported_is_named_and_the_rest_is_in(data: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.png").write_bytes(b"nonsense")

    result = answer_of("import", "-p", "cats", pictures, tmp_path / "nowhere.png", code=1)

    assert (result["imported"], result["known"]) == (2, 0)
    assert [one["name"] for one in result["refused"]] == ["broken.png", "nowhere.png"]
    assert answer_of("projects", "list")[0]["images"] == 2


def test_archives_and_patterns_are_imported(data: Path, pictures: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(pictures.iterdir()):
            archive.write(path, f"packed/{path.name}")
        archive.writestr("../out.png", b"no")

    packed = answer_of("import", "-p", "packed", tmp_path / "all.zip", code=1)
    patterned = answer_of("import", "-p", "patterned", f"{pictures}/*.png", "https://example.org/a.png", code=1)

    assert (packed["imported"], [one["name"] for one in packed["refused"]]) == (2, ["out.png"])
    assert (patterned["imported"], [one["name"] for one in patterned["refused"]]) == (2, ["https://example.org/a.png"])


def test_channels_and_limits_are_set_and_told(data: Path, pictures: Path) -> None:
    call("import", "-p", "cats", pictures)

    changed = answer_of("projects", "imaging", "-p", "cats", "--channels", "3,2,1", "--limits", "0:200")
    absent = call("projects", "imaging", "-p", "cats", "--channels", "9", code=1)
    told = call("projects", "imaging", "-p", "cats").stdout
    wrong = call("projects", "imaging", "-p", "cats", "--limits", "9:1", code=1)
    reset = answer_of("projects", "imaging", "-p", "cats", "--reset")

    assert (changed["channels"], changed["limits"]) == ([3, 2, 1], [[0, 200]])
    assert (changed["images"], changed["fitting"]) == (2, 2)
    assert "no image" in absent.stderr
    assert told == "'cats': channels 3,2,1; limits 0:200\n"
    assert len(wrong.stderr.splitlines()) == 1
    assert (reset["channels"], reset["limits"]) == ([], [])


def test_what_cannot_be_predicted_is_named_and_the_rest_is_there(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", "--classes", "background,cat", pictures)
    call("points", "import", "-p", "cats", table(tmp_path, TABLE))

    result = call("predict", "-p", "cats", "-o", tmp_path / "out", tmp_path / "no.png", pictures / "cat.png", code=1)

    assert "no.png" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cat.png"]


def test_failures_are_one_line_and_usage_errors_differ(data: Path, tmp_path: Path) -> None:
    for command in (["fit", "-p", "x"], ["export", "-p", "x", "-o", tmp_path / "x.zip"]):
        result = call(*command, code=1)
        assert result.stderr.startswith("Error: there is no project 'x'")
        assert len(result.stderr.splitlines()) == 1
    call("predict", "-o", tmp_path, "a.png", code=2)
    call("nonsense", code=2)
    call("predict", "--model", tmp_path / "none.safetensors", "-o", tmp_path, "a.png", code=1)


def test_nothing_to_learn_from_is_explained(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", pictures)

    assert "two classes" in call("fit", "-p", "cats", code=1).stderr
    assert "two classes" in call("export", "-p", "cats", "-o", tmp_path / "x.zip", code=1).stderr
    assert not (tmp_path / "x.zip").exists()


def test_fit_tells_where_the_model_is_and_how_good(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", "--classes", "background,cat", pictures)
    call("points", "import", "-p", "cats", table(tmp_path, TABLE))

    told = answer_of("fit", "-p", "cats")

    assert Path(told["checkpoint"]).is_file()
    assert (told["points"], told["training_accuracy"]) == (4, 1.0)
    assert answer_of("fit", "-p", "cats")["checkpoint"] == told["checkpoint"]

    copy = tmp_path / "new" / "cats.safetensors"
    assert answer_of("fit", "-p", "cats", "--output", copy)["checkpoint"] == str(copy)
    assert copy.read_bytes() == Path(told["checkpoint"]).read_bytes()


def test_doctor_measures_a_click_part_by_part_and_leaves_the_installation_alone(data: Path) -> None:
    before = answer_of("projects", "list")
    told = answer_of("doctor", "--click")

    assert {"store", "read", "fit", "walk", "publish"} <= set(told["spans"])
    assert all(took >= 0 for took in told["spans"].values())
    assert 0 < sum(told["spans"].values()) <= 1.5 * told["total"]
    assert told["clicks"] > 0
    assert answer_of("projects", "list") == before


def test_doctor_finds_a_sound_installation_and_a_broken_one(data: Path, tmp_path: Path) -> None:
    assert answer_of("doctor")["sound"]
    blocked = tmp_path / "file"
    blocked.write_text("")

    told = json.loads(call("--data-dir", blocked / "inside", "doctor", "--json", code=1).stdout)

    assert {one["name"] for one in told["checks"] if not one["sound"]} == {"data folder", "database"}


def test_a_backup_is_written(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", pictures)

    call("backup", tmp_path / "backup.zip")

    with zipfile.ZipFile(tmp_path / "backup.zip") as file:
        assert "lab.db" in file.namelist()


def test_leftovers_are_reported_and_swept(data: Path) -> None:
    assert answer_of("doctor")["sound"]
    orphan = data / "images" / "ab" / f"ab{'0' * 62}.png"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(bytes(2_500_000))

    told = {one["name"]: one for one in answer_of("doctor", code=1)["checks"]}["leftovers"]
    assert not told["sound"]
    assert "2.5 MB" in told["details"]
    assert "--sweep" in told["details"]

    assert answer_of("doctor", "--sweep")["sound"]
    assert not orphan.exists()


def test_a_backup_is_restored_in_place_of_what_is_there(data: Path, pictures: Path, tmp_path: Path) -> None:
    call("import", "-p", "cats", pictures)
    call("backup", tmp_path / "backup.zip")
    call("import", "-p", "dogs", pictures)

    told = call("restore", tmp_path / "backup.zip")

    assert "before-restore-" in told.stderr
    assert [one["name"] for one in answer_of("projects", "list")] == ["cats"]
    assert answer_of("doctor")["sound"]
    (tmp_path / "backup.zip").write_bytes(b"no archive")
    refused = call("restore", tmp_path / "backup.zip", code=1)
    assert "nothing was changed" in refused.stderr


def test_the_server_starts_as_it_has_to() -> None:
    command = " ".join(server_command("127.0.0.1", 8599))

    assert server_script().is_file()
    for part in ("--server.port 8599", "postScriptGC false", "gatherUsageStats false", "fileWatcherType none"):
        assert part in command


def test_the_command_line_starts_without_heavy_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fcnlab", "--help"], capture_output=True, text=True, check=True
    )

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "numpy", "streamlit", "sqlalchemy", "pydantic"}
    for command in ("app", "import", "points", "fit", "predict", "export", "simulate", "doctor", "backup", "projects"):
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


def test_the_version_is_told() -> None:
    done = subprocess.run([sys.executable, "-m", "fcnlab", "--version"], capture_output=True, text=True, check=True)

    assert fcnlab.__version__ in done.stdout


def test_errors_of_a_process_go_to_standard_error(data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fcnlab", "fit", "-p", "x"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")


def test_however_the_application_is_started_it_has_the_same_colours() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    found = {f"{kind}.{name}": colour for kind in ("light", "dark") for name, colour in config["theme"][kind].items()}

    assert found == THEME
