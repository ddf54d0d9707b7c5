"""A frozen network run by onnxruntime: on a processor in half the time that torch takes, and equal to rounding."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcnlab.threads import Beside, one_at_a_time

INPUT = "picture"
PROBE_HW = (64, 96)
TOLERANCE = 1e-3
"""Of a map's largest value."""

OPSET = 17
GIVE_BACK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
"""After each run. What a run takes it takes in large blocks: without them it waits twice as long for new memory."""


class OnnxNetwork:
    """A network that gives feature maps, as an onnxruntime session on as many threads as torch takes.

    Its outputs are the same on any number of threads. `between`, if there is one, is called again and again while it
    runs, by the thread that waits for it.
    """

    def __init__(self, file: bytes) -> None:
        self._file = file
        self.between: Callable[[], None] | None = None
        self._n_threads = torch.get_num_threads()
        self._session = self._opened()
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry(*GIVE_BACK)
        self._beside = Beside("encoder")

    def __call__(self, picture: Tensor) -> list[Tensor]:
        """Feature maps (1, C, h, w) float32 of a normalised picture (1, 3, H, W) float32."""
        if torch.get_num_threads() != self._n_threads:
            self._n_threads = torch.get_num_threads()
            self._session = self._opened()
        feed = {INPUT: picture.numpy()}
        if self.between is None:
            return _tensors(self._session.run(None, feed, self._options))
        return _tensors(self._beside.run(partial(self._session.run, None, feed, self._options), meanwhile=self.between))

    def __deepcopy__(self, _: dict[int, object]) -> OnnxNetwork:
        return self  # frozen: copies share it

    def _opened(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._n_threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # it takes memory for each size of picture
        options.log_severity_level = 3
        options.add_session_config_entry("session.disable_prepacking", "1")  # a second copy of the weights
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see fcnlab.threads
        return onnxruntime.InferenceSession(self._file, options, providers=["CPUExecutionProvider"])


def in_onnxruntime(network: nn.Module, *, between: Callable[[], None] | None = None) -> OnnxNetwork | None:
    """The network in onnxruntime; None where it cannot be written down, or says something else there.

    Args:
        network: on the CPU, in evaluation mode; takes (1, 3, H, W), gives a list of feature maps. It stays as it is.
        between: see `OnnxNetwork`.
    """
    try:
        runner = OnnxNetwork(_onnx_file(network))
        probe = torch.linspace(-1, 1, 3 * PROBE_HW[0] * PROBE_HW[1]).view(1, 3, *PROBE_HW)
        with torch.no_grad():
            agrees = all(_agree(*pair) for pair in zip(runner(probe), network(probe), strict=True))
    except Exception:  # exporter and runtime refuse in ways of their own
        return None
    runner.between = between
    return runner if agrees else None


@one_at_a_time  # the exporter keeps what it is at in one place of the process
def _onnx_file(network: nn.Module) -> bytes:
    file = io.BytesIO()
    sides = {INPUT: {2: "height", 3: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The exporter that traces: the newer one takes minutes to say the same.
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *PROBE_HW),),
            file,  # type: ignore[arg-type]  # a path by its declaration; files were always taken
            dynamo=False,
            input_names=[INPUT],
            dynamic_axes=sides,
            opset_version=OPSET,
        )
    return file.getvalue()


def _agree(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * float(theirs.abs().max()))


def _tensors(arrays: list[NDArray[np.float32]]) -> list[Tensor]:
    return [torch.from_numpy(array) for array in arrays]
