from __future__ import annotations

import os
from pathlib import Path

import pytest

from fcnlab.errors import InvalidSetting
from fcnlab.lab import open_lab
from fcnlab.settings import Settings


def test_an_open_installation_has_its_folders_and_its_database(tmp_path: Path) -> None:
    lab = open_lab(Settings(data_dir=tmp_path / "new" / "data", device="cpu"))

    found = {path.name for path in (tmp_path / "new" / "data").iterdir() if path.is_dir()}
    kept, made_again = {"images", "masks", "checkpoints", "comparisons"}, {"shown", "thumbs", "features", "exports"}
    assert found == kept | made_again | {"resume", "logs", "running"}
    assert (tmp_path / "new" / "data" / "lab.db").is_file()
    lab.close()
    lab.close()


def test_opening_again_finds_everything_as_it_was(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu")
    open_lab(settings).close()
    (tmp_path / "masks" / "1.png").write_bytes(b"mask")

    open_lab(settings).close()

    assert (tmp_path / "masks" / "1.png").read_bytes() == b"mask"


def test_the_device_is_the_one_asked_for_or_explained(tmp_path: Path) -> None:
    lab = open_lab(Settings(data_dir=tmp_path, device="cpu"))
    assert lab.device == "cpu"
    lab.close()

    for missing in ("cuda:77", "cuda:x", "abacus"):
        lab = open_lab(Settings(data_dir=tmp_path, device=missing))
        with pytest.raises(InvalidSetting, match=missing):
            _ = lab.device
        lab.close()


def test_auto_finds_some_device(tmp_path: Path) -> None:
    lab = open_lab(Settings(data_dir=tmp_path, device="auto"))

    assert lab.device in ("cpu", "cuda", "mps")
    lab.close()


def test_a_data_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InvalidSetting, match="FCNLAB_DATA_DIR"):
        open_lab(Settings(data_dir=tmp_path / "file" / "data", device="cpu"))


def test_a_relative_data_folder_is_found_after_the_process_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lab = open_lab(Settings(data_dir=Path("data"), device="cpu"))
    os.chdir("/")

    assert lab.folders.images.is_dir()
    lab.close()
