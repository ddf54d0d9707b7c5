"""Reading zip files that strangers made: nothing is extracted, nothing unpacks without end, every entry is checked."""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, cast

from fcnlab.errors import ImportRefused

BLOCK_BYTES = 1 << 20
STARTS = (b"PK\3\4", b"PK\5\6")
RATIO_COUNTS_FROM = 50_000_000
"""Bytes: below this an archive may shrink as well as it likes, for flat masks do."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
REFUSED_METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}
"""Python unpacks these without a limit, whatever size an entry declares."""

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
UTF8_FLAG = 0x800

NAME_BYTES_MOST = 1000
"""Of the directory of an archive, for each entry: names, times and comments."""

END_RECORD = struct.Struct("<4s4H2LH")
END_BYTES_MOST = END_RECORD.size + (1 << 16)
END_64_RECORD = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")

DAMAGE = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    struct.error,
)
"""What reading a damaged archive raises."""


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """What an archive may hold before it is refused whole.

    Attributes:
        entries: files and folders.
        total_bytes: of all files, unpacked.
        ratio: how many times larger it may get by unpacking, once that is more than a few megabytes.
    """

    entries: int = 200_000
    total_bytes: int = 100_000_000_000
    ratio: int = 200


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """A file in an archive: its path with `/` between folders, never leading out; and its size unpacked."""

    name: str
    size: int
    index: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not read, and why, in one line."""

    name: str
    reason: str


class ZipArchive:
    """An archive, opened and checked. Entries are read one at a time, by one thread.

    Attributes:
        entries: the files that can be read, in the order of the archive; no two have one name.
        left_out: those that are not read: encrypted, links, archives themselves, names that lead out of a folder.
    """

    def __init__(self, source: Path | BinaryIO, *, name: str, limits: ZipLimits) -> None:
        self._name = name
        self._file: BinaryIO = source.open("rb") if isinstance(source, Path) else source
        try:
            _refuse_directory(self._file, name=name, limits=limits)
            self._zip = zipfile.ZipFile(self._file)
            self._infos = self._zip.infolist()
            _refuse_size(self._infos, packed=_size(self._file), name=name, limits=limits)
        except BaseException:
            self._file.close()
            raise
        self.entries, self.left_out = _checked_entries(self._infos)

    def __enter__(self) -> ZipArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive. Closing twice is closing once."""
        self._zip.close()
        self._file.close()

    @contextmanager
    def open(self, entry: ZipEntry) -> Iterator[BinaryIO]:
        """The content of an entry as a file that ends after `entry.size` bytes at most.

        Raises:
            ImportRefused: from here or from the block, when the entry is damaged.
        """
        try:
            with self._zip.open(self._infos[entry.index]) as file:
                yield cast(BinaryIO, BufferedReader(file, BLOCK_BYTES))
        except DAMAGE as failure:
            raise ImportRefused(
                f"{entry.name} is damaged inside {self._name} ({_cause(failure)}); pack it again"
            ) from failure

    def read(self, entry: ZipEntry, *, most_bytes: int = 2_000_000_000) -> bytes:
        """The whole content of an entry. Raises ImportRefused: it is damaged, or larger than `most_bytes`."""
        if entry.size > most_bytes:
            raise ImportRefused(
                f"{entry.name} in {self._name} has {entry.size} bytes, more than the {most_bytes} allowed"
            )
        return b"".join(self.blocks(entry))

    def blocks(self, entry: ZipEntry) -> Iterator[bytes]:
        """The content of an entry, a block at a time. Raises ImportRefused: it is damaged."""
        with self.open(entry) as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def open_zip(source: Path | BinaryIO, *, name: str, limits: ZipLimits | None = None) -> ZipArchive:
    """Open an archive without unpacking anything; a context manager.

    Args:
        source: its path, or a seekable binary file, which is closed with the archive.
        name: what the user calls it, for messages.
        limits: what it may hold.

    Raises:
        ImportRefused: it is no zip file, damaged, holds too much, or would unpack to too much.
    """
    try:
        return ZipArchive(source, name=name, limits=limits or ZipLimits())
    except DAMAGE as failure:
        raise ImportRefused(f"{name} is not a zip file, or damaged ({_cause(failure)}); pack it again") from failure


def is_zip(path: Path) -> bool:
    """Whether the file says that it is a zip file; False when it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(4) in STARTS
    return False


def _refuse_directory(file: BinaryIO, *, name: str, limits: ZipLimits) -> None:
    """Refuse a directory that is too long, before it is read into memory."""
    size = _size(file)
    file.seek(max(0, size - END_BYTES_MOST))
    tail = file.read(END_BYTES_MOST)
    start = tail.rfind(b"PK\5\6")
    if start < 0 or len(tail) - start < END_RECORD.size:
        raise zipfile.BadZipFile("its directory is missing")
    _, _, _, _, count, length, _, _ = END_RECORD.unpack_from(tail, start)
    if start >= LOCATOR_64.size:
        signature, _, offset, _ = LOCATOR_64.unpack_from(tail, start - LOCATOR_64.size)
        if signature == b"PK\6\7" and offset + END_64_RECORD.size <= size:
            file.seek(offset)
            record = END_64_RECORD.unpack(file.read(END_64_RECORD.size))
            count, length = max(count, record[7]), max(length, record[8])
    if count > limits.entries or length > limits.entries * NAME_BYTES_MOST:
        raise ImportRefused(f"{name} holds more than the {limits.entries} files allowed; split it into parts")


def _refuse_size(infos: list[zipfile.ZipInfo], *, packed: int, name: str, limits: ZipLimits) -> None:
    if len(infos) > limits.entries:
        raise ImportRefused(f"{name} holds more than the {limits.entries} files allowed; split it into parts")
    unpacked = sum(info.file_size for info in infos)
    # what entries claim to take of the archive may overlap: it is measured by the archive itself
    if unpacked > limits.total_bytes or (unpacked > RATIO_COUNTS_FROM and unpacked > limits.ratio * packed):
        raise ImportRefused(
            f"{name} has {packed} bytes and would unpack to {unpacked}, more than is allowed; import its files from a "
            "folder if you trust them"
        )


def _checked_entries(infos: list[zipfile.ZipInfo]) -> tuple[tuple[ZipEntry, ...], tuple[LeftOut, ...]]:
    entries: dict[str, ZipEntry] = {}
    left_out: list[LeftOut] = []
    for index, info in enumerate(infos):
        name = _name_of(info).replace("\\", "/")
        if info.is_dir():
            continue
        reason = _reason(info, name)
        if not reason and name in entries:
            reason = "there is another file of this name in the archive, which was taken"
        if reason:
            left_out.append(LeftOut(name, reason))
        else:
            entries[name] = ZipEntry(name, info.file_size, index)
    return tuple(entries.values()), tuple(left_out)


def _name_of(info: zipfile.ZipInfo) -> str:
    """The name of an entry in composed letters (NFC). Bytes that are UTF-8 are read so although nothing says it.

    Many packers write UTF-8, or what their system uses, without the flag that tells; zipfile takes it for code page 437
    then. A name of another code page is hardly ever UTF-8 by chance.
    """
    name = info.filename
    if not info.flag_bits & UTF8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name)


def _reason(info: zipfile.ZipInfo, name: str) -> str:
    """Why an entry is not read; empty when it is."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
        return "its name leads out of the archive; pack it again from inside its folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link to another file; pack the file itself"
    if info.flag_bits & 0x1:
        return "it is encrypted; pack it without a password"
    if path.suffix.lower() in ARCHIVES:
        return "it is an archive in the archive; unpack it first"
    if info.compress_type not in METHODS:
        method = REFUSED_METHODS.get(info.compress_type, f"method {info.compress_type}")
        return f"it is packed by {method}, which is not unpacked here; pack it as an ordinary zip"
    return ""


def _size(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _cause(failure: BaseException) -> str:
    return str(failure).partition("\n")[0] or type(failure).__name__
