"""The run-length code of Label Studio's brush: a bit stream over the four channels of a picture, in row order.

After 32 bits with the number of values come 5 bits with the bits per value less one, and four times 4 bits with the
widths of counts less one. Then, until all values are there: one bit that says whether one value repeats, two bits that
choose a width, a count less one in that width, and the value, or as many values as the count says (the format is that
of https://www.npmjs.com/package/@thi.ng/rle-pack). Alpha, the fourth channel, says what is painted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import ImportRefused

CHANNELS = 4
VALUE_BITS = 8
COUNT_BITS = (3, 4, 8, 16)
LONGEST = 1 << COUNT_BITS[-1]
PAINTED = 255


def encode_brush(is_painted: NDArray[np.bool_]) -> list[int]:
    """The bytes of the code for pixels (H, W) bool."""
    flat = is_painted.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0) * CHANNELS
    head = format(flat.size * CHANNELS, "032b") + format(VALUE_BITS - 1, "05b")
    parts = [head, *(format(bits - 1, "04b") for bits in COUNT_BITS)]
    for end, length in zip(ends.tolist() if flat.size else (), lengths.tolist(), strict=False):
        value = format(PAINTED if flat[end - 1] else 0, "08b")
        while length > 0:
            count = min(length, LONGEST) - 1
            length -= LONGEST
            choice = next(index for index, bits in enumerate(COUNT_BITS) if count < 1 << bits)
            parts.append(f"1{choice:02b}{count:0{COUNT_BITS[choice]}b}{value}")
    bits = np.frombuffer("".join(parts).encode(), np.uint8) - ord("0")
    return np.packbits(bits).tolist()


def decode_brush(code: Sequence[int], hw: tuple[int, int], *, what: str) -> NDArray[np.bool_]:
    """Painted pixels (H, W) bool of a code.

    Args:
        code: bytes, 0 to 255.
        hw: of the image.
        what: where the code stands, for messages.

    Raises:
        ImportRefused: it is no such code, ends early, or is of an image of another size.
    """
    wanted = hw[0] * hw[1] * CHANNELS
    try:
        stream = _Bits(bytes(code))
        total, width = stream.number(32), stream.number(5) + 1
        if total != wanted:
            raise ImportRefused(
                f"{what}: a brush of {total // CHANNELS} pixels does not fit an image of {hw[1]} x {hw[0]}: export "
                "the labels again, with the image they belong to"
            )
        sizes = [stream.number(4) + 1 for _ in range(4)]
        values = np.zeros(wanted, np.uint8)
        at = 0
        while at < wanted:
            is_run = stream.number(1)
            end = at + 1 + stream.number(sizes[stream.number(2)])
            if end > wanted:
                raise ValueError("a run is too long")
            values[at:end] = stream.number(width) & 255 if is_run else [stream.number(width) for _ in range(at, end)]
            at = end
    except (ValueError, TypeError, OverflowError) as failure:
        raise ImportRefused(f"{what}: the brush is damaged ({failure}): export the labels again") from failure
    return np.asarray(values.reshape(*hw, CHANNELS)[..., -1] > 0)


class _Bits:
    """A reader of bits, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._text = "".join(map("{:08b}".format, data))
        self._at = 0

    def number(self, count: int) -> int:
        """The next bits as a number. Raises ValueError at the end."""
        end = self._at + count
        if end > len(self._text):
            raise ValueError("it ends early")
        value = int(self._text[self._at : end], 2)
        self._at = end
        return value
