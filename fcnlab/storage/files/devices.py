"""Which processor to compute on."""

from __future__ import annotations

from fcnlab.errors import InvalidSetting

KINDS = ("cpu", "cuda", "mps")


def pick_device(wanted: str) -> str:
    """A torch device name that works here; "auto" takes cuda, then mps, then cpu.

    Raises:
        InvalidSetting: the name is unknown or the device is not there.
    """
    import torch  # seconds of loading that opening a lab does not need

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted.partition(":")[0] not in KINDS:
        raise InvalidSetting(f"device {wanted!r} is unknown: write auto, {', '.join(KINDS)} or cuda:N")
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as failure:
        reason = str(failure).splitlines()[0]
        raise InvalidSetting(f"device {wanted!r} cannot be used here ({reason}): try 'auto' or 'cpu'") from failure
    return wanted
