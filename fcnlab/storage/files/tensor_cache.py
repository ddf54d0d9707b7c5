"""The cache of encoded pictures: named tensors, in memory first, then on disk, each bounded by bytes."""

from __future__ import annotations

import heapq
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cachetools import LRUCache
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fcnlab.storage.files.whole_files import write_whole

PASSING_BYTES = 20_000_000_000
"""Of tiles of one picture: as many as an image of a thousand megapixels has."""


SUFFIX = ".safetensors"

YOUNG_NS = 2_000_000_000
"""More than any file system's clock ticks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Named tensors and a plain description. Shared by all readers: never change a tensor of it."""

    tensors: Mapping[str, Tensor]
    description: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class DiskTileCache:
    """The encoded tiles of one picture, on the disk only."""

    def __init__(self, cache: TensorCache, key: str) -> None:
        self._cache, self._key = cache, key

    def get(self, number: int) -> Sequence[Tensor] | None:
        """The maps of a tile, or None."""
        entry = self._cache.get(f"{self._key}-{number}", is_passing=True)
        return None if entry is None else [entry.tensors[str(index)] for index in range(len(entry.tensors))]

    def put(self, number: int, maps: Sequence[Tensor]) -> None:
        """Keep the maps of a tile."""
        tensors = {str(index): feature_map for index, feature_map in enumerate(maps)}
        self._cache.put(f"{self._key}-{number}", Entry(tensors, {}), is_passing=True)


class TensorCache:
    """Least recently used entries leave first; a damaged file is deleted and counts as missing.

    The limit of the disk is that of the folder: processes that share it keep it together.
    """

    def __init__(self, folder: Path, *, memory_bytes: int, disk_bytes: int) -> None:
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._memory: LRUCache[str, Entry] = LRUCache(memory_bytes, getsizeof=lambda entry: entry.nbytes)
        self._listed: dict[str, _Listing] = {}
        self._lock = threading.RLock()

    def get(self, key: str, *, device: str = "cpu", is_passing: bool = False) -> Entry | None:
        """The entry of that key, or None. A key is letters, digits and '-'.

        With `is_passing` an entry read from the disk pushes no other out of memory.
        """
        with self._lock:
            cached = self._memory.get(key)
            if cached is not None:
                return cached
            entry = self._read(key, device)
            if entry is not None and not is_passing:
                self._keep(key, entry)
            return entry

    def put(self, key: str, entry: Entry, *, is_passing: bool = False) -> None:
        """Keep an entry in memory, unless `is_passing`, and on disk."""
        if not is_passing:
            self.keep_in_memory(key, entry)
        self.write(key, entry)

    def keep_in_memory(self, key: str, entry: Entry) -> None:
        """Keep an entry in memory alone."""
        with self._lock:
            self._keep(key, entry)

    def write(self, key: str, entry: Entry) -> None:
        """Keep an entry on the disk alone."""
        with self._lock:
            size = entry.nbytes
            if size > self._disk_bytes:
                return
            data = save(
                {name: tensor.contiguous().cpu() for name, tensor in entry.tensors.items()},
                metadata={"description": json.dumps(dict(entry.description))},
            )
            with suppress(OSError):  # a full disk must not stop the labeller: the cache is only a cache
                write_whole(self._path(key), data)
                self._make_room(key)

    def tile_cache(self, key: str) -> DiskTileCache:
        """Where the encoded tiles of the picture of that key lie."""
        return DiskTileCache(self, key)

    def nbytes(self) -> tuple[int, int]:
        """Bytes held in memory and on disk."""
        with self._lock:
            self._refresh_listing()
            return int(self._memory.currsize), sum(listing.size for listing in self._listed.values())

    def _keep(self, key: str, entry: Entry) -> None:
        self._memory.pop(key, None)
        with suppress(ValueError):  # larger than all of the memory
            self._memory[key] = entry

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{SUFFIX}"

    def _read(self, key: str, device: str) -> Entry | None:
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt", device=device) as file:
                description = json.loads((file.metadata() or {})["description"])
                entry = Entry({name: file.get_tensor(name).clone() for name in file.keys()}, description)  # noqa: SIM118
            path.touch()
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError):
            path.unlink(missing_ok=True)
            return None
        return entry

    def _refresh_listing(self) -> None:
        """List the disk again where it changed: other processes write into the folder and delete from it too.

        A subfolder is listed again when its modification time says that files came or went, or is so young that the
        clock of the file system may not tell the next change from the last.
        """
        listed = {}
        with suppress(FileNotFoundError), os.scandir(self._folder) as folders:
            for folder in folders:
                with suppress(FileNotFoundError):
                    changed = folder.stat().st_mtime_ns
                    previous = self._listed.get(folder.name)
                    is_current = (
                        previous is not None and previous.changed == changed and previous.listed - changed > YOUNG_NS
                    )
                    listed[folder.name] = previous if previous is not None and is_current else _listing(folder, changed)
        self._listed = listed

    def _make_room(self, key: str) -> None:
        """Delete the files that were used longest ago until all of them, whoever wrote them, are within the limit."""
        self._refresh_listing()
        total = sum(listing.size for listing in self._listed.values())
        if total <= self._disk_bytes:
            return
        oldest = [
            (used, path, size) for listing in self._listed.values() for path, (used, size) in listing.files.items()
        ]
        heapq.heapify(oldest)
        while total > self._disk_bytes and oldest:
            used, path, size = heapq.heappop(oldest)
            if path == str(self._path(key)):
                continue
            try:
                used_since = Path(path).stat().st_mtime
            except FileNotFoundError:
                total -= size
                continue
            if used_since > used:  # by another process, or by this one
                heapq.heappush(oldest, (used_since, path, size))
                continue
            Path(path).unlink(missing_ok=True)
            total -= size


@dataclass(frozen=True, slots=True)
class _Listing:
    """A subfolder: when it changed and was listed, in nanoseconds; per file when it was used last, and its bytes."""

    changed: int
    listed: int
    files: Mapping[str, tuple[float, int]]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(size for _, size in self.files.values())


def _listing(folder: os.DirEntry[str], changed: int) -> _Listing:
    listed, files = time.time_ns(), {}
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    files[entry.path] = (status.st_mtime, status.st_size)
    return _Listing(changed, listed, files)


@contextmanager
def passing_cache() -> Iterator[TensorCache]:
    """A cache in a folder of its own that is gone after the block: for one picture that nobody asks for again."""
    with TemporaryDirectory(prefix="fcnlab-tiles-") as folder:
        yield TensorCache(Path(folder), memory_bytes=0, disk_bytes=PASSING_BYTES)
