"""A frozen network run by onnxruntime: on a processor quicker than torch, and equal to rounding (docs/adr/0038)."""

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
TRACED_HW = (64, 96)
PROBED_HW = (160, 128)
"""Another size than the network is traced at: sizes that it works out itself would be constants of the file."""

NICENESS = 10
"""Of threads that encode while somebody may click: clicks and the browser go first."""

TOLERANCE = 1e-3
"""Of a map's largest value."""

OPSET = 17
GIVE_BACK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
"""The arena goes back to the system after each run; without an arena, a run waits twice as long for new memory."""


class OnnxNetwork:
    """A network that gives feature maps, as an onnxruntime session on as many threads as torch takes.

    Its outputs are the same on any number of threads. With `meanwhile` it runs in threads of low priority, and
    `meanwhile` is called again and again by the one that waits for it. Who calls the network there comes first: the run
    under way is broken off, and begins again afterwards.
    """

    def __init__(self, file: bytes, *, meanwhile: Callable[[], None] | None = None) -> None:
        self._file = file
        self._meanwhile = meanwhile
        self._beside = None if meanwhile is None else Beside("encoder", niceness=NICENESS)
        self._under_way: onnxruntime.RunOptions | None = None
        self._n_threads = torch.get_num_threads()
        self._session = self._opened()

    def __call__(self, picture: Tensor) -> list[Tensor]:
        """Feature maps (1, C, h, w) float32 of a normalised picture (1, 3, H, W) float32."""
        if torch.get_num_threads() != self._n_threads:
            self._n_threads = torch.get_num_threads()
            self._session = self._opened()
        run = partial(self._run, picture.numpy())
        arrays = run(_run_options()) if self._beside is None else self._first(self._beside, run)
        return [torch.from_numpy(array) for array in arrays]

    def _run(self, picture: NDArray[np.float32], options: onnxruntime.RunOptions) -> list[NDArray[np.float32]]:
        arrays: list[NDArray[np.float32]] = self._session.run(None, {INPUT: picture}, options)
        return arrays

    def _first(
        self, beside: Beside, run: Callable[[onnxruntime.RunOptions], list[NDArray[np.float32]]]
    ) -> list[NDArray[np.float32]]:
        """What a run gives that goes before the one under way, and is broken off itself by one that goes before it."""
        interrupted = self._under_way
        if interrupted is not None:
            interrupted.terminate = True
        try:
            while True:
                self._under_way = options = _run_options()
                try:
                    return beside.run(partial(run, options), meanwhile=self._meanwhile)
                except Exception:  # the runtime says in a way of its own that it was broken off
                    if not options.terminate:
                        raise
        finally:
            self._under_way = interrupted

    def __deepcopy__(self, _: dict[int, object]) -> OnnxNetwork:
        return self  # frozen: copies share it

    def _opened(self) -> onnxruntime.InferenceSession:
        opened = partial(_session, self._file, self._n_threads)
        return opened() if self._beside is None else self._beside.run(opened)


def _run_options() -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(*GIVE_BACK)
    return options


def _session(file: bytes, n_threads: int) -> onnxruntime.InferenceSession:
    """A session whose threads have the priority of the one that opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it takes memory for each size of picture
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")  # a second copy of the weights
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see fcnlab.threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def in_onnxruntime(network: nn.Module, *, between: Callable[[], None] | None = None) -> OnnxNetwork | None:
    """The network in onnxruntime; None where it cannot be written down, or says something else there.

    Args:
        network: on the CPU, in evaluation mode; takes (1, 3, H, W), gives a list of feature maps. It stays as it is.
        between: is called while it runs; see `OnnxNetwork`.
    """
    try:
        file = _onnx_file(network)
        runner = OnnxNetwork(file)
        probe = torch.linspace(-1, 1, 3 * PROBED_HW[0] * PROBED_HW[1]).view(1, 3, *PROBED_HW)
        with torch.no_grad():
            agrees = all(_agree(*pair) for pair in zip(runner(probe), network(probe), strict=True))
    except MemoryError:
        raise
    except Exception:  # exporter and runtime refuse in ways of their own
        return None
    if not agrees:
        return None
    return runner if between is None else OnnxNetwork(file, meanwhile=between)


@one_at_a_time  # the exporter keeps what it is at in one place of the process
def _onnx_file(network: nn.Module) -> bytes:
    file = io.BytesIO()
    sides = {INPUT: {2: "height", 3: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The exporter that traces: the newer one takes minutes to say the same.
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *TRACED_HW),),
            file,  # type: ignore[arg-type]  # a path by its declaration; files were always taken
            dynamo=False,
            input_names=[INPUT],
            dynamic_axes=sides,
            opset_version=OPSET,
        )
    return file.getvalue()


def _agree(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE * float(theirs.abs().max()))
