"""The tensor cache: bounded by bytes, never an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fcnlab.storage.files.tensor_cache import Entry, TensorCache


def entry(value: float = 1.0, n: int = 1000) -> Entry:
    return Entry({"map": torch.full((n,), value, dtype=torch.float16)}, {"value": value})


def cache(folder: Path, *, memory: int = 1_000_000, disk: int = 1_000_000) -> TensorCache:
    return TensorCache(folder, memory_bytes=memory, disk_bytes=disk)


def test_what_was_put_comes_back_from_memory_and_from_disk(tmp_path: Path) -> None:
    first = cache(tmp_path)
    first.put("aa-1", entry(2.0))

    for one in (first, cache(tmp_path)):
        found = one.get("aa-1")
        assert found is not None
        assert torch.equal(found.tensors["map"], entry(2.0).tensors["map"])
        assert found.description == {"value": 2.0}


def test_what_was_never_put_is_missing(tmp_path: Path) -> None:
    assert cache(tmp_path).get("aa-1") is None


@pytest.mark.parametrize("damage", [b"", b"rubbish"])
def test_a_damaged_file_is_deleted_and_counts_as_missing(tmp_path: Path, damage: bytes) -> None:
    cache(tmp_path).put("aa-1", entry())
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(damage)

    assert cache(tmp_path).get("aa-1") is None
    assert not file.exists()


def test_memory_and_disk_stay_within_their_bytes_and_the_oldest_leave(tmp_path: Path) -> None:
    small = cache(tmp_path, memory=5000, disk=9000)
    for number in range(6):
        small.put(f"a{number}-x", entry(number))

    in_memory, on_disk = small.nbytes()

    assert in_memory <= 5000
    assert on_disk <= 9000
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors")) == on_disk
    assert small.get("a0-x") is None
    assert small.get("a5-x") is not None


def test_an_entry_larger_than_the_memory_is_kept_on_disk_only(tmp_path: Path) -> None:
    small = cache(tmp_path, memory=100)
    small.put("aa-1", entry())

    assert small.nbytes()[0] == 0
    assert small.get("aa-1") is not None


def test_an_entry_in_passing_pushes_no_other_out_of_memory(tmp_path: Path) -> None:
    both = cache(tmp_path, memory=entry().nbytes)
    both.put("aa-1", entry(1.0))
    both.put("bb-2", entry(2.0), is_passing=True)
    held = both.get("aa-1")

    found = both.get("bb-2", is_passing=True)

    assert found is not None
    assert found.description == {"value": 2.0}
    assert both.get("aa-1") is held


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def test_processes_that_share_a_folder_keep_its_limit_together(tmp_path: Path) -> None:
    first, second, third = (cache(tmp_path, memory=0, disk=9000) for _ in range(3))
    for one in (first, second, third):
        assert one.get("zz-0") is None

    for number in range(12):
        (first, second, third)[number % 3].put(f"a{number:x}-x", entry(number))
        assert on_disk(tmp_path) <= 9000

    assert {one.nbytes()[1] for one in (first, second, third)} == {on_disk(tmp_path)}
    assert first.get("ab-x") is not None


def test_what_another_process_used_last_leaves_last(tmp_path: Path) -> None:
    first, second = (cache(tmp_path, memory=0, disk=9000) for _ in range(2))
    for number in range(4):
        first.put(f"a{number}-x", entry(number))
        os.utime(tmp_path / f"a{number}" / f"a{number}-x.safetensors", (number, number))
    first.nbytes()

    assert second.get("a0-x") is not None
    first.put("b0-x", entry(5))

    assert second.get("a0-x") is not None
    assert second.get("a1-x") is None
