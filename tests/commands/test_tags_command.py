"""`fcnlab tags`, from outside: answers in, tables out, predictions, and images chosen for other commands."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fcnlab.cli import main
from tests.support.tag_bench import PhotoSite, photo

P = ("--project", "Reef")
N_IMAGES = 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of photos, of even numbers with a bar."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(N_IMAGES):
        (photos / f"{number}.png").write_bytes(photo(number, bar=PhotoSite.has_bar(number)))
    call("import", *P, "--classes", "sand,bar", photos)
    return tmp_path


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def values_of(*arguments: object) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def answered(folder: Path, n: int = 4) -> None:
    path = folder / "in.csv"
    words = [f"{number}.png,{'yes' if PhotoSite.has_bar(number) else 'no'}" for number in range(n)]
    path.write_text("\n".join(["image,bar", *words]) + "\n")
    call("tags", "import", *P, path, "--labeller", "ann")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_answers_are_set_listed_and_taken_back(folder: Path) -> None:
    assert values_of("tags", "set", *P, "0.png", "bar=yes", "sand=no")["changed"] == 2
    listed = values_of("tags", "list", *P)

    assert {each["name"]: (each["yes"], each["no"], each["unknown"]) for each in listed["classes"]} == {
        "sand": (0, 1, 7),
        "bar": (1, 0, 7),
    }
    assert listed["images"][0]["tags"]["bar"]["source"] == "answered"
    assert call("tags", "list", *P, "--tag", "bar").stdout == "0.png\n"

    assert values_of("tags", "set", *P, "0.png", "bar=unknown")["changed"] == 1
    assert call("tags", "list", *P, "--tag", "bar").stdout == ""


def test_points_say_yes_and_a_contradiction_is_told(folder: Path) -> None:
    points = folder / "points.csv"
    points.write_text("image,row,col,class\n3.png,4,5,bar\n")
    call("points", "import", *P, points)

    said = call("tags", "set", *P, "3.png", "bar=no", "--labeller", "ann").stdout

    assert "3.png, bar: ann answered no, its points say yes" in said
    assert "1 contradictions" in call("tags", "list", *P).stdout
    assert values_of("tags", "list", *P)["contradictions"] == [{"image": "3.png", "class": "bar"}]


def test_what_nobody_answered_is_predicted_and_chosen_by(folder: Path) -> None:
    assert "Nothing can be suggested yet" in call("tags", "suggest", *P).stdout
    answered(folder)

    told = values_of("tags", "suggest", *P)
    likely = {each["image"] for each in told["images"] if each["probabilities"].get("bar", 0) >= 0.5}

    assert likely == {"4.png", "6.png"}
    assert told["classes"] == ["bar"]
    assert told["next"] in {f"{number}.png" for number in range(4, 8)}
    assert call("tags", "list", *P, "--tag", "bar=likely").stdout.split() == ["0.png", "2.png", "4.png", "6.png"]
    lines = call("tags", "suggest", *P, "--count", 2).stdout.splitlines()
    assert lines[3] == "and 2 more images: see --count"


def test_suggestions_are_scored_on_what_was_answered(folder: Path) -> None:
    assert "answer at least two images" in call("tags", "score", *P, code=1).stderr
    answered(folder, N_IMAGES)

    (told,) = values_of("tags", "score", *P, "--level", 0.8)["classes"]
    lines = call("tags", "score", *P).stdout.splitlines()

    assert (told["name"], told["yes"], told["no"]) == ("bar", 4, 4)
    assert told["average_precision"]["low"] <= told["average_precision"]["value"] <= 1
    assert lines[0].startswith("8 images, 90 % intervals")
    assert [line.split()[0] for line in lines[1:4]] == ["class", "bar", "mean"]


def test_tags_go_out_and_come_back(folder: Path) -> None:
    answered(folder)
    for name, arguments in {
        "tags.csv": ("--probabilities",),
        "tags.json": ("--format", "coco"),
        "lists": ("--format", "yolo", "--class", "bar"),
    }.items():
        call("tags", "export", *P, "-o", folder / name, *arguments)

    table = rows_of(folder / "tags.csv")
    assert [row["bar"] for row in table] == ["yes", "no", "yes", "no", "", "", "", ""]
    assert float(table[4]["p(bar)"]) > 0.5 > float(table[5]["p(bar)"])
    assert len(json.loads((folder / "tags.json").read_text())["annotations"]) == 2
    assert sorted(path.name for path in (folder / "lists/labels").iterdir()) == [f"{n}.txt" for n in range(4)]
    again = values_of("tags", "import", *P, folder / "tags.csv", "--dry-run")
    assert (again["changed"], again["same"], again["problems"]) == (0, 4, [])


def test_an_import_that_would_overwrite_says_what_and_waits_to_be_asked(folder: Path) -> None:
    answered(folder)
    path = folder / "other.csv"
    path.write_text("image,bar\n0.png,no\n")

    tried = call("tags", "import", *P, path, "--dry-run").stdout
    refused = call("tags", "import", *P, path, code=1).stderr

    assert "1 answers would be overwritten" in tried
    assert "line 2: 0.png, bar: ann answered yes, the table says no" in refused
    assert "--overwrite" in call("tags", "import", "--help").stdout
    call("tags", "import", *P, path, "--overwrite", "--labeller", "bob")
    assert values_of("tags", "list", *P)["images"][0]["tags"]["bar"]["labeller"] == "bob"


def test_a_dry_run_tells_every_line_that_is_wrong(folder: Path) -> None:
    path = folder / "wrong.csv"
    path.write_text("image,bar\nnowhere.png,yes\n0.png,perhaps\n")

    tried = call("tags", "import", *P, path, "--dry-run", code=1)

    assert "line 2" in tried.stdout
    assert "line 3" in tried.stdout
    assert values_of("tags", "list", *P)["classes"][1]["answered"] == 0


def test_surveys_trainings_and_exports_take_the_images_that_tags_choose(folder: Path) -> None:
    answered(folder)
    points = folder / "points.csv"
    lines = [f"{n}.png,{row},3,{name}" for n in range(4) for row, name in ((2, "sand"), (9, "bar"))]
    points.write_text("\n".join(["image,row,col,class", *lines]) + "\n")

    survey = values_of("survey", "plan", *P, "-n", 50, "--points", 3, "--tag", "bar=no", "odd ones")
    assert survey["points"] == 6

    call("points", "import", *P, points)
    call("export", *P, "-o", folder / "masks.zip", "--tag", "bar", "--tag", "sand")
    with zipfile.ZipFile(folder / "masks.zip") as file:
        exported = {Path(name).stem for name in file.namelist() if name.endswith(".png")}
    assert exported == {"0", "2"}, "of 1 and 3 somebody said that no bar is there"
    for command in (("export", "-o", folder / "none.zip"), ("train",), ("survey", "plan", "-n", 2, "none")):
        refused = call(*command, *P, "--tag", "sand=no", code=1)
        assert "has these tags" in refused.stderr
    assert not (folder / "none.zip").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "0.png", "bar"),
        ("set", "0.png", "fish=yes"),
        ("set", "nowhere.png", "bar=yes"),
        ("list", "--tag", "fish"),
        ("export", "-o", "x.csv", "--class", "fish"),
        ("import", "nowhere.csv"),
    ],
)
def test_what_cannot_be_is_one_explained_line(folder: Path, arguments: tuple[str, ...]) -> None:
    failed = call("tags", arguments[0], *P, *arguments[1:], code=1)

    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1
