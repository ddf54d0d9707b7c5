"""Names of exported files."""

from __future__ import annotations

import pytest

from fcnlab.core.images.naming import OTHER_FOLDERS, class_folders, export_stems


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "a.jpg", "A.PNG"],
        ["a.png", "a.jpg", "a_png.tif", "a_jpg"],
        ["x/a.png", "y/a.png", "X/A.png"],
        ["con.png", "a:b.png", "a_b.png", "trailing .png", "trailing.png"],
        ["a.png", "a.png/b.png", "a_png/b.png"],
        [".hidden", "noending", "noending.", "dots.in.name.png", "dots.in.name.jpg"],
    ],
)
def test_stems_stay_apart_and_do_not_depend_on_the_order(names: list[str]) -> None:
    stems = export_stems(names)

    assert stems == export_stems(names[::-1])
    assert len({stem.casefold() for stem in stems.values()}) == len(names)
    files = {f"{stem}.png".casefold() for stem in stems.values()}
    folders = {"/".join(stem.split("/")[:depth]).casefold() for stem in stems.values() for depth in range(1, 5)}
    assert not files & {folder for folder in folders if folder not in {s.casefold() for s in stems.values()}}
    for stem in stems.values():
        assert not set(stem) & set('<>:"|?*\\')


@pytest.mark.parametrize(
    "names",
    [
        ["1_cell", "test", "1_test"],
        ["a", "A", "0_a", "1_a", "0_0_a", "2_0_A"],
        ["val", "0_val", "0_0_VAL", "1_0_val", "a/b", "a:b"],
    ],
)
def test_every_class_has_a_folder_of_its_own(names: list[str]) -> None:
    folders = class_folders(dict(enumerate(names)))

    taken = {folder.casefold() for folder in folders.values()}
    assert len(taken) == len(names)
    assert not taken & OTHER_FOLDERS
