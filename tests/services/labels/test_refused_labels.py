"""Archives, folders and files of labels: which are read, and that malformed ones leave nothing behind."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fcnlab.errors import FcnlabError, ImportRefused, InvalidSetting, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.labels.expert_masks import (
    counted_by_source,
    expert_masks,
)
from fcnlab.services.labels.label_import import LabelRequest, found_labels
from fcnlab.services.labels.mask_intake import Outcome
from fcnlab.services.projects.projects import (
    delete_project,
    project,
)
from tests.support.label_imports import a_mask, masks_in, stored, take_in
from tests.support.tabs import new_project


def test_a_zip_archive_is_as_good_as_a_folder(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    folder = masks_in(tmp_path / "masks", {"00000": a_mask(), "00001": a_mask()})
    archive = tmp_path / "labels.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, f"export/masks/{path.name}")
        packed.writestr("../evil.png", "x")
        packed.writestr("photo.jpg", "x" * 100)
    request = LabelRequest(points_per_image=4)

    with found_labels(lab, archive, project_id=project_id, request=request, allow_anywhere=True) as found:
        steps = list(found.steps)
        left_out = [one.name for one in found.left_out]

    assert found.words == "labels.zip is read as index masks"
    assert [one.outcome for one in steps] == [Outcome.STORED] * 2
    assert left_out == ["../evil.png"]
    assert counted_by_source(lab, project_id=project_id) == (("index:labels.zip", 2, 8),)
    assert not (tmp_path / "evil.png").exists()
    assert list(lab.folders.images.parent.glob("labels-*")) == []


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\5\6" + b"\0" * 17])
def test_archives_that_are_none_are_refused(lab: Lab, tmp_path: Path, content: bytes) -> None:
    project_id, _ = new_project(lab)
    (tmp_path / "labels.zip").write_bytes(content)

    with pytest.raises(ImportRefused) as failure:
        take_in(lab, tmp_path / "labels.zip", project_id)

    assert "\n" not in str(failure.value)
    assert list(lab.folders.images.parent.glob("labels-*")) == []


def test_only_allowed_folders_are_read_for_a_browser(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    path = masks_in(tmp_path / "masks", {"00000": a_mask()})

    with (
        pytest.raises(ImportRefused, match="FCNLAB_IMPORT_ROOTS"),
        found_labels(lab, path, project_id=project_id, request=LabelRequest()),
    ):
        pass


def test_requests_that_make_no_sense_are_refused() -> None:
    for wrong in ({"points_per_image": -1}, {"weight": 0}, {"weight": float("nan")}, {"as_format": "word"}):
        with pytest.raises(InvalidSetting):
            LabelRequest(**wrong)  # type: ignore[arg-type]


def test_a_deleted_project_leaves_no_expert_mask_behind(lab: Lab, tmp_path: Path) -> None:
    project_id, _ = new_project(lab)
    take_in(lab, masks_in(tmp_path / "masks", {"00000": a_mask()}), project_id)

    delete_project(lab, project_id=project_id)

    assert list((lab.folders.masks / str(project_id)).rglob("*")) == []
    with pytest.raises(UnknownProject):
        expert_masks(lab, project_id=project_id)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
COCO = (
    '{"images": [{"id": 1, "file_name": "00000.png", "height": 40, "width": 70}], '
    '"categories": [{"id": 1, "name": "cell"}], '
)
SHAPES = '{"imagePath": "00000.png", "imageHeight": 40, "imageWidth": 70, "shapes": '
MALFORMED: dict[str, tuple[str, str]] = {
    "JSON cut off": ("a.json", '{"shapes": [{"label": "cell", "points": [[1, 2'),
    "JSON as deep as a well": ("a.json", '{"shapes": ' + "[" * 50_000),
    "XML cut off": ("a.xml", '<annotations><image name="00000.png" width="70" height="40"><box label="cell"'),
    "a billion laughs": ("a.xml", f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotations>&l9;</annotations>'),
    "a file of the disk in XML": (
        "a.xml",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
    ),
    "aliases that multiply": ("data.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nnames: [*c, *c]\n"),
    "runs that are too short": (
        "a.json",
        COCO + '"annotations": [{"image_id": 1, "category_id": 1, "segmentation": {"size": [40, 70], "counts": [5]}}]}',
    ),
    "an image that does not exist": (
        "a.json",
        '{"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 9, "category_id": 1}]}',
    ),
    "a category that does not exist": ("a.json", COCO + '"annotations": [{"id": 1, "image_id": 1, "category_id": 7}]}'),
    "a negative size": ("a.json", COCO.replace("40", "-40") + '"annotations": []}'),
    "another size": ("a.json", COCO.replace("40", "41") + '"annotations": []}'),
    "a corner that is no number": ("a.json", SHAPES + '[{"label": "cell", "points": [[1, NaN], [2, 3], [4, 5]]}]}'),
    "shapes of the wrong type": ("a.json", SHAPES + '"none"}'),
    "a name that leads out": ("a.json", (SHAPES + "[]}").replace("00000.png", "../../../../etc/passwd")),
    "YOLO with words": ("a.txt", "cell 0.1 0.1 0.2 0.2"),
    "a table without columns": ("a.csv", "hello,world\n1,2\n"),
    "nothing": ("a.json", ""),
}


@pytest.mark.parametrize("wrong", MALFORMED)
def test_of_malformed_labels_nothing_comes_in_and_each_gets_one_line(lab: Lab, tmp_path: Path, wrong: str) -> None:
    project_id, _ = new_project(lab)
    name, content = MALFORMED[wrong]
    path = tmp_path / "in" / name
    path.parent.mkdir()
    path.write_text(content)
    (path.parent / "x.txt").write_text("0 0.1 0.1 0.2 0.2")

    try:
        said = [one.reason for one in take_in(lab, path, project_id, add_classes=True)]
    except FcnlabError as refusal:
        said = [str(refusal)]

    assert said
    assert all(one and "\n" not in one and len(one) < 400 for one in said)
    assert stored(lab, project_id) == []
    assert expert_masks(lab, project_id=project_id) == ()
    assert not (lab.folders.masks / str(project_id)).exists()
    assert [label.name for label in project(lab, project_id=project_id).classes] == ["background", "cell"]
