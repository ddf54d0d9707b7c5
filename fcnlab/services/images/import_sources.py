"""From where images come in: files, folders, zip archives and addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Protocol, cast

from fcnlab.errors import ImportRefused, NotAnImage
from fcnlab.lab import Lab
from fcnlab.services.images.importing import ImportProgress, clean_file_name, import_files, require_project
from fcnlab.storage.files.filestore import Source, staged
from fcnlab.storage.files.remote import RemoteRules, blocks_of_uri, file_name, is_uri, listed
from fcnlab.storage.files.zips import STARTS as ZIP_STARTS
from fcnlab.storage.files.zips import ZipArchive, is_zip, open_zip
from fcnlab.storage.image_readers.registry import FORMATS, SUFFIXES, is_nameless_image

WELCOME = f"{FORMATS}; stacks of them, or a zip archive"

MASK_ENDING = re.compile(
    r"(?i)(.+)[-_. ](?:masks?|seg(?:mentation)?s?|labels?|labelids|annotations?|annot|gt|groundtruth)"
)
"""What the stem of a mask is called beside that of its picture."""

Files = list[tuple[str, Source | ImportRefused]]


def import_folder(
    lab: Lab, folder: Path, *, project_id: int, allow_anywhere: bool = False, with_masks: bool = False
) -> Iterator[ImportProgress]:
    """Import all images in a folder of this machine and the folders in it, in the order of their names.

    An image is called by its path inside the folder. Hidden files are passed over; files of other kinds, and masks of
    pictures beside them, are named and set aside.

    Args:
        lab: the installation.
        folder: must lie in one of `settings.import_roots`, with links followed.
        project_id: where they go.
        allow_anywhere: the caller sits at this machine and may read any folder.
        with_masks: masks are images like others.

    Raises:
        ImportRefused: at once, when the folder does not exist, lies elsewhere, or holds no image.
        UnknownProject: at once, when there is no such project.
    """
    base = folder.expanduser().resolve()
    roots = None if allow_anywhere else [root.expanduser().resolve() for root in lab.settings.import_roots]
    _refuse_folder(folder, base=base, roots=roots)
    paths = sorted(path for path in base.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(base)))
    files: Files = [
        (path.relative_to(base).as_posix(), path if _is_image(path) else _of_another_kind(path.name))
        for path in paths
        if _is_inside(path.resolve(), roots)
    ]
    if all(isinstance(source, NotAnImage) for _, source in files):
        raise _no_image(str(folder), [name for name, _ in files])
    return import_files(lab, _told_from_masks(files, with_masks=with_masks), project_id=project_id)


def import_zip(
    lab: Lab, source: Path | BinaryIO, *, name: str, project_id: int, with_masks: bool = False
) -> Iterator[ImportProgress]:
    """Import all images in a zip archive, in the order of the archive, without unpacking it.

    An image is called by its path inside the archive. Hidden files are passed over; files of other kinds, masks of
    pictures beside them, and entries that cannot be trusted are named with the reason.

    Args:
        lab: the installation.
        source: the archive, or its path.
        name: what the user calls it.
        project_id: where the images go.
        with_masks: masks are images like others.

    Raises:
        ImportRefused: at once, when it is no zip archive, damaged, would unpack to too much, or holds no image.
        UnknownProject: at once, when there is no such project.
    """
    archive = open_zip(source, name=name)
    files = _files_of_zip(archive, name=name)
    if all(isinstance(source, NotAnImage) for _, source in files):
        archive.close()
        raise _no_image(name, [entry for entry, _ in files])
    steps = import_files(lab, _told_from_masks(files, with_masks=with_masks), project_id=project_id)
    return _closing(archive, steps)


class Upload(Protocol):
    """A file that a browser sent: its name, and what can be read of it."""

    name: str

    def getbuffer(self) -> memoryview:
        """The whole content."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes of the content."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a byte of the content."""


def import_uploads(
    lab: Lab, files: Sequence[Upload], *, project_id: int, with_masks: bool = False
) -> Iterator[ImportProgress]:
    """Import files that a browser sent, each an image, a stack, or a zip archive of them; `with_masks` as for folders.

    Files of other kinds are named and set aside.
    """
    single_files: Files = [
        (file.name, file.getbuffer() if _may_be_image(file.name) else _of_another_kind(file.name))
        for file in files
        if not _is_archive(file)
    ]
    yield from import_files(lab, _told_from_masks(single_files, with_masks=with_masks), project_id=project_id)
    for file in files:
        if _is_archive(file):
            name = clean_file_name(file.name)
            try:
                archive = cast(BinaryIO, file)
                yield from import_zip(lab, archive, name=name, project_id=project_id, with_masks=with_masks)
            except ImportRefused as refusal:
                yield ImportProgress(1, 1, name, refused=str(refusal))


def import_path(
    lab: Lab, path: Path, *, project_id: int, allow_anywhere: bool = False, with_masks: bool = False
) -> Iterator[ImportProgress]:
    """Import a file, a folder, or a zip archive of this machine; see `import_folder` and `import_zip`."""
    if path.is_dir():
        return import_folder(lab, path, project_id=project_id, allow_anywhere=allow_anywhere, with_masks=with_masks)
    if not allow_anywhere:
        roots = [root.expanduser().resolve() for root in lab.settings.import_roots]
        _refuse_outside(path, base=path.expanduser().resolve(), roots=roots)
    if is_zip(path):
        return import_zip(lab, path, name=path.name, project_id=project_id, with_masks=with_masks)
    return import_files(lab, [(path.name, path)], project_id=project_id)


def allows_uris(lab: Lab) -> bool:
    """Whether the settings allow to import from any address."""
    return bool(lab.settings.import_schemes)


def import_named(lab: Lab, text: str, *, project_id: int, with_masks: bool = False) -> Iterator[ImportProgress]:
    """Import what somebody at this machine names: an address, a path, or a pattern like `photos/**/*.tif`.

    A single file is taken for an image whatever it is called; else `with_masks` is as for folders.

    Raises:
        ImportRefused: at once, when it is nothing that can be imported.
        UnknownProject: at once, when there is no such project.
    """
    if is_uri(text):
        return import_uri(lab, text, project_id=project_id, with_masks=with_masks)
    path = Path(text)
    if path.exists() or not any(letter in text for letter in "*?["):
        return import_path(lab, path, project_id=project_id, allow_anywhere=True, with_masks=with_masks)
    try:
        matches = [
            match for match in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))) if match.is_file()
        ]
    except (NotImplementedError, ValueError) as failure:
        raise ImportRefused(f"{text} is no pattern ({failure}): write it like 'photos/**/*.tif'") from failure
    if not matches:
        raise ImportRefused(f"{text} fits no file; check the pattern")
    files: Files = [(str(match), match if _is_image(match) else _of_another_kind(match.name)) for match in matches]
    return import_files(lab, _told_from_masks(files, with_masks=with_masks), project_id=project_id)


def import_uri(lab: Lab, uri: str, *, project_id: int, with_masks: bool = False) -> Iterator[ImportProgress]:
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
    return _fetched(lab, listed(uri, rules), rules, project_id=project_id, with_masks=with_masks)


def _fetched(
    lab: Lab, uris: Sequence[str], rules: RemoteRules, *, project_id: int, with_masks: bool
) -> Iterator[ImportProgress]:
    masks = {} if with_masks else masks_beside([clean_file_name(file_name(uri)) for uri in uris])
    for done, uri in enumerate(uris, start=1):
        name = clean_file_name(file_name(uri))
        try:
            if len(uris) > 1 and PurePosixPath(name).suffix.lower() not in (*SUFFIXES, ".zip"):
                raise NotAnImage(str(_of_another_kind(name)))
            if name in masks:
                raise mask_of(name, masks[name])
            blocks = partial(blocks_of_uri, uri, rules)
            if PurePosixPath(name).suffix.lower() == ".zip":
                with staged(blocks, folders=lab.folders, name=name) as copy:
                    yield from import_zip(lab, copy.path, name=name, project_id=project_id, with_masks=with_masks)
                continue
            for step in import_files(lab, [(name, blocks)], project_id=project_id):
                yield replace(step, done=done, total=len(uris))
        except ImportRefused as refusal:
            is_set_aside = isinstance(refusal, NotAnImage)
            yield ImportProgress(done, len(uris), name, refused=str(refusal), is_set_aside=is_set_aside)


def masks_beside(names: Sequence[str]) -> dict[str, str]:
    """Which of these image files are masks of others in the same folder, by their names alone: mask -> picture.

    >>> masks_beside(["a/plant.jpg", "a/plant_mask.png", "b/other_mask.png"])
    {'a/plant_mask.png': 'a/plant.jpg'}
    """
    by_stem = {str(PurePosixPath(name).with_suffix("")).casefold(): name for name in names}
    masks = {}
    for name in names:
        path = PurePosixPath(name)
        ending = MASK_ENDING.fullmatch(path.stem)
        picture = by_stem.get(str(path.with_name(ending[1])).casefold()) if ending else None
        if picture is not None:
            masks[name] = picture
    return masks


def _told_from_masks(files: Files, *, with_masks: bool) -> Files:
    """The same files, masks of others among them set aside unless they are wanted."""
    images = [name for name, source in files if not isinstance(source, ImportRefused)]
    masks = {} if with_masks else masks_beside(images)
    return [(name, mask_of(name, masks[name]) if name in masks else source) for name, source in files]


def mask_of(name: str, picture: str) -> NotAnImage:
    """The refusal of a file that looks like the mask of another one."""
    return NotAnImage(
        f"{name} looks like the mask of {PurePosixPath(picture).name} beside it: import it as labels, or choose that "
        "masks are images too (--with-masks)"
    )


def _of_another_kind(name: str) -> NotAnImage:
    return NotAnImage(f"{name} is no image file: those that are read are {FORMATS}")


def _no_image(where: str, names: Sequence[str]) -> ImportRefused:
    held = f" (it holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
    return ImportRefused(f"{where} holds no image{held}: no file ends in {', '.join(sorted(SUFFIXES))}")


def _files_of_zip(archive: ZipArchive, *, name: str) -> Files:
    files: Files = [
        (entry.name, partial(archive.blocks, entry) if _has_image_ending(entry.name) else _of_another_kind(entry.name))
        for entry in archive.entries
        if not _is_hidden(entry.name)
    ]
    refused = [
        (skipped.name, ImportRefused(f"{clean_file_name(skipped.name)} in {name} is left out: {skipped.reason}"))
        for skipped in archive.left_out
        if not _is_hidden(skipped.name)
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


def _has_image_ending(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _may_be_image(name: str) -> bool:
    """Whether an upload is read: DICOM files often have no ending."""
    return _has_image_ending(name) or not PurePosixPath(name).suffix


def _is_image(path: Path) -> bool:
    """Whether a file is one of those that are read, by its ending, or without one by its content."""
    return _has_image_ending(path.name) or is_nameless_image(path)


def _is_hidden(path: str | PurePath) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in PurePosixPath(path).parts)
