"""Lines that wait on the disk for the end of an export, so that memory stays flat; an interrupted one goes on there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from fcnlab.storage.formats.format import Assembly, Line

BLOCK_LINES = 256


class Spools:
    """Files of lines in a folder, one per name.

    Args:
        folder: where they lie; made when missing.
        ends: bytes and lines each had at the moment to go on from; what was written after that is dropped.
    """

    def __init__(self, folder: Path, ends: Mapping[str, tuple[int, int]] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._lines: dict[str, int] = {}
        for path in folder.glob("*.spool"):
            if path.stem not in (ends or {}):
                path.unlink()
        for name, (n_bytes, n_lines) in (ends or {}).items():
            file = self._file(name)
            file.truncate(n_bytes)
            file.seek(0, os.SEEK_END)
            self._lines[name] = n_lines

    def add(self, line: Line) -> None:
        """Append a line."""
        file = self._file(line.spool)
        self._lines[line.spool] += 1
        data = line.data
        if line.is_numbered:
            data = b'{"id":%d,%s' % (self._lines[line.spool], data[1:])
        file.write(data + b"\n")

    def ends(self) -> dict[str, tuple[int, int]]:
        """Bytes and lines of each spool, which are on the disk when this returns."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: (file.tell(), self._lines[name]) for name, file in sorted(self._files.items())}

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a spool in order, without line breaks; none when nothing was added."""
        path = self._path(name)
        if name in self._files:
            self._files[name].flush()
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    yield line[:-1]

    def assembled(self, assembly: Assembly) -> Iterator[bytes]:
        """The bytes of a file, some lines at a time."""
        for part in assembly.parts:
            if isinstance(part, bytes):
                yield part
                continue
            waiting: list[bytes] = []
            for number, line in enumerate(self.lines(part.spool)):
                waiting.append((part.between if number else b"") + line + b"\n")
                if len(waiting) == BLOCK_LINES:
                    yield b"".join(waiting)
                    waiting.clear()
            yield b"".join(waiting)

    def close(self) -> None:
        """Close the files; they stay."""
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._files[name] = self._path(name).open("r+b" if self._path(name).exists() else "w+b")
            self._lines[name] = 0
        return self._files[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.spool"
