"""Tags out to files and back in: what is written is what was said, and nothing is overwritten unasked."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import ExportFailed, InvalidTag
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects import projects
from fcnlab.services.tags.answering import set_tags
from fcnlab.services.tags.exporting import tag_files, write_tag_files
from fcnlab.services.tags.importing import import_tags, plan_import
from fcnlab.services.tags.reading import tags_of
from fcnlab.services.tags.suggestions import TagSuggestions
from fcnlab.storage.formats.tags.registry import tag_formats
from tests.support.tag_bench import CELL, GROUND, N, PhotoSite, TagBench, Y, photo


@pytest.fixture
def bench(lab: Lab) -> TagBench:
    """Images: cells, answered; none, answered; cells by a point; nothing known."""
    bench = TagBench(lab)
    bench.say({(0, CELL): Y, (1, CELL): N, (0, GROUND): Y, (1, GROUND): Y})
    bench.tab(2).add(3, 4, CELL)
    return bench


def table(bench: TagBench, tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "tags.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_a_table_holds_what_is_said_and_nothing_where_nobody_knows(bench: TagBench) -> None:
    (data,) = tag_files(bench.tags(), format_name="csv").files.values()

    assert rows(data) == [
        {"image": "00000.png", "background": "yes", "cell": "yes"},
        {"image": "00001.png", "background": "yes", "cell": "no"},
        {"image": "00002.png", "background": "", "cell": "yes"},
        {"image": "00003.png", "background": "", "cell": ""},
    ]


def test_answers_alone_leave_out_what_labels_say(bench: TagBench) -> None:
    (data,) = tag_files(bench.tags(), format_name="csv", answered_only=True).files.values()

    assert rows(data)[2] == {"image": "00002.png", "background": "", "cell": ""}


def test_a_table_that_was_exported_says_the_same_in_another_installation(
    bench: TagBench, lab: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "tags.csv"
    write_tag_files(tag_files(bench.tags(), format_name="csv"), path)
    copy = TagBench(lab, name="copy")

    import_tags(lab, path, project_id=copy.project_id, labeller="bob")

    assert (copy.tags().answered == bench.tags().values).all()
    again = import_tags(lab, path, project_id=copy.project_id, labeller="carl")
    assert (again.changes, again.n_same) == ((), 5)
    assert copy.state(0, CELL).labeller == "bob", "an answer that is there already stays whose it was"


def test_classes_whose_names_look_like_formulas_or_headings_come_back(lab: Lab, tmp_path: Path) -> None:
    bench = TagBench(lab)
    for class_id, name in ((GROUND, "=SUM(A1)"), (CELL, "image")):
        (label,) = [each for each in bench.tags().classes if each.id == class_id]
        projects.edit_class(lab, project_id=bench.project_id, label=replace(label, name=name))
    bench.say({(0, GROUND): Y, (1, CELL): N})
    path = tmp_path / "tags.csv"
    write_tag_files(tag_files(bench.tags(), format_name="csv"), path)

    plan = plan_import(lab, path, project_id=bench.project_id)

    assert (plan.problems, plan.changes, plan.n_same) == ((), (), 2)


def test_a_table_comes_back_whatever_its_classes_are_called(lab: Lab, tmp_path: Path) -> None:
    names = [
        "image",
        "image (class)",
        "x",
        "p(x)",
        "class p(x)",
        "p(p(x))",
        "x) (class",
        "p(image)",
        "Image",
        "p(x) (class)",
    ]
    project = projects.create_project(lab, name="odd", labels=projects.labels_of(names))
    (step,) = import_files(lab, [("a.png", photo(1, bar=True))], project_id=project.id)
    for number, label in enumerate(project.classes):
        changes = [TagChange(step.image_id or 0, label.id, Y if number % 2 else N)]
        set_tags(lab, changes, project_id=project.id, labeller="ann")
    tags = tags_of(lab, project_id=project.id)
    features = np.ones((1, len(names)), np.float32) / 2
    suggestions = TagSuggestions((step.image_id or 0,), tags.class_ids, features, 1)
    path = tmp_path / "tags.csv"

    for chosen in (None, *([label.id] for label in project.classes)):
        for given in (None, suggestions):
            written = tag_files(tags, format_name="csv", class_ids=chosen, suggestions=given)
            write_tag_files(written, path)
            plan = plan_import(lab, path, project_id=project.id)
            assert (plan.problems, plan.changes, plan.n_same) == ((), (), len(chosen or names))


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("1", "0"), ("TRUE", "False"), ("1.0", " 0.0 ")])
def test_yes_and_no_are_written_in_several_ways(bench: TagBench, tmp_path: Path, yes: str, no: str) -> None:
    path = table(bench, tmp_path, "image,cell,p(cell)", f"00002.png,{no},0.3", f"00003.png,{yes},", "00001.png,,")

    plan = import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob")

    assert (plan.n_new, plan.n_empty) == (2, 1)
    assert (bench.state(2, CELL).answer, bench.state(3, CELL).answer) == (N, Y)
    assert [(each.image, each.line) for each in plan.against_labels] == [("00002.png", 2)]
    assert bench.state(2, CELL).is_contradicted, "its point says that a cell is there"


def test_other_answers_are_told_and_kept_until_overwriting_is_asked_for(bench: TagBench, tmp_path: Path) -> None:
    path = table(bench, tmp_path, "image,cell", "00000.png,no", "00003.png,yes")

    with pytest.raises(InvalidTag, match=r"line 2: 00000.png, cell: ann answered yes, the table says no.*overwriting"):
        import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob")
    assert bench.state(0, CELL).answer is Y
    assert bench.state(3, CELL).answer is None, "nothing was stored"

    import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob", overwrite=True)

    assert (bench.state(0, CELL).answer, bench.state(0, CELL).labeller) == (N, "bob")


@pytest.mark.parametrize("meanwhile", [Y, N])
def test_what_changed_since_a_table_was_looked_through_is_not_overwritten(
    bench: TagBench, tmp_path: Path, meanwhile: TagAnswer
) -> None:
    path = table(bench, tmp_path, "image,cell", "00000.png,no", "00003.png,yes")
    shown = plan_import(bench.lab, path, project_id=bench.project_id)
    bench.say({(3, CELL): meanwhile}, who="carl")

    with pytest.raises(InvalidTag, match="answers changed since"):
        import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob", overwrite=True, shown=shown)
    with pytest.raises(InvalidTag, match="answers changed since"):
        set_tags(bench.lab, shown.changes, project_id=bench.project_id, labeller="bob", expected=shown.before)
    assert (bench.state(0, CELL).answer, bench.state(3, CELL).answer) == (Y, meanwhile)
    assert (bench.state(0, CELL).labeller, bench.state(3, CELL).labeller) == ("ann", "carl")

    again = plan_import(bench.lab, path, project_id=bench.project_id)
    import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob", overwrite=True, shown=again)
    assert (bench.state(0, CELL).answer, bench.state(3, CELL).answer) == (N, Y)


def test_whatever_is_wrong_is_told_with_its_line_and_nothing_is_stored(bench: TagBench, tmp_path: Path) -> None:
    path = table(
        bench,
        tmp_path,
        "image,cell,fish",
        "00003.png,yes,",
        "nowhere.png,yes,",
        "00000.png,perhaps,",
        "00003.png,no,",
    )

    plan = plan_import(bench.lab, path, project_id=bench.project_id)
    with pytest.raises(InvalidTag, match="nothing was stored"):
        import_tags(bench.lab, path, project_id=bench.project_id, labeller="bob", overwrite=True)

    assert [problem.split(":")[0] for problem in plan.problems] == ["line 1", "line 3", "line 4", "line 5"]
    assert "'fish'" in plan.problems[0]
    assert "nowhere.png" in plan.problems[1]
    assert bench.state(3, CELL).answer is None


def test_images_are_meant_by_their_name_or_by_a_file_name_that_one_of_them_has(lab: Lab, tmp_path: Path) -> None:
    site = PhotoSite(lab, n_images=0, said=0)
    names = ("a.png", "north/b.png", "north/c.png", "south/c.png")
    files = [(name, photo(seed, bar=False)) for seed, name in enumerate(names)]
    images = [step.image_id for step in import_files(lab, files, project_id=site.project.id)]

    def planned(name: str) -> tuple[list[int], tuple[str, ...]]:
        path = tmp_path / "tags.csv"
        path.write_text(f"image,bar\n{name},yes\n", encoding="utf-8")
        plan = plan_import(lab, path, project_id=site.project.id)
        return [change.image_id for change in plan.changes], plan.problems

    meant = {"a.png": 0, "north/b.png": 1, "b.png": 1, "north/c.png": 2, "south/c.png": 3}
    for name, number in meant.items():
        assert planned(name) == ([images[number]], ())
    for name in ("a", "a.jpg", "A.png", "a_mask.png", "b", "south/b.png", "c.png", "north/a.png"):
        changed, (problem,) = planned(name)
        assert changed == []
        assert problem.startswith("line 2: ")
        assert repr(name) in problem


@pytest.mark.parametrize("text", ["", "name,cell\na,yes\n", "image;cell\na;yes\n", "image,cell\n", "image,cell\na\n"])
def test_what_is_no_table_of_tags_is_explained(bench: TagBench, tmp_path: Path, text: str) -> None:
    path = tmp_path / "tags.csv"
    path.write_text(text)

    with pytest.raises(InvalidTag):
        plan_import(bench.lab, path, project_id=bench.project_id)


def test_coco_tells_present_absent_and_unknown_apart(bench: TagBench) -> None:
    (data,) = tag_files(bench.tags(), format_name="coco").files.values()
    values = json.loads(data)
    ids = {category["name"]: category["id"] for category in values["categories"]}

    present = {(each["image_id"], each["category_id"]) for each in values["annotations"]}
    absent = {(image["id"], category) for image in values["images"] for category in image["neg_category_ids"]}

    assert present == {(1, ids["background"]), (1, ids["cell"]), (2, ids["background"]), (3, ids["cell"])}
    assert absent == {(2, ids["cell"])}
    assert [image["file_name"] for image in values["images"]][3] == "00003.png"
    assert (values["images"][0]["height"], values["images"][0]["width"]) == (40, 70)
    assert len({each["id"] for each in values["annotations"]}) == 4
    assert min(ids.values()) == 1, "some tools lose a category 0"


def test_yolo_lists_hold_images_all_classes_of_which_are_known(bench: TagBench, tmp_path: Path) -> None:
    written = tag_files(bench.tags(), format_name="yolo")
    write_tag_files(written, tmp_path / "lists")
    write_tag_files(written, tmp_path / "lists.zip")

    assert written.left_out == ("00002.png", "00003.png")
    assert (tmp_path / "lists/classes.txt").read_text() == "background\ncell\n"
    assert (tmp_path / "lists/labels/00000.txt").read_text() == "0\n1\n"
    assert (tmp_path / "lists/labels/00001.txt").read_text() == "0\n"
    with zipfile.ZipFile(tmp_path / "lists.zip") as file:
        assert sorted(file.namelist()) == ["classes.txt", "labels/00000.txt", "labels/00001.txt"]
    cells = tag_files(bench.tags(), format_name="yolo", class_ids=[CELL])
    assert cells.files["labels/00001.txt"] == b""
    assert cells.files["labels/00002.txt"] == b"0\n"


def test_files_are_written_whole_and_folders_not_overwritten(bench: TagBench, tmp_path: Path) -> None:
    written = tag_files(bench.tags(), format_name="yolo")
    write_tag_files(written, tmp_path / "lists")
    before = {path: path.read_bytes() for path in (tmp_path / "lists").rglob("*.txt")}

    for to in (tmp_path / "lists", tmp_path / "lists.csv"):
        with pytest.raises(ExportFailed):
            write_tag_files(written, to)
    with pytest.raises(ExportFailed):
        write_tag_files(tag_files(bench.tags(), format_name="csv"), tmp_path / "lists")

    assert {path: path.read_bytes() for path in (tmp_path / "lists").rglob("*.txt")} == before
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("data")) == ["lists"]


def test_images_that_differ_in_their_ending_alone_make_no_lists(lab: Lab) -> None:
    tags = tags_of(lab, project_id=TagBench(lab, n_images=1).project_id)
    image = tags.images[0]
    twin = type(image)(image.id + 1, "00000.jpg", image.picture, image.hw, image.state, image.is_complete, 0)
    answered = tags.answered.repeat(2, axis=0) * 0
    doubled = type(tags)(tags.project, (image, twin), answered, answered - 1, tags.answers, tags.labels, tags.revision)

    with pytest.raises(ExportFailed, match=r"00000\.png and 00000\.jpg"):
        tag_files(doubled, format_name="yolo")


def test_an_export_of_nothing_is_explained(bench: TagBench) -> None:
    tags = bench.tags()

    for wrong in ({"format_name": "gif"}, {"class_ids": [99]}, {"class_ids": []}, {"image_ids": []}):
        with pytest.raises(ExportFailed):
            tag_files(tags, **{"format_name": "csv", **wrong})  # type: ignore[arg-type]
    unknown = tags_of(bench.lab, project_id=TagBench(bench.lab, name="empty").project_id)
    with pytest.raises(ExportFailed, match="cannot say unknown"):
        tag_files(unknown, format_name="yolo")


def test_every_format_is_written_and_named_once(bench: TagBench) -> None:
    set_tags(bench.lab, [TagChange(bench.images[3], CELL, Y)], project_id=bench.project_id, labeller="ann")
    assert list(tag_formats()) == ["csv", "coco", "yolo"]
    for name in tag_formats():
        assert tag_files(bench.tags(), format_name=name).packed()[1]
