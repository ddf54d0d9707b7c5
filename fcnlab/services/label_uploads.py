"""Label files that a browser sent, as files for as long as they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.importing import clean_file_name


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
    """
    names = [clean_file_name(file.name) for file in files]
    with tempfile.TemporaryDirectory(dir=lab.folders.images.parent, prefix="labels-", suffix=".part") as folder:
        for name, file in zip(names, files, strict=True):
            path = Path(folder) / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    target.write(file.getbuffer())
            except FileExistsError as failure:
                raise ImportRefused(f"two of the files are called {name}: send them as a zip archive") from failure
            except OSError as failure:
                raise ImportRefused(f"{name} cannot be stored here ({failure.strerror}): rename it") from failure
        if len(names) == 1:
            yield Path(folder) / names[0], names[0]
        else:
            yield Path(folder), f"{sorted(names)[0]} and {len(names) - 1} more"
