"""Label Studio's brush code: out and in again, what others may write, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.shapes.label_studio_brush import decode_brush, encode_brush

HW = (7, 12)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_what_is_painted_comes_back(share: float) -> None:
    painted = np.random.default_rng(0).random((37, 91)) < share

    code = encode_brush(painted)

    assert all(0 <= one <= 255 for one in code)
    np.testing.assert_array_equal(decode_brush(code, (37, 91), what="here"), painted)


def test_runs_longer_than_a_count_can_say_come_back() -> None:
    painted = np.zeros((300, 401), bool)
    painted[200:, 3:] = True

    np.testing.assert_array_equal(decode_brush(encode_brush(painted), (300, 401), what="here"), painted)


def test_the_code_begins_as_the_format_says() -> None:
    code = encode_brush(np.ones(HW, bool))

    bits = "".join(f"{one:08b}" for one in code)
    assert int(bits[:32], 2) == 7 * 12 * 4
    assert int(bits[32:37], 2) == 7
    assert [int(bits[37 + 4 * k : 41 + 4 * k], 2) + 1 for k in range(4)] == [3, 4, 8, 16]
    assert bits[53:] == "1" + "11" + f"{7 * 12 * 4 - 1:016b}" + "11111111" + "0" * (len(bits) - 80)


def test_values_that_do_not_repeat_are_read_too() -> None:
    alpha = [0, 255, 0, 255]
    values = [v for a in alpha for v in (9, 9, 9, a)]
    bits = f"{16:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}" + "0" + "01" + f"{15:04b}"
    bits += "".join(f"{one:08b}" for one in values)
    code = np.packbits([int(one) for one in bits]).tolist()

    found = decode_brush(code, (2, 2), what="here")

    np.testing.assert_array_equal(found, [[False, True], [False, True]])


@pytest.mark.parametrize("code", [[], [1, 2, 3], [300], ["a"], [0] * 40, None])
def test_what_is_no_code_is_refused_by_its_place(code: object) -> None:
    with pytest.raises(ImportRefused, match="task 7"):
        decode_brush(code, HW, what="task 7")  # type: ignore[arg-type]


def test_a_code_that_ends_early_is_refused() -> None:
    whole = encode_brush(np.random.default_rng(1).random(HW) < 0.5)

    with pytest.raises(ImportRefused, match="damaged"):
        decode_brush(whole[: len(whole) // 2], HW, what="here")


def test_a_code_of_another_size_is_refused() -> None:
    with pytest.raises(ImportRefused, match="12 x 7"):
        decode_brush(encode_brush(np.zeros((5, 5), bool)), HW, what="here")
