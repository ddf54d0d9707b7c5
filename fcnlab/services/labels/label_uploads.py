"""Label files that a browser sent, as files for as long as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fcnlab.errors import WITHOUT_ROOM, ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.images.importing import clean_file_name
from fcnlab.storage.files.whole_files import passing_folder


class SentFile(Protocol):
    """A file that a browser sent."""

    name: str

    def getbuffer(self) -> memoryview:
        """Its content."""


@contextmanager
def sent_labels(lab: Lab, files: Sequence[SentFile]) -> Iterator[tuple[Path, str]]:
    """A path of the files, and what to call them; gone after the block. Several files lie in one folder.

    Raises:
        ImportRefused: a name cannot be a file here, or two files have one name.
        StorageFull: there is no room for them.
    """
    names = [clean_file_name(file.name) for file in files]
    with passing_folder(lab.data_dir, prefix="labels") as folder:
        for name, file in zip(names, files, strict=True):
            path = folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    target.write(file.getbuffer())
            except FileExistsError as failure:
                raise ImportRefused(f"two of the files are called {name}: send them as a zip archive") from failure
            except OSError as failure:
                if failure.errno in WITHOUT_ROOM:
                    raise
                raise ImportRefused(f"{name} cannot be stored here ({failure.strerror}): rename it") from failure
        if len(names) == 1:
            yield folder / names[0], names[0]
        else:
            yield folder, f"{sorted(names)[0]} and {len(names) - 1} more"
