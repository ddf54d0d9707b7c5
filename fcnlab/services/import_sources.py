"""From where images come in: files, folders, zip archives and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Protocol, cast

from fcnlab.adapters.filestore import Source, staged
from fcnlab.adapters.images import FORMATS, SUFFIXES, is_nameless_image
from fcnlab.adapters.remote import RemoteRules, blocks_of_uri, file_name, is_uri, listed
from fcnlab.adapters.zips import STARTS as ZIP_STARTS
from fcnlab.adapters.zips import ZipArchive, is_zip, open_zip
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.importing import ImportProgress, clean_file_name, import_files, require_project

ACCEPTED = (*sorted(suffix.removeprefix(".") for suffix in SUFFIXES), "zip")
"""Endings of the files that may be uploaded."""

WELCOME = f"{FORMATS}; stacks of them, or a zip archive"


def import_folder(lab: Lab, folder: Path, *, project_id: int, allow_anywhere: bool = False) -> Iterator[ImportProgress]:
    """Import all images in a folder of this machine and the folders in it, in the order of their names.

    An image is called by its path inside the folder. Hidden files, and files with other endings, are passed over.

    Args:
        lab: the installation.
        folder: must lie in one of `settings.import_roots`, with links followed.
        project_id: where they go.
        allow_anywhere: the caller sits at this machine and may read any folder.

    Raises:
        ImportRefused: at once, when the folder does not exist, lies elsewhere, or holds no image.
        UnknownProject: at once, when there is no such project.
    """
    base = folder.expanduser().resolve()
    roots = None if allow_anywhere else [root.expanduser().resolve() for root in lab.settings.import_roots]
    _refuse_folder(folder, base=base, roots=roots)
    found = sorted(path for path in base.rglob("*") if _is_wanted(path, base=base))
    if not found:
        raise ImportRefused(f"{folder} holds no image: no file ends in {', '.join(sorted(SUFFIXES))}")
    files = [(path.relative_to(base).as_posix(), path) for path in found]
    inside = [(name, path) for name, path in files if _is_inside(path.resolve(), roots)]
    return import_files(lab, inside, project_id=project_id)


def import_zip(lab: Lab, source: Path | BinaryIO, *, name: str, project_id: int) -> Iterator[ImportProgress]:
    """Import all images in a zip archive, in the order of the archive, without unpacking it.

    An image is called by its path inside the archive. Hidden files, and files with other endings, are passed over;
    entries that cannot be trusted are named with the reason.

    Args:
        lab: the installation.
        source: the archive, or its path.
        name: what the user calls it.
        project_id: where the images go.

    Raises:
        ImportRefused: at once, when it is no zip archive, damaged, would unpack to too much, or holds no image.
        UnknownProject: at once, when there is no such project.
    """
    archive = open_zip(source, name=name)
    files = _files_of_zip(archive, name=name)
    if not files:
        archive.close()
        raise ImportRefused(f"{name} holds no image: no file ends in {', '.join(sorted(SUFFIXES))}")
    steps = import_files(lab, files, project_id=project_id)
    return _closing(archive, steps)


class Upload(Protocol):
    """A file that a browser sent: its name, and what can be read of it."""

    name: str

    def getbuffer(self) -> memoryview:
        """All of it."""

    def read(self, size: int = -1, /) -> bytes:
        """Some of it."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place in it."""


def import_uploads(lab: Lab, files: Sequence[Upload], *, project_id: int) -> Iterator[ImportProgress]:
    """Import files that a browser sent, each an image, a stack, or a zip archive of them."""
    plain = [file for file in files if not _is_archive(file)]
    yield from import_files(lab, [(file.name, file.getbuffer()) for file in plain], project_id=project_id)
    for file in files:
        if _is_archive(file):
            name = clean_file_name(file.name)
            try:
                yield from import_zip(lab, cast(BinaryIO, file), name=name, project_id=project_id)
            except ImportRefused as refusal:
                yield ImportProgress(1, 1, name, refused=str(refusal))


def import_path(lab: Lab, path: Path, *, project_id: int, allow_anywhere: bool = False) -> Iterator[ImportProgress]:
    """Import a file, a folder, or a zip archive of this machine; see `import_folder` and `import_zip`."""
    if path.is_dir():
        return import_folder(lab, path, project_id=project_id, allow_anywhere=allow_anywhere)
    if not allow_anywhere:
        roots = [root.expanduser().resolve() for root in lab.settings.import_roots]
        _refuse_outside(path, base=path.expanduser().resolve(), roots=roots)
    if is_zip(path):
        return import_zip(lab, path, name=path.name, project_id=project_id)
    return import_files(lab, [(path.name, path)], project_id=project_id)


def allows_uris(lab: Lab) -> bool:
    """Whether there is any address one may import from."""
    return bool(lab.settings.import_schemes)


def import_named(lab: Lab, text: str, *, project_id: int) -> Iterator[ImportProgress]:
    """Import what somebody at this machine names: an address, a path, or a pattern like `photos/**/*.tif`.

    Raises:
        ImportRefused: at once, when it is nothing that can be imported.
        UnknownProject: at once, when there is no such project.
    """
    if is_uri(text):
        return import_uri(lab, text, project_id=project_id)
    path = Path(text)
    if path.exists() or not any(letter in text for letter in "*?["):
        return import_path(lab, path, project_id=project_id, allow_anywhere=True)
    try:
        found = [one for one in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))) if one.is_file()]
    except (NotImplementedError, ValueError) as failure:
        raise ImportRefused(f"{text} is no pattern ({failure}): write it like 'photos/**/*.tif'") from failure
    if not found:
        raise ImportRefused(f"{text} fits no file; check the pattern")
    return import_files(lab, [(str(one), one) for one in found], project_id=project_id)


def import_uri(lab: Lab, uri: str, *, project_id: int) -> Iterator[ImportProgress]:
    """Import what an address stands for: an image, a stack, a zip archive of images, or by a pattern several of them.

    Raises:
        ImportRefused: at once, when the settings do not allow it, or nothing can be listed there.
        UnknownProject: at once, when there is no such project.
    """
    settings = lab.settings
    rules = RemoteRules(
        tuple(scheme.lower() for scheme in settings.import_schemes),
        settings.import_hosts,
        settings.import_private,
        settings.import_max_mb * 1_000_000,
        settings.import_seconds,
    )
    require_project(lab, project_id=project_id)
    return _fetched(lab, listed(uri, rules), rules, project_id=project_id)


def _fetched(lab: Lab, uris: Sequence[str], rules: RemoteRules, *, project_id: int) -> Iterator[ImportProgress]:
    for done, uri in enumerate(uris, start=1):
        name = clean_file_name(file_name(uri))
        if len(uris) > 1 and PurePosixPath(name).suffix.lower() not in (*SUFFIXES, ".zip"):
            continue
        try:
            blocks = partial(blocks_of_uri, uri, rules)
            if PurePosixPath(name).suffix.lower() == ".zip":
                with staged(blocks, folders=lab.folders, name=name) as copy:
                    yield from import_zip(lab, copy.path, name=name, project_id=project_id)
                continue
            for step in import_files(lab, [(name, blocks)], project_id=project_id):
                yield replace(step, done=done, total=len(uris))
        except ImportRefused as refusal:
            yield ImportProgress(done, len(uris), name, refused=str(refusal))


def _files_of_zip(archive: ZipArchive, *, name: str) -> list[tuple[str, Source | ImportRefused]]:
    files: list[tuple[str, Source | ImportRefused]] = [
        (entry.name, partial(archive.blocks, entry))
        for entry in archive.entries
        if not _is_hidden(entry.name) and PurePosixPath(entry.name).suffix.lower() in SUFFIXES
    ]
    refused = [
        (one.name, ImportRefused(f"{clean_file_name(one.name)} in {name} is left out: {one.reason}"))
        for one in archive.left_out
        if not _is_hidden(one.name)
    ]
    return [*files, *refused]


def _is_archive(file: Upload) -> bool:
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in ZIP_STARTS or file.name.lower().endswith(".zip")


def _closing(archive: ZipArchive, steps: Iterator[ImportProgress]) -> Iterator[ImportProgress]:
    with archive:
        yield from steps


def _refuse_folder(folder: Path, *, base: Path, roots: list[Path] | None) -> None:
    _refuse_outside(folder, base=base, roots=roots)
    if not base.is_dir():
        raise ImportRefused(f"there is no folder {folder} on the server; check its spelling")


def _refuse_outside(folder: Path, *, base: Path, roots: list[Path] | None) -> None:
    if not _is_inside(base, roots):
        allowed = ", ".join(str(root) for root in roots or []) or "none yet"
        raise ImportRefused(
            f"{folder} is outside the folders that may be imported ({allowed}); ask whoever runs the server to "
            "add it to FCNLAB_IMPORT_ROOTS"
        )


def _is_inside(path: Path, roots: list[Path] | None) -> bool:
    return roots is None or any(path.is_relative_to(root) for root in roots)


def _is_wanted(path: Path, *, base: Path) -> bool:
    if _is_hidden(path.relative_to(base)) or not (path.suffix.lower() in SUFFIXES or not path.suffix):
        return False
    return path.is_file() and (bool(path.suffix) or is_nameless_image(path))


def _is_hidden(path: str | PurePath) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in PurePosixPath(path).parts)
