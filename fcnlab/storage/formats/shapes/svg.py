"""SVG: outlines of regions, one drawing per image, as large as the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from fcnlab.storage.formats.format import SHAPES, Format, Need
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Region, Subject, WholeFile


@dataclass(frozen=True, slots=True)
class Svg(PerImageWriter):
    """A path per region, filled by the even-odd rule, in a group per class; units are pixels of the image."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The regions of the image as an SVG file."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{image.width}" height="{image.height}" '
            f'viewBox="0 0 {image.width} {image.height}">',
            f"<title>{escape(image.name)}</title>",
        ]
        for label in self.subject.objects():
            paths = [_path(region) for region in image.regions if region.class_id == label.id]
            if paths:
                lines.append(
                    f'<g id="class-{label.id}" data-name={quoteattr(label.name)} fill={quoteattr(label.colour)} '
                    'fill-rule="evenodd">'
                )
                lines += [*paths, "</g>"]
        yield WholeFile(f"svg/{image.place}.svg", ("\n".join([*lines, "</svg>"]) + "\n").encode())


def _path(region: Region) -> str:
    rings = [ring for piece in region.pieces for ring in (piece.outer, *piece.holes)]
    drawn = "".join(f"M{' '.join(f'{col},{row}' for row, col in ring.tolist())}Z" for ring in rings)
    return f'<path d="{drawn}"/>'


FORMATS = (
    Format(
        "svg",
        "SVG",
        "outlines to draw with",
        SHAPES,
        295,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Svg(options.subject),
    ),
)
