"""Writes the images of a project, each in every format asked for, and the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import astuple, dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.naming import export_stems
from fcnlab.core.images.painting import Painting
from fcnlab.core.images.palette import recoloured
from fcnlab.core.images.regions import tidied
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageInfo, StoredMask
from fcnlab.domain.project import IGNORE
from fcnlab.errors import ExportFailed, FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.export.formats import kept_classes, measured, needs, regions_for, writers_of
from fcnlab.services.export.manifest import described, manifest_of
from fcnlab.services.export.plan import NOTHING_LEARNED, ExportProgress, ProjectSnapshot, Runner, tried_again
from fcnlab.services.export.target import OpenTarget
from fcnlab.services.images.importing import read_picture
from fcnlab.services.labelling.painting import layers_of
from fcnlab.services.labelling.point_import import rows_by_image
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.predict.overlapping import overlapped
from fcnlab.storage.database import repository_strokes
from fcnlab.storage.database.engine import reading
from fcnlab.storage.exports.manifest import MANIFEST_NAME, manifest_json
from fcnlab.storage.exports.targets import DatasetWriter
from fcnlab.storage.files.filestore import find_original
from fcnlab.storage.files.png import read_mask
from fcnlab.storage.formats.format import Need
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Line, Spooled, Subject

IMAGES, LEFT_OUT = "manifest-images", "manifest-left-out"
"""Spools of the manifest."""


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """A mask on its way to the disk; `how` is what the manifest says about it."""

    mask: NDArray[np.uint8]
    how: dict[str, str]
    probabilities: tuple[tuple[int, ...], NDArray[np.float32]] | None


class ProjectWriter:
    """Writes one export.

    Args:
        lab: the installation.
        run: runs each step that computes.
        snapshot: the project.
        source: what predicts masks; None: nothing does.
        spec: what to write.
        images: of the snapshot, in order.
        splits: the part each image is in, by its id; empty when images are not split.
    """

    def __init__(
        self,
        lab: Lab,
        run: Runner,
        snapshot: ProjectSnapshot,
        source: MaskSource | None,
        spec: ExportSpec,
        images: list[ImageInfo],
        splits: Mapping[int, str],
    ) -> None:
        self._lab, self._run, self._snapshot, self._source, self._spec = lab, run, snapshot, source, spec
        self._images, self._splits = images, splits
        self._stems = export_stems([image.name for image in snapshot.images])
        self._subject = subject_of(snapshot, spec)
        self._clicked: dict[int, list[StoredPoint]] = {image_id: [] for image_id in snapshot.strokes}
        for stored in snapshot.points:
            if stored.image_id in self._clicked:
                self._clicked[stored.image_id].append(stored)
        self._points = rows_by_image(snapshot, images, {label.id for label in self._subject.classes})
        self.progress = ExportProgress("writing", 0, len(images))

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the bytes of the export."""
        digest = hashlib.sha256(manifest_json(manifest_of(self._snapshot, self._spec)))
        if self._lab.settings.csv_raw:
            digest.update(b"csv raw")
        for image in self._images:
            stored = self._snapshot.masks.get(image.id)
            kept = None if stored is None else [stored.file, stored.created_at.isoformat()]
            identity = [image.id, described(image), kept, self._splits.get(image.id), self._painted_from(image)]
            digest.update(json.dumps(identity, sort_keys=True).encode())
        return digest.hexdigest()

    def write(self, target: OpenTarget) -> Generator[ExportProgress, None, None]:
        """Write what is not finished yet, one step of progress per image, then the files about all of them."""
        files = DatasetWriter(target.target, target.spools, writers_of(self._spec, self._subject))
        self._go_on(target)
        steps = overlapped(
            list(enumerate(self._images, start=1))[target.journal.n_images :],
            read=lambda item: (item[1], self._stored(item[1])),
            work=lambda image_and_mask: self._made_or_refused(*image_and_mask),
            write=lambda item, made: self._written(target, files, item, made),
        )
        for outcome in steps:
            if outcome.refused is not None:
                raise outcome.refused
            assert outcome.kept is not None
            yield outcome.kept
        target.remember()
        if not self.progress.n_stored + self.progress.n_predicted:
            name, reason = self.progress.left_out[0]
            raise ExportFailed(f"no mask could be exported; {name}: {reason}")
        self._finish(target, files.finish())

    def _go_on(self, target: OpenTarget) -> None:
        """Take up what was counted before an interruption."""
        n_before = target.journal.n_images
        left_out = tuple((entry["image"], entry["reason"]) for entry in map(json.loads, target.spools.lines(LEFT_OUT)))
        counts = target.journal.counts
        self.progress = replace(
            self.progress,
            done=n_before,
            n_stored=counts.get("n_stored", 0),
            n_predicted=counts.get("n_predicted", 0),
            n_resumed=n_before,
            left_out=left_out,
        )

    def _stored(self, image: ImageInfo) -> tuple[StoredMask, NDArray[np.uint8]] | None:
        """The mask that a done image kept; None when it has none, or its file is gone or damaged."""
        stored = self._snapshot.masks.get(image.id)
        mask = read_mask(self._lab.folders.masks / stored.file) if stored is not None else None
        return None if stored is None or mask is None or mask.shape != image.hw else (stored, mask)

    def _made_or_refused(
        self, image: ImageInfo, kept: tuple[StoredMask, NDArray[np.uint8]] | None
    ) -> _Made | FcnlabError:
        """The mask of an image, or why there is none."""
        try:
            return tried_again(lambda: self._made(image, kept), name=image.name)
        except FcnlabError as failure:
            return failure

    def _made(self, image: ImageInfo, kept: tuple[StoredMask, NDArray[np.uint8]] | None) -> _Made:
        """The mask of an image, stored or predicted. Raises FcnlabError: there is none."""
        source, probabilities = self._source, None
        if source is not None and needs(self._spec, Need.PROBABILITIES):
            segmentation = self._run(lambda _: source.predict(image)).segmentation
            probabilities = segmentation.class_ids, segmentation.probabilities
        if kept is not None:
            stored, mask = kept
            how = {"mask": "stored", "model": stored.model, "point_set": stored.point_set_hash}
            return _Made(mask, how, probabilities)
        if source is None:
            raise ExportFailed(NOTHING_LEARNED)
        painting = self._painting(image)
        mask = self._run(lambda learner: predicted_mask(learner, image, source, painting=painting))
        chosen = self._snapshot.model
        model = {"model": chosen.file if chosen else "", "point_set": self._snapshot.point_set_hash}
        return _Made(mask, {"mask": "predicted", **model}, probabilities)

    def _painting(self, image: ImageInfo) -> Painting:
        """What was painted on the image at the moment of the export, whatever was undone since."""
        stroke_ids = self._snapshot.strokes.get(image.id)
        if not stroke_ids:
            return Painting((), image.hw)
        with reading(self._lab.sessions) as session:
            strokes = repository_strokes.strokes_by_ids(session, image_id=image.id, stroke_ids=stroke_ids)
        return Painting(layers_of(strokes, self._clicked[image.id]), image.hw)

    def _painted_from(self, image: ImageInfo) -> list[Any]:
        """All that decides `_painting`, without a look at any stroke."""
        clicks = [[stored.uid, *astuple(stored.point)] for stored in self._clicked.get(image.id, ())]
        return [self._snapshot.strokes.get(image.id), clicks]

    def _written(
        self, target: OpenTarget, files: DatasetWriter, item: tuple[int, ImageInfo], made: _Made | FcnlabError
    ) -> ExportProgress:
        """Write an image, or say why not; always on one thread, in the order of the images."""
        image_number, image = item
        before = self.progress
        stored, predicted, left_out = before.n_stored, before.n_predicted, before.left_out
        try:
            if isinstance(made, FcnlabError):
                raise made
            entry = self._entry(files, image_number, image, made)
            target.spools.add(_line(IMAGES, entry))
            stored += made.how["mask"] == "stored"
            predicted += made.how["mask"] == "predicted"
        except FcnlabError as failure:
            target.spools.add(_line(LEFT_OUT, {"image": image.name, "reason": str(failure)}))
            left_out = (*left_out, (image.name, str(failure)))
        target.finished_image({"n_stored": stored, "n_predicted": predicted})
        self.progress = replace(
            before, done=image_number, name=image.name, n_stored=stored, n_predicted=predicted, left_out=left_out
        )
        return self.progress

    def _entry(self, files: DatasetWriter, image_number: int, image: ImageInfo, made: _Made) -> dict[str, Any]:
        """Write the files of an image; its entry in the manifest."""
        spec, background = self._spec, self._subject.background
        kept = spec.kept(background)
        mask = tidied(made.mask, background=background, kept=kept, min_area=spec.min_area, fill_holes=spec.fill_holes)
        if (made.mask == IGNORE).any():
            raise ExportFailed(
                f"the mask of {image.name} has pixels without a class; reopen the image and mark it done"
            )
        counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
        split = self._splits.get(image.id, "")
        picture = cache(partial(read_picture, self._lab, image))
        regions = regions_for(spec, mask, background)
        exported = ExportedImage(
            number=image_number,
            name=image.name,
            stem=self._stems[image.name],
            split=split,
            mask=mask,
            regions=regions,
            picture=picture,
            original=partial(find_original, self._lab.folders, content_hash=image.content_hash),
            is_turned=image.turned,
            probabilities=made.probabilities,
            points=self._points.get(image.id, ()),
            measures=lambda: measured(regions, picture(), image.recipe, image.pixel_size),
        )
        pixels = {str(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts)}
        named = {"split": split} if split else {}
        written = files.add(exported)
        return {**described(image), **made.how, **named, "pixels_per_class": pixels, "files": written}

    def _finish(self, target: OpenTarget, tables: dict[str, str]) -> None:
        """Write the manifest, last of all."""
        head = {**manifest_of(self._snapshot, self._spec), "tables": tables}
        parts = (
            manifest_json(head).removesuffix(b"\n}\n") + b',\n "images": [\n',
            Spooled(IMAGES, b","),
            b' ],\n "left_out": [\n',
            Spooled(LEFT_OUT, b","),
            b" ]\n}\n",
        )
        target.target.add_stream(MANIFEST_NAME, target.spools.assembled(Assembly(MANIFEST_NAME, parts)))


def subject_of(snapshot: ProjectSnapshot, spec: ExportSpec) -> Subject:
    """What the files of an export are about: only the classes that stay, each in a colour of its own."""
    background = snapshot.project.background
    by_id = {label.id: label for label in recoloured((*snapshot.project.classes, *snapshot.removed))}
    return Subject(
        title=snapshot.project.name,
        classes=tuple(by_id[label.id] for label in kept_classes(snapshot.project.classes, spec, background)),
        removed=tuple(by_id[label.id] for label in snapshot.removed) if spec.class_ids is None else (),
        background=background,
        splits=spec.splits,
    )


def _line(spool: str, value: dict[str, Any]) -> Line:
    return Line(spool, json.dumps(value, ensure_ascii=False).encode())
