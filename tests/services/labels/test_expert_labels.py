"""Laws of labels from other tools: nothing twice, nothing half, nothing silently, and no click overwritten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.errors import ImportRefused, UnknownExpertMask
from fcnlab.lab import Lab
from fcnlab.services.labelling.painting import painting_of
from fcnlab.services.labels.expert_masks import (
    counted_by_source,
    expert_masks,
    expert_truth,
    images_with_truth,
    remove_mask,
    remove_source,
)
from fcnlab.services.labels.mask_intake import Outcome
from fcnlab.services.projects.projects import (
    add_class,
    image,
    project,
    remove_class,
    set_background,
)
from fcnlab.storage.database.engine import reading
from tests.support.label_imports import BOX, HW, a_mask, labelme_file, masks_in, stored, take_in
from tests.support.tabs import Tab, new_project


def test_a_mask_is_kept_whole_and_gives_points_of_its_classes(any_lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(any_lab)
    path = masks_in(tmp_path / "masks", {"00000": a_mask()})

    (step,) = take_in(any_lab, path, project_id, weight=0.5, labeller="Dr. No")

    assert (step.outcome, step.n_points, step.name) == (Outcome.STORED, 20, "00000.png")
    truth = expert_truth(any_lab, image(any_lab, image_id=first))
    assert truth is not None
    assert np.array_equal(truth, a_mask())
    points = stored(any_lab, project_id)
    assert Counter(one.point.class_id for one in points) == {0: 10, 1: 10}
    assert all(a_mask()[one.point.row, one.point.col] == one.point.class_id for one in points)
    assert {(one.source, one.weight, one.labeller) for one in points} == {(PointSource.IMPORT, 0.5, "Dr. No")}
    assert image(any_lab, image_id=first).state is ImageState.IN_PROGRESS


def test_pixels_outside_all_shapes_are_the_background_of_the_project_or_unknown(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, second) = new_project(lab)
    for number in range(2):
        labelme_file(tmp_path / str(number) / "a.json", f"0000{number}.png", [("cell", BOX)])

    take_in(lab, tmp_path / "0", project_id)
    set_background(lab, project_id=project_id, class_id=None)
    take_in(lab, tmp_path / "1", project_id)

    known, unknown = (expert_truth(lab, image(lab, image_id=one)) for one in (first, second))
    assert known is not None
    assert unknown is not None
    assert np.unique(known).tolist() == [0, 1]
    assert np.array_equal(unknown, np.where(known == 0, 255, known)), "no class is filled in by itself"
    assert {one.point.class_id for one in stored(lab, project_id) if one.image_id == second} == {1}
    assert [label.name for label in project(lab, project_id=project_id).classes] == ["background", "cell"]


def test_importing_twice_is_importing_once(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = masks_in(tmp_path / "masks", {"00000": a_mask(), "00001": a_mask(7)})
    take_in(lab, path, project_id)
    before, masks = stored(lab, project_id), expert_masks(lab, project_id=project_id)

    again = take_in(lab, path, project_id)

    assert [one.outcome for one in again] == [Outcome.KNOWN] * 2
    assert stored(lab, project_id) == before
    assert expert_masks(lab, project_id=project_id) == masks
    assert len(list((lab.folders.masks / str(project_id)).iterdir())) == 2


def test_another_installation_draws_the_same_points_and_another_seed_others(lab: Lab, tmp_path: Path) -> None:
    path = masks_in(tmp_path / "masks", {"00000": a_mask()})
    drawn = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        project_id, _ = new_project(lab, name=name)
        take_in(lab, path, project_id, seed=seed)
        drawn.append([one.point for one in stored(lab, project_id)])

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_clicks_survive_whatever_is_imported(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    tab = Tab(lab, project_id=project_id, image_id=first)
    everything = HW[0] * HW[1]
    path = masks_in(tmp_path / "masks", {"00000": a_mask()})
    tab.add(20, 30, 0)
    tab.add(2, 60, 1)

    take_in(lab, path, project_id, points_per_image=everything)
    tab.add(12, 20, 0)
    take_in(lab, path, project_id, points_per_image=everything, weight=2.0)

    clicks = {one.point for one in stored(lab, project_id) if one.source is PointSource.CLICK}
    imported = {(one.point.row, one.point.col) for one in stored(lab, project_id) if one.source is PointSource.IMPORT}
    assert clicks == {Point(20, 30, 0), Point(2, 60, 1), Point(12, 20, 0)}
    assert imported.isdisjoint({(20, 30), (2, 60), (12, 20)})
    assert len(imported) == int((a_mask() != 255).sum()) - 3


def test_a_changed_mask_replaces_its_own_points_and_no_others(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, second) = new_project(lab)
    take_in(lab, masks_in(tmp_path / "other", {"00000": a_mask(5)}), project_id, points_per_image=6)
    path = masks_in(tmp_path / "masks", {"00000": a_mask(), "00001": a_mask()})
    take_in(lab, path, project_id, points_per_image=6)
    others = {one.uid for one in stored(lab, project_id)}

    masks_in(path, {"00000": 1 - np.minimum(a_mask(), 1)})
    steps = take_in(lab, path, project_id, points_per_image=6)

    assert [one.outcome for one in steps] == [Outcome.REPLACED, Outcome.KNOWN]
    points = stored(lab, project_id)
    assert len(points) == 18
    assert len({one.uid for one in points} & others) == 12
    assert counted_by_source(lab, project_id=project_id) == (("index:masks", 2, 12), ("index:other", 1, 6))
    truth = expert_truth(lab, image(lab, image_id=first))
    assert truth is not None
    assert truth[0, 0] == 0
    assert images_with_truth(lab, project_id=project_id) == (first, second)


def test_removing_takes_the_points_away_and_brings_the_earlier_truth_back(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    Tab(lab, project_id=project_id, image_id=first).add(20, 30, 0)
    take_in(lab, masks_in(tmp_path / "one", {"00000": a_mask(), "00001": a_mask()}), project_id)
    take_in(lab, masks_in(tmp_path / "two", {"00000": a_mask(9)}), project_id)

    assert remove_source(lab, project_id=project_id, source="index:two") == 1

    truth = expert_truth(lab, image(lab, image_id=first))
    assert truth is not None
    assert np.array_equal(truth, a_mask())
    (mine, _) = expert_masks(lab, project_id=project_id)
    remove_mask(lab, mask_id=mine.id)
    assert expert_truth(lab, image(lab, image_id=first)) is None
    assert Counter(one.source for one in stored(lab, project_id)) == {PointSource.CLICK: 1, PointSource.IMPORT: 20}
    with pytest.raises(UnknownExpertMask):
        remove_mask(lab, mask_id=mine.id)
    with pytest.raises(UnknownExpertMask, match="index:one"):
        remove_source(lab, project_id=project_id, source="index:two")


def test_what_was_removed_can_be_imported_again(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = masks_in(tmp_path / "masks", {"00000": a_mask()})
    take_in(lab, path, project_id)
    points = [one.point for one in stored(lab, project_id)]
    remove_source(lab, project_id=project_id, source="index:masks")
    assert stored(lab, project_id) == []

    (step,) = take_in(lab, path, project_id)

    assert step.outcome is Outcome.STORED
    assert [one.point for one in stored(lab, project_id)] == points


def test_clearing_and_removing_get_along_with_undo(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    tab = Tab(lab, project_id=project_id, image_id=first)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)
    tab.do(EventKind.CLEAR)
    remove_source(lab, project_id=project_id, source="index:masks")

    tab.do(EventKind.UNDO)

    assert stored(lab, project_id) == []


def test_a_removed_class_is_unknown_in_the_truth(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)
    remove_class(lab, project_id=project_id, class_id=1)

    truth = expert_truth(lab, image(lab, image_id=first))

    assert truth is not None
    assert np.array_equal(truth, np.where(a_mask() == 1, 255, a_mask()))


def test_classes_are_matched_by_name_and_mapped_or_added_on_demand(lab: Lab, tmp_path: Path) -> None:
    shapes = [("CELL", BOX), ("Mitosis", [[2, 2], [6, 2], [6, 6]]), ("dust", [[60, 2], [66, 2], [66, 6]])]
    path = labelme_file(tmp_path / "a.json", "images/00000.jpg", shapes)
    left, (first, _) = new_project(lab, name="left out")
    mapped, (second, _) = new_project(lab, name="mapped")
    added, (third, _) = new_project(lab, name="added")

    (one,) = take_in(lab, path, left)
    (two,) = take_in(lab, path, mapped, mapping={"mitosis": "cell", "dust": ""})
    (three,) = take_in(lab, path, added, add_classes=True, mapping={"dust": "dirt"})

    assert (one.left_out_classes, two.left_out_classes, three.left_out_classes) == (("Mitosis", "dust"), ("dust",), ())
    truths = [expert_truth(lab, image(lab, image_id=image_id)) for image_id in (first, second, third)]
    assert [set(np.unique(truth).tolist()) for truth in truths if truth is not None] == [
        {0, 1, 255},
        {0, 1, 255},
        {0, 1, 2, 3},
    ]
    names = [label.name for label in project(lab, project_id=added).classes]
    assert names == ["background", "cell", "Mitosis", "dirt"]
    assert [label.name for label in project(lab, project_id=left).classes] == ["background", "cell"]


def test_labels_of_which_no_class_is_known_are_refused_before_anything_is_stored(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = labelme_file(tmp_path / "a.json", "00000.png", [("coin", BOX), ("bg", [[2, 2], [6, 2], [6, 6]])])

    for mapping in ({}, {"coin": ""}, {"coin": "penny"}):
        with pytest.raises(ImportRefused, match="none of the classes coin is in the project: --map coin="):
            take_in(lab, path, project_id, mapping=mapping)

    assert (stored(lab, project_id), expert_masks(lab, project_id=project_id)) == ([], ())
    assert not (lab.folders.masks / str(project_id)).exists()


def test_an_image_whose_labels_all_fall_away_is_left_out_and_replaces_nothing(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    folder = tmp_path / "in"
    labelme_file(folder / "a.json", "00000.png", [("coin", BOX)])
    labelme_file(folder / "b.json", "00001.png", [("cell", BOX)])
    take_in(lab, folder, project_id, mapping={"coin": "cell"})
    before, masks = stored(lab, project_id), expert_masks(lab, project_id=project_id)

    steps = take_in(lab, folder, project_id)

    assert [one.outcome for one in steps] == [Outcome.LEFT_OUT, Outcome.KNOWN]
    assert steps[0].reason == "all that is labelled in it is of classes that are left out: coin"
    assert (stored(lab, project_id), expert_masks(lab, project_id=project_id)) == (before, masks)
    truth = expert_truth(lab, image(lab, image_id=first))
    assert truth is not None
    assert (truth[10:30, 20:50] == 1).all()


def test_an_image_in_which_nobody_drew_anything_teaches_nothing(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    labelme_file(tmp_path / "in" / "a.json", "00000.png", [])
    labelme_file(tmp_path / "in" / "b.json", "00001.png", [("cell", BOX)])

    steps = take_in(lab, tmp_path / "in", project_id)

    assert [one.outcome for one in steps] == [Outcome.LEFT_OUT, Outcome.STORED]
    assert steps[0].reason == "nobody marked anything in it"
    assert expert_truth(lab, image(lab, image_id=first)) is None


def test_shapes_of_a_class_that_is_left_out_are_unknown_and_never_background(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    coin = [[2.0, 2.0], [12.0, 2.0], [12.0, 8.0], [2.0, 8.0]]
    path = labelme_file(tmp_path / "a.json", "00000.png", [("cell", BOX), ("coin", coin)])

    take_in(lab, path, project_id, points_per_image=HW[0] * HW[1])

    truth = expert_truth(lab, image(lab, image_id=first))
    assert truth is not None
    wanted = np.zeros(HW, np.uint8)
    wanted[10:30, 20:50], wanted[2:8, 2:12] = 1, 255
    assert np.array_equal(truth, wanted)
    assert len(stored(lab, project_id)) == int((wanted != 255).sum())


def test_classes_that_no_pixel_has_are_not_added(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "classes.txt").write_text("background\ncell\nunicorn\n")
    project_id, _ = new_project(lab)

    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id, add_classes=True, as_format="index")

    assert [label.name for label in project(lab, project_id=project_id).classes] == ["background", "cell"]


def test_a_mapping_of_a_class_that_is_not_there_is_refused(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = labelme_file(tmp_path / "a.json", "00000.png", [("cell", BOX)])

    with pytest.raises(ImportRefused, match="no class 'sell' to map; they have background, cell"):
        take_in(lab, path, project_id, mapping={"sell": "cell"})


def test_labels_without_an_image_or_of_the_wrong_size_are_named_and_left_out(lab: Lab, tmp_path: Path) -> None:
    project_id, (_, second) = new_project(lab)
    masks = {
        "00000": a_mask()[:-1],
        "00001": a_mask(),
        "elsewhere/00001": a_mask(),
        "nowhere": a_mask(),
        "x/00007": a_mask(),
    }

    steps = take_in(lab, masks_in(tmp_path / "masks", masks), project_id)

    reasons = {one.name: one.reason for one in steps}
    assert "70 x 39 pixels, 00000.png has 70 x 40" in reasons["00000"]
    assert "are for 00001.png already" in reasons["elsewhere/00001"]
    assert reasons["nowhere"] == reasons["x/00007"] == "the project has no image of this name; import it first"
    assert images_with_truth(lab, project_id=project_id) == (second,)
    assert len(stored(lab, project_id)) == 20
    assert len(list((lab.folders.masks / str(project_id)).iterdir())) == 1


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "C:\\secret.png", "", "..", "a\x00b"])
def test_names_that_lead_elsewhere_are_names_of_no_image(lab: Lab, tmp_path: Path, name: str) -> None:
    project_id, _ = new_project(lab)
    path = labelme_file(tmp_path / "a.json", name, [("cell", BOX)])

    (step,) = take_in(lab, path, project_id)

    assert step.outcome is Outcome.LEFT_OUT
    assert step.reason
    assert stored(lab, project_id) == []


def test_masks_about_which_nothing_is_known_are_left_out(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = masks_in(tmp_path / "masks", {"00000": np.full(HW, 255, np.uint8)})

    (step,) = take_in(lab, path, project_id)

    assert step.reason == "none of its pixels is labelled with a class of the project"


def test_masks_may_be_truth_alone(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)

    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id, points_per_image=0)

    assert stored(lab, project_id) == []
    assert images_with_truth(lab, project_id=project_id) == (first,)
    assert image(lab, image_id=first).state is ImageState.NEW


def test_points_of_a_table_come_with_a_source_that_can_be_removed(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    Tab(lab, project_id=project_id, image_id=first).add(3, 5, 0)
    table = tmp_path / "points.csv"
    table.write_text("image,row,col,class\n00000.png,3,5,cell\n00000.png,7,9,cell\n00001.png,39,69,background\n")

    take_in(lab, table, project_id)
    take_in(lab, table, project_id)

    found = {(one.point, one.source) for one in stored(lab, project_id)}
    assert found == {
        (Point(3, 5, 0), PointSource.CLICK),
        (Point(7, 9, 1), PointSource.IMPORT),
        (Point(39, 69, 0), PointSource.IMPORT),
    }
    assert images_with_truth(lab, project_id=project_id) == ()
    assert remove_source(lab, project_id=project_id, source="points:points.csv") == 2
    assert [one.source for one in stored(lab, project_id)] == [PointSource.CLICK]


def test_a_point_outside_its_image_leaves_nothing_of_it(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    table = tmp_path / "points.csv"
    table.write_text("image,row,col,class\n00000.png,3,5,cell\n00000.png,40,9,cell\n")

    (step,) = take_in(lab, table, project_id)

    assert "row 40, column 9 is outside" in step.reason
    assert stored(lab, project_id) == []


def test_masks_of_two_classes_that_have_only_object_names_find_the_project_classes(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    painted = np.zeros((*HW, 4), np.uint8)
    painted[:5], painted[20:30] = (0, 255, 0, 180), (255, 0, 0, 180)

    (step,) = take_in(lab, masks_in(tmp_path / "annotations", {"train/00000": painted}), project_id)

    assert step.outcome is Outcome.STORED
    truth = expert_truth(lab, image(lab, image_id=first))
    assert truth is not None
    assert (truth[:5] == 0).all()
    assert (truth[20:30] == 1).all()
    assert (truth[5:20] == 255).all()


def test_a_class_of_the_same_name_in_other_letters_is_added_once(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    add_class(lab, project_id=project_id, name="Mitosis")
    shapes = [("mitosis", BOX), ("MITOSIS", [[2, 2], [6, 2], [6, 6]]), ("New", BOX), ("new", [[2, 2], [6, 2], [6, 6]])]

    take_in(lab, labelme_file(tmp_path / "a.json", "00000.png", shapes), project_id, add_classes=True)

    names = [label.name for label in project(lab, project_id=project_id).classes]
    assert names == ["background", "cell", "Mitosis", "new"] or names == ["background", "cell", "Mitosis", "New"]


def test_imported_points_do_not_show_through_what_somebody_painted(lab: Lab, tmp_path: Path) -> None:
    project_id, (first, _) = new_project(lab)
    tab = Tab(lab, project_id=project_id, image_id=first)
    tab.send(tab.stroke(0, 0, HW[0], HW[1], 1))
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)

    with reading(lab.sessions) as session:
        painting = painting_of(session, image(lab, image_id=first))

    assert len(painting.layers) == 1
