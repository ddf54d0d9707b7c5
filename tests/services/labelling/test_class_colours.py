"""Colours of classes: each its own, wherever a class comes from, so that masks in colour can be read back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from fcnlab import read_labels, write_masks
from fcnlab.core.images.palette import class_colours
from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import InvalidClasses
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.projects import projects
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.tables import ClassRow
from tests.support.export_bench import Bench

CLIENT = "abcdefgh-1"


def colours_of(lab: Lab, project_id: int) -> list[str]:
    return [label.colour.lower() for label in projects.project(lab, project_id=project_id).classes]


@pytest.mark.parametrize("as_format", ["colour", "voc"])
@pytest.mark.parametrize("n_classes", [20, 60, 254])
def test_masks_in_colour_are_read_back_to_the_same_classes(tmp_path: Path, as_format: str, n_classes: int) -> None:
    names = [f"class {number}" for number in range(n_classes)]
    mask = np.arange(12 * 23).reshape(12, 23).astype(np.int64) % n_classes
    write_masks(["a.png"], [mask], classes=names, to=tmp_path / "out", formats=as_format)

    with read_labels(tmp_path / "out") as found:
        ((name, values),) = found.masks
        assert not found.left_out

    assert Path(name).stem == "a"
    assert [found.classes[value] for value in values.ravel()] == [names[value] for value in mask.ravel()]


def test_a_project_of_any_number_of_classes_has_as_many_colours(lab: Lab) -> None:
    made = projects.create_project(lab, name="many", labels=projects.labels_of([f"c{n}" for n in range(200)]))
    for number in range(200, 255):
        projects.add_class(lab, project_id=made.id, name=f"c{number}")

    assert len(set(colours_of(lab, made.id))) == 255


def test_a_project_is_not_made_with_two_classes_in_one_colour(lab: Lab) -> None:
    labels = [ClassLabel(0, "a", "#112233", 0), ClassLabel(1, "b", "#112233", 1)]

    made = projects.create_project(lab, name="twins", labels=labels)

    assert colours_of(lab, made.id) == ["#112233", "#0072b2"]


def test_a_class_that_is_added_takes_the_first_colour_that_no_class_has_or_had(lab: Lab) -> None:
    made = projects.create_project(lab, name="soil", labels=projects.labels_of(["a", "b", "c"]))
    projects.remove_class(lab, project_id=made.id, class_id=1)  # masks kept from before may name it

    by_command = projects.add_class(lab, project_id=made.id, name="d")
    by_import = projects.add_class(lab, project_id=made.id, name="e", colour=by_command.colour.lower())
    event = Event(1, EventKind.CLASS_ADD, 0, {"name": "f", "colour": by_command.colour})
    apply_events(lab, EventBatch(CLIENT, (event,)), project_id=made.id, labeller="ann")

    assert colours_of(lab, made.id) == [one.lower() for one in (*class_colours()[:1], *class_colours()[2:6])]
    assert by_import.colour == class_colours()[4]


def test_a_class_cannot_be_given_the_colour_of_another(lab: Lab) -> None:
    made = projects.create_project(lab, name="soil", labels=projects.labels_of(["a", "b"]))
    first, second = made.classes

    with pytest.raises(InvalidClasses, match="'a' has the colour #0072B2 already"):
        projects.edit_class(lab, project_id=made.id, label=ClassLabel(second.id, "b", first.colour, second.order))

    assert colours_of(lab, made.id) == [first.colour.lower(), second.colour.lower()]


def test_an_old_project_with_a_doubled_colour_is_exported_so_that_it_can_be_read_back(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path / "out", ["one.png", "two.png", "three.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0))
    with writing(lab.sessions) as session:  # as versions before this one left it
        session.execute(update(ClassRow).where(ClassRow.project_id == bench.project.id).values(colour="#ABCDEF"))
    twin = projects.project(lab, project_id=bench.project.id).classes[1]
    renamed = ClassLabel(twin.id, "disc", twin.colour, twin.order)

    projects.edit_class(lab, project_id=bench.project.id, label=renamed)
    path, _ = bench.export(formats=("colour", "voc", "index"))

    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "read")
    manifest = json.loads((tmp_path / "read" / "manifest.json").read_text())
    assert [one["colour"] for one in manifest["classes"]] == ["#ABCDEF", "#0072B2"]
    assert [one.get("colour_in_project") for one in manifest["classes"]] == [None, "#ABCDEF"]
    wanted = mask_read(tmp_path / "read" / "masks", tmp_path / "read" / "manifest.json")
    for folder in ("colour", "voc"):
        table = tmp_path / "read" / "manifest.json" if folder == "colour" else None
        assert mask_read(tmp_path / "read" / folder, table) == wanted


def mask_read(folder: Path, table: Path | None) -> dict[str, list[str]]:
    """The names of the classes of all pixels, by image."""
    with read_labels(folder, table=table) as found:
        read = {Path(name).stem: [found.classes[value] for value in mask.ravel()] for name, mask in found.masks}
        assert len(read) == 3
        assert not found.left_out
    return read
