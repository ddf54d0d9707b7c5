"""CVAT XML 1.1 "for images": one document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from fcnlab.storage.formats.format import Assembly, ExportedImage, Line, Region, Spooled, Subject


@dataclass(frozen=True, slots=True)
class Cvat:
    """A region in one piece without holes is a polygon, any other a mask: CVAT's polygons have no holes."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The element of the image."""
        subset = f" subset={quoteattr(image.split)}" if image.split else ""
        head = (
            f'<image id="{image.number - 1}" name={quoteattr(image.name)}{subset} '
            f'width="{image.width}" height="{image.height}"'
        )
        shapes = "".join(f"\n    {self._shape(region)}" for region in image.regions)
        yield Line("cvat", (f"  {head}>{shapes}\n  </image>" if shapes else f"  {head}/>").encode())

    def of_all(self) -> Iterator[Assembly]:
        """The document."""
        labels = "".join(
            f"\n        <label><name>{escape(label.name)}</name><color>{label.colour.lower()}</color>"
            "<type>any</type><attributes></attributes></label>"
            for label in self.subject.objects()
        )
        head = (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
            f"      <name>{escape(self.subject.title)}</name>\n      <labels>{labels}\n      </labels>\n"
            "    </task>\n  </meta>\n"
        )
        yield Assembly("cvat/annotations.xml", (head.encode(), Spooled("cvat"), b"</annotations>\n"))

    def _shape(self, region: Region) -> str:
        label = quoteattr(self.subject.name_of(region.class_id))
        common = f'label={label} source="manual" occluded="0"'
        pieces = region.pieces
        if len(pieces) == 1 and not pieces[0].holes:
            corners = ";".join(f"{col},{row}" for row, col in pieces[0].outer.tolist())
            return f'<polygon {common} points="{corners}" z_order="0"/>'
        flat = region.inside.ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        counts = np.diff(np.concatenate([[0], [0] if flat[0] else [], changes, [flat.size]]).astype(np.int64))
        runs = ", ".join(map(str, counts.tolist()))
        box = f'left="{region.left}" top="{region.top}" width="{region.width}" height="{region.height}"'
        return f'<mask {common} rle="{runs}" {box} z_order="0"/>'
