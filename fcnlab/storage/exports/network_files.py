"""Networks as files for other tools: ONNX, and torch.export's .pt2. Batch, height and width stay open."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as tracing

from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.errors import ExportFailed

EXAMPLE_HW, OTHER_HW = (67, 101), (75, 49)
"""What a network is traced with, and checked with: odd sizes, so that padding and cropping are seen."""

SAME = 1e-3
"""Largest difference between logits that count as equal, in units of the largest logit (at least 1)."""

SAME_SHARE = 0.999
"""Share of logits that must be equal: where two pixels nearly tie for a maximum, rounding decides which is unpooled."""

NOTES_FILE = "notes.json"
"""Where the notes are inside a .pt2 file."""

INPUT, OUTPUT = "rgb", "logits"


def onnx_bytes(network: nn.Module, spec: NetworkSpec, *, notes: Mapping[str, str] | None = None) -> bytes:
    """An ONNX file of `exported_program`, checked in onnxruntime on a picture of another size.

    Args:
        notes: kept as the file's metadata, for example the names of the classes.

    Raises:
        ExportFailed: as `exported_program`, or the file gives other scores than the network.
    """
    import onnxruntime  # a second to import, and only exports need it

    program = exported_program(network, spec)
    with _explained(spec):
        traced = torch.onnx.export(program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False)
        model = traced.model_proto  # type: ignore[union-attr]
        for name, text in (notes or {}).items():
            model.metadata_props.add(key=name, value=text)
        data: bytes = model.SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        picture = _picture(spec)
        (scores,) = session.run([OUTPUT], {INPUT: picture.numpy()})
    _check_same(network, spec, picture, torch.from_numpy(scores))
    return data


def pt2_bytes(network: nn.Module, spec: NetworkSpec, *, notes: Mapping[str, str] | None = None) -> bytes:
    """A file of `exported_program` that torch.export.load opens, checked on a picture of another size.

    Args:
        notes: kept as JSON in the extra file NOTES_FILE.

    Raises:
        ExportFailed: as `exported_program`, or the file gives other scores than the network.
    """
    file = io.BytesIO()
    torch.export.save(exported_program(network, spec), file, extra_files={NOTES_FILE: json.dumps(dict(notes or {}))})
    picture = _picture(spec)
    file.seek(0)
    with torch.no_grad():
        scores: Tensor = torch.export.load(file).module()(picture)
    _check_same(network, spec, picture, scores)
    return file.getvalue()


def exported_program(network: nn.Module, spec: NetworkSpec) -> ExportedProgram:
    """The network as one graph: `rgb` (B, 3, H, W) float32, RGB in 0..1 -> logits (B, K, H, W).

    B, H and W are free; with fully connected layers H and W are those of the network.
    The network itself is not changed.

    Raises:
        ExportFailed: a sliding window, or an encoder that torch cannot trace.
    """
    if spec.network is NetworkName.SLIDING:
        raise ExportFailed(
            f"{spec.network} visits an image pixel by pixel, which no graph of open size can hold: export "
            f"{NetworkName.SLIDING_DENSE}, which has the same weights and gives the same scores"
        )
    if spec.network is NetworkName.LARGER_HEAD:
        raise ExportFailed(
            f"{spec.network} stands on colours and shapes that no network computes: use it from fcnlab, or train and "
            f"export {NetworkName.FCN2S}"
        )
    ready = with_fixed_padding(copy.deepcopy(network).cpu().float().eval())
    for layer in ready.modules():
        if getattr(layer, "inplace", False):
            layer.inplace = False  # type: ignore[assignment]  # writing in place takes three times as long to convert
    free = (0,) if spec.network is NetworkName.FULLY_CONNECTED else (0, 2, 3)
    example = torch.zeros(2, 3, *_side_lengths(spec, EXAMPLE_HW))
    # Else tracing takes maps of one cell, those of pictures of up to 32 pixels, for another case and shuts them out.
    with _explained(spec), torch.no_grad(), tracing.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(ready, (example,), dynamic_shapes=(dict.fromkeys(free, Dim.DYNAMIC),))


def with_fixed_padding(network: nn.Module) -> nn.Module:
    """The network with every timm convolution that pads by the size of its input made one that pads always alike.

    Equal for pictures whose sides are multiples of 32, as all encoders get them, and free of arithmetic on sizes that
    tracing cannot solve. Changes and returns `network`.
    """
    from timm.layers.conv2d_same import Conv2dSame

    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Conv2dSame):
                setattr(parent, name, _with_fixed_padding(layer))
    return network


def _with_fixed_padding(layer: nn.Conv2d) -> nn.Module:
    spans = [step * (kernel - 1) + 1 for kernel, step in zip(layer.kernel_size, layer.dilation, strict=True)]
    down, across = (max(span - stride, 0) for span, stride in zip(spans, layer.stride, strict=True))
    unpadded = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=layer.groups,
        bias=layer.bias is not None,
    )
    unpadded.load_state_dict(layer.state_dict())
    return nn.Sequential(nn.ZeroPad2d((across // 2, across - across // 2, down // 2, down - down // 2)), unpadded)


@contextmanager
def _explained(spec: NetworkSpec) -> Iterator[None]:
    """Failures of tracing and converting, which have no family of their own, as ExportFailed."""
    try:
        yield
    except Exception as failure:
        reason = str(failure).strip().partition("\n")[0]
        raise ExportFailed(
            f"{spec.network} with encoder {spec.encoder!r} cannot be exported ({type(failure).__name__}: {reason}): "
            "choose another encoder, or use the network from fcnlab"
        ) from failure


def _side_lengths(spec: NetworkSpec, wanted: tuple[int, int]) -> tuple[int, ...]:
    if spec.network is NetworkName.FULLY_CONNECTED and spec.input_hw is not None:
        return spec.input_hw
    return wanted


def _picture(spec: NetworkSpec) -> Tensor:
    """(1, 3, H, W): noise, of another size than the example where the network allows it."""
    return torch.rand(1, 3, *_side_lengths(spec, OTHER_HW), generator=torch.Generator().manual_seed(0))


def _check_same(network: nn.Module, spec: NetworkSpec, picture: Tensor, exported: Tensor) -> None:
    was_training = network.training
    device = next(network.parameters()).device
    with torch.no_grad():
        wanted = network.eval()(picture.to(device)).cpu().float()
    network.train(was_training)
    is_same = (exported - wanted).abs() <= SAME * max(1.0, float(wanted.abs().max()))
    share = float(is_same.float().mean()) if exported.shape == wanted.shape else 0.0
    if share < SAME_SHARE:
        raise ExportFailed(
            f"the exported {spec.network} gives the scores of the network at {100 * share:.1f} % of pixels only: "
            "use the network from fcnlab, and report which encoder it has"
        )
