"""Label files in a zip archive, unpacked into a folder of their own."""

from __future__ import annotations

from pathlib import Path

from fcnlab.errors import WITHOUT_ROOM, ImportRefused
from fcnlab.storage.files.zips import LeftOut, ZipLimits, open_zip
from fcnlab.storage.formats.reading.values import MOST_BYTES

LIMITS = ZipLimits(total_bytes=20_000_000_000)
PICTURES = frozenset({".jpg", ".jpeg", ".webp"})
"""Endings that never hold labels: such files stay packed."""

SAYS_NO_SIZE = ".txt"
"""How label files end that do not say how large their images are."""


def unpack_labels(archive: Path, folder: Path, *, name: str, with_pictures: bool = False) -> tuple[LeftOut, ...]:
    """Write the files of an archive that may hold labels below a folder; returns those that cannot be read.

    Names were judged by the archive: none leads out of the folder.

    Args:
        archive: the zip file.
        folder: empty.
        name: what the user calls the archive.
        with_pictures: pictures too, where labels may need them to know their size.

    Raises:
        ImportRefused: no zip file, damaged, or larger than it may be.
        OSError: there is no room for them.
    """
    left_out: list[LeftOut] = []
    with open_zip(archive, name=name, limits=LIMITS) as opened:
        left_out += opened.left_out
        is_lacking = with_pictures and any(entry.name.lower().endswith(SAYS_NO_SIZE) for entry in opened.entries)
        for entry in opened.entries:
            path = folder / entry.name
            if path.suffix.lower() in PICTURES and not is_lacking:
                continue
            if entry.size > MOST_BYTES:
                left_out.append(LeftOut(entry.name, "it is larger than label files may be"))
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    for block in opened.blocks(entry):
                        file.write(block)
            except ImportRefused as refusal:
                path.unlink(missing_ok=True)
                left_out.append(LeftOut(entry.name, str(refusal)))
            except (OSError, ValueError) as failure:
                if isinstance(failure, OSError) and failure.errno in WITHOUT_ROOM:
                    raise
                left_out.append(LeftOut(entry.name, f"it cannot be unpacked ({failure.__class__.__name__})"))
    return tuple(left_out)
