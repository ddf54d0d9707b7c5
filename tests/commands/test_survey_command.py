"""`fcnlab survey`, from outside: points out, answers in, cover of the classes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fcnlab.cli import main
from tests.support.bars import scene

NAMES = ("flat/a.png", "flat/b.png", "flat/c.png", "slope/d.png", "slope/e.png", "slope/f.png")
P = ("--project", "Reef")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of six images in two folders."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    for number, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scene(number))
    call("import", *P, "--classes", "sand,coral", tmp_path / "photos")
    return tmp_path


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def values_of(*arguments: object) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def filled_in(folder: Path, table: Path, *, unknown: int = 0) -> Path:
    """The table as somebody would answer it who looks at the images; the last ones are "don't know"."""
    rows = rows_of(table)
    for row in rows:
        pixels = np.asarray(Image.open(next((folder / "photos").rglob(Path(row["image"]).name))))
        row["class"] = "coral" if pixels[int(row["row"]), int(row["col"]), 0] > 100 else "sand"
    for row in rows[len(rows) - unknown :]:
        row["class"] = "?"
    path = table.with_name("answers.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def planned(folder: Path, *more: object) -> Path:
    table = folder / "points.csv"
    call("survey", "plan", *P, "-n", 2, "--strata", "flat|slope", "--points", 20, *more, "-o", table, "cover")
    return table


def test_a_survey_goes_from_its_plan_to_the_cover_of_its_classes(folder: Path) -> None:
    table = planned(folder)
    rows = rows_of(table)
    assert len(rows) == 80
    assert {row["class"] for row in rows} == {""}
    assert {row["stratum"] for row in rows} == {"flat", "slope"}

    call("survey", "answer", *P, "cover", filled_in(folder, table, unknown=5), "--labeller", "ann")
    report = values_of("survey", "report", *P, "cover")

    best = report["total"]["estimates"][report["total"]["best"]]
    assert report["total"]["best"] == "from_answers"
    assert sum(each["share"] for each in best["classes"]) == pytest.approx(1)
    assert (report["survey"]["answered"], report["survey"]["unknown"]) == (80, 5)
    shown = call("survey", "report", *P, "cover").output
    assert 'cover: 4 of 6 images, 75 answers, 5 "don\'t know" left out' in shown
    assert f"{100 * best['classes'][1]['share']:.1f} %" in shown
    assert "flat: 2 of 3 images" in shown
    as_class = call("survey", "report", *P, "--dont-know", "a class", "cover").output
    assert "don't know  " in as_class


def test_the_report_is_written_as_files(folder: Path) -> None:
    call("survey", "answer", *P, "cover", filled_in(folder, planned(folder)))
    files = {name: folder / "out" / name for name in ("cover.csv", "coralnet.csv", "cover.svg")}

    call(
        *("survey", "report", *P, "--csv", files["cover.csv"], "--coralnet", files["coralnet.csv"]),
        *("--svg", files["cover.svg"], "--stratum", "flat", "cover"),
    )

    assert len(rows_of(files["cover.csv"])) == 2 * (1 + 2 + 4)
    assert list(rows_of(files["coralnet.csv"])[0])[:2] == ["Image ID", "Image name"]
    assert ElementTree.parse(files["cover.svg"]).getroot().get("width") == "160mm"
    assert "goes with --svg" in call("survey", "report", *P, "--stratum", "flat", "cover", code=2).output


def test_an_answered_table_changes_nothing_the_second_time_and_the_points_come_out_again(folder: Path) -> None:
    answers = filled_in(folder, planned(folder), unknown=3)
    first = values_of("survey", "answer", *P, "cover", answers, "--labeller", "ann")
    again = values_of("survey", "answer", *P, "cover", answers, "--labeller", "bob")

    call("survey", "points", *P, "cover", "-o", folder / "again.csv")

    assert (first["changed"], again["changed"], again["passed_over"]) == (80, 0, 80)
    rows = rows_of(folder / "again.csv")
    assert {row["labeller"] for row in rows} == {"ann"}
    assert [row["class"] for row in rows] == [row["class"] for row in rows_of(answers)]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda lines: [*lines[:3], lines[3].replace(",,", ",algae,", 1), *lines[4:]], "line 4: no class is called"),
        (lambda lines: [*lines[:2], "x.png,1,2,sand,,,", *lines[2:]], "line 3: the survey does not ask about row 1"),
        (lambda lines: [*lines[:2], "x.png,-1,2,sand,,,", *lines[2:]], "line 3: row '-1' and col '2' are not both"),
        (lambda lines: [*lines[:2], "x.png,1", *lines[2:]], "line 3: 2 values, the header has 7"),
        (lambda lines: ["image,row,class", *lines[1:]], "line 1: the header lacks col"),
        (lambda lines: [lines[0].replace("stratum", "depth"), *lines[1:]], "line 1: the column 'depth' is unknown"),
        (lambda lines: [lines[0].replace(",", ";")], "line 1: semicolons separate"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_no_answer_stored(folder: Path, edit: Any, reason: str) -> None:
    table = planned(folder)
    lines = table.read_text("utf-8").splitlines()
    lines[1] = lines[1].replace(",,", ",sand,", 1)
    table.write_text("\n".join(edit(lines)), "utf-8")

    refused = call("survey", "answer", *P, "cover", table, code=1)

    assert reason in " ".join(refused.output.split())
    assert values_of("survey", "list", *P)[0]["answered"] == 0


def test_the_last_line_about_a_point_counts(folder: Path) -> None:
    table = planned(folder)
    lines = table.read_text("utf-8").splitlines()
    image, row, col, *_ = lines[1].split(",")

    for classes in (("sand",), ("coral", "sand")):
        body = [f"{image},{row},{col},{name}" for name in classes]
        table.write_text("\n".join(["image,row,col,class", *body]), "utf-8")
        call("survey", "answer", *P, "cover", table)

    call("survey", "points", *P, "cover", "-o", table)
    assert rows_of(table)[0]["class"] == "sand"


def test_further_images_are_shared_out_and_asked_about(folder: Path) -> None:
    call("survey", "answer", *P, "cover", filled_in(folder, planned(folder)))

    told = values_of("survey", "more", *P, "-n", 1, "cover")
    assert values_of("survey", "list", *P)[0]["points"] == 80
    added = values_of("survey", "more", *P, "-n", 1, "--add", "--class", "Coral", "-o", folder / "more.csv", "cover")

    assert sum(stratum["more"] for stratum in told["strata"]) == 1
    assert all(then <= now for now, then in zip(told["widths"]["now"], told["widths"]["then"], strict=True))
    assert added["points"] == 100
    assert len(rows_of(folder / "more.csv")) == 100
    waiting = values_of("survey", "more", *P, "-n", 1, "--add", "cover")
    assert sum(stratum["waiting"] for stratum in waiting["strata"]) == 1
    assert "2 are left" in call("survey", "more", *P, "-n", 3, "cover", code=1).output


def test_predictions_correct_the_answers_and_answers_teach_once_the_survey_is_closed(folder: Path) -> None:
    clicks = folder / "clicks.csv"
    light = np.argwhere(np.asarray(Image.open(folder / "photos" / NAMES[0]))[..., 0] > 100)[::60]
    call("survey", "answer", *P, "cover", filled_in(folder, planned(folder)))
    assert "click pixels of two classes" in call("survey", "predict", *P, "cover", code=1).output
    names = {Path(row["image"]).name: row["image"] for row in rows_of(folder / "points.csv")}
    image = names.get("a.png", "flat/a.png")
    lines = [f"{image},{row},{col},coral" for row, col in light] + [f"{image},0,{col},sand" for col in range(0, 80, 9)]
    clicks.write_text("\n".join(["image,row,col,class", *lines]), "utf-8")
    call("points", "import", *P, clicks)

    predicted = values_of("survey", "predict", *P, "cover")
    report = values_of("survey", "report", *P, "cover")

    assert predicted["predicted_by"] == "instant learner"
    assert report["total"]["best"] == "corrected"
    assert "masks" in call("survey", "report", *P, "cover").output
    assert "close survey" in call("survey", "teach", *P, "cover", code=1).output
    call("survey", "close", *P, "cover")
    assert "is closed" in call("survey", "answer", *P, "cover", folder / "answers.csv", code=1).output
    call("survey", "reopen", *P, "cover")
    call("survey", "close", *P, "cover")
    assert values_of("survey", "teach", *P, "cover")["taught"] == 80
    assert "teach already" in call("survey", "reopen", *P, "cover", code=1).output
    call("survey", "delete", *P, "cover")
    assert "No surveys yet" in call("survey", "list", *P).output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-n", "many"), "write a number"),
        (("-n", "reef=2"), "there is no stratum 'reef'"),
        (("-n", 2, "--strata", "("), "no pattern for strata"),
        (("-n", 2, "--prior", "none"), "there is no prior 'none'"),
        (("-n", 2, "--level", 2), "intervals that hold the truth"),
        (("-n", 0), "at least one image"),
        (("-n", 2, "--points", 100_000), "at most 100,000 points"),
        (("-n", 2, "--points", 10_000), "cannot have 10000 points"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(folder: Path, options: tuple[object, ...], reason: str) -> None:
    refused = call("survey", "plan", *P, *options, "cover", code=1)

    assert reason in " ".join(refused.output.split())
    assert values_of("survey", "list", *P) == []


def test_strata_get_their_own_numbers_and_may_be_folders(folder: Path) -> None:
    plan = values_of("survey", "plan", *P, "-n", 1, "-n", "slope=3", "--strata", "flat|slope", "--prior", 2, "x")

    assert plan["n_images"] == {"flat": 1, "slope": 3}
    assert plan["prior"] == 2
    assert plan["points"] == 40
    folders = values_of("survey", "plan", *P, "-n", 1, "--strata", "folder", "y")
    assert len(folders["n_images"]) == 2
    assert "no survey 'z'" in call("survey", "report", *P, "z", code=1).output
