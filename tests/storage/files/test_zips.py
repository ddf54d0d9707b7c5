"""Laws of reading archives: nothing leads out, nothing unpacks without end, everything left out is named."""

from __future__ import annotations

import io
import stat
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.files.zips import ZipLimits, is_zip, open_zip


def packed(files: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer


def test_entries_come_in_order_and_whole() -> None:
    files = {"b/2.png": b"two" * 9, "a.png": b"one", "b/": b"", "läng.txt": b""}

    with open_zip(packed(files), name="files.zip") as archive:
        found = {entry.name: archive.read(entry) for entry in archive.entries}

    assert list(found.items()) == [("b/2.png", b"two" * 9), ("a.png", b"one"), ("läng.txt", b"")]
    assert archive.left_out == ()


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b.png", "/etc/a.png", "C:/a.png", "..\\a.png", "\\a.png", "a/../b.png"]
)
def test_a_name_that_leads_out_is_left_out(name: str) -> None:
    with open_zip(packed({name: b"1", "fine.png": b"2"}), name="files.zip") as archive:
        assert [entry.name for entry in archive.entries] == ["fine.png"]
        assert [one.name for one in archive.left_out] == [name.replace("\\", "/")]
        assert "leads out" in archive.left_out[0].reason


def test_links_nested_archives_and_second_files_of_a_name_are_left_out() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("more.zip", packed({"a": b"1"}).getvalue())
        archive.writestr("a.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", b"second")

    with open_zip(buffer, name="files.zip") as opened:
        assert [opened.read(entry) for entry in opened.entries] == [b"first"]
        assert [one.name for one in opened.left_out] == ["link.png", "more.zip", "a.png"]


@pytest.mark.parametrize(("offset", "value", "word"), [(8, 1, "encrypted"), (10, 97, "method 97")])
def test_what_cannot_be_unpacked_is_left_out(offset: int, value: int, word: str) -> None:
    data = bytearray(packed({"a.png": b"1" * 100}).getvalue())
    directory = data.index(b"PK\1\2")
    data[directory + offset] = value

    with open_zip(io.BytesIO(data), name="files.zip") as archive:
        assert archive.entries == ()
        assert word in archive.left_out[0].reason


def test_an_archive_that_unpacks_to_far_too_much_is_refused_without_unpacking() -> None:
    bomb = packed({f"{number}.png": bytes(20_000_000) for number in range(3)})

    tracemalloc.start()
    with pytest.raises(ImportRefused, match="would unpack to 60000000"):
        open_zip(bomb, name="bomb.zip")

    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_an_archive_larger_than_allowed_is_refused() -> None:
    files = packed({"a.png": bytes(1000)}, compression=zipfile.ZIP_STORED)

    with pytest.raises(ImportRefused, match="1000"):
        open_zip(files, name="large.zip", limits=ZipLimits(total_bytes=999))


def test_too_many_entries_are_refused_before_the_directory_is_read() -> None:
    many = packed({f"{number}.png": b"" for number in range(300)})

    with pytest.raises(ImportRefused, match="more than the 299 files"):
        open_zip(many, name="many.zip", limits=ZipLimits(entries=299))
    with open_zip(packed({f"{number}.png": b"" for number in range(300)}), name="many.zip") as archive:
        assert len(archive.entries) == 300


def test_an_entry_that_lies_about_its_size_gives_no_more_than_it_says() -> None:
    data = bytearray(packed({"a.png": bytes(5_000_000)}).getvalue())
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")

    with open_zip(io.BytesIO(data), name="liar.zip") as archive, pytest.raises(ImportRefused, match=r"a\.png"):
        archive.read(archive.entries[0])


def lying(data: bytes, *, true: int, said: int) -> io.BytesIO:
    """An archive whose entry says another size, in the directory and in front of the entry."""
    return io.BytesIO(data.replace(true.to_bytes(4, "little"), said.to_bytes(4, "little")))


@pytest.mark.parametrize(("method", "word"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_methods_that_unpack_without_a_limit_are_left_out(method: int, word: str) -> None:
    with open_zip(packed({"a.png": bytes(1000)}, compression=method), name="files.zip") as archive:
        assert archive.entries == ()
        assert word in archive.left_out[0].reason
        assert "pack it as an ordinary zip" in archive.left_out[0].reason


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_method_takes_the_memory_that_an_entry_hides(method: int) -> None:
    bomb = lying(packed({"a.png": bytes(60_000_000)}, compression=method).getvalue(), true=60_000_000, said=1000)

    tracemalloc.start()
    with open_zip(bomb, name="liar.zip") as archive:
        for entry in archive.entries:
            with pytest.raises(ImportRefused, match=r"a\.png"):
                archive.read(entry)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10_000_000


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_archive_is_refused_by_name(share: float) -> None:
    data = packed({"a.png": bytes(range(256)) * 50}).getvalue()

    with pytest.raises(ImportRefused, match=r"half\.zip"):
        open_zip(io.BytesIO(data[: int(len(data) * share)]), name="half.zip")


def test_random_damage_is_read_or_refused_but_never_a_crash() -> None:
    rng = np.random.default_rng(4)
    data = np.frombuffer(packed({"a.png": rng.bytes(300), "b/c.png": b"0" * 999}).getvalue(), np.uint8)
    said = []
    for _ in range(200):
        broken = data.copy()
        broken[rng.integers(0, len(broken), 6)] = rng.integers(0, 256, 6)
        try:
            with open_zip(io.BytesIO(broken.tobytes()), name="damaged.zip") as archive:
                assert all(len(archive.read(entry)) <= entry.size for entry in archive.entries)
        except ImportRefused as refusal:
            said.append(str(refusal))

    assert len(said) > 100
    assert all("damaged.zip" in one for one in said)


def test_an_entry_is_read_in_blocks() -> None:
    files = packed({"a.png": bytes(3_000_000)}, compression=zipfile.ZIP_STORED)

    with open_zip(files, name="files.zip") as archive:
        assert [len(block) for block in archive.blocks(archive.entries[0])] == [1 << 20, 1 << 20, 902_848]


def test_the_content_says_what_is_a_zip_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(packed({"a": b"1"}).getvalue())
    (tmp_path / "b.zip").write_bytes(b"hello")

    assert is_zip(tmp_path / "a.png")
    assert not is_zip(tmp_path / "b.zip")
    assert not is_zip(tmp_path / "missing.zip")


def with_raw_names(files: dict[bytes, bytes], *, says_utf8: bool) -> io.BytesIO:
    """An archive whose names are these bytes, with or without the flag that calls them UTF-8."""

    class Raw(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:
            return self.raw, self.flag_bits | (0x800 if says_utf8 else 0)

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (raw, data) in enumerate(files.items()):
            info = Raw(f"{number}")
            info.raw = raw
            archive.writestr(info, data)
    return buffer


@pytest.mark.parametrize("says_utf8", [True, False])
def test_names_whose_bytes_are_utf8_are_read_so_and_composed(says_utf8: bool) -> None:
    decomposed = unicodedata.normalize("NFD", "größe/ü.png").encode()
    files = {decomposed: b"one", "図/写真.png".encode(): b"two"}

    with open_zip(with_raw_names(files, says_utf8=says_utf8), name="mac.zip") as archive:
        assert {entry.name: archive.read(entry) for entry in archive.entries} == {
            "größe/ü.png": b"one",
            "図/写真.png": b"two",
        }


def test_names_of_other_bytes_are_taken_as_zip_always_took_them() -> None:
    raw = "größe.png".encode("cp437")

    with open_zip(with_raw_names({raw: b"one"}, says_utf8=False), name="dos.zip") as archive:
        assert [entry.name for entry in archive.entries] == ["größe.png"]
