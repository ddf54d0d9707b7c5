"""Who takes part in a comparison, and what everybody is called."""

from __future__ import annotations

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.comparison import LARGER, LINEAR
from fcnlab.domain.network import DEFAULT_ENCODER, SCRATCH, NetworkName, NetworkSpec, Upsampling
from fcnlab.domain.training import Training

INSTANT_WORDS = {
    LINEAR: (
        "Instant learner",
        "A linear score on features of a frozen encoder, fitted in milliseconds: the learner of the Label page.",
    ),
    LARGER: (
        "Instant learner, larger head",
        "Two small networks on the same frozen features, whose probabilities are averaged: for hundreds of points.",
    ),
}
TELLING: tuple[tuple[NetworkName, Upsampling], ...] = (
    (NetworkName.FCN32S, "transposed"),
    (NetworkName.FCN8S, "transposed"),
    (NetworkName.FCN8S, "bilinear"),
    (NetworkName.FCN2S, "bilinear"),
    (NetworkName.UNET, "transposed"),
    (NetworkName.DECONVNET, "transposed"),
    (NetworkName.SLIDING, "transposed"),
    (NetworkName.SLIDING_DENSE, "transposed"),
    (NetworkName.FULLY_CONNECTED, "transposed"),
)
"""A choice in which each pair of neighbours differs by one idea."""

FCNS = (NetworkName.FCN32S, NetworkName.FCN16S, NetworkName.FCN8S, NetworkName.FCN2S)


def candidate(name: NetworkName, upsampling: Upsampling = "transposed") -> NetworkSpec:
    """A network as it takes part when nothing else is said; the number of classes is set at the start."""
    return NetworkSpec(
        name, 2, encoder=DEFAULT_ENCODER if NETWORKS[name].uses_encoder else SCRATCH, upsampling=upsampling
    )


def title_of(network: NetworkSpec) -> str:
    """A network in a comparison, for people; FCNs with their upsampling, since that is compared too."""
    title = NETWORKS[network.network].title
    return f"{title}, {network.upsampling}" if network.network in FCNS else title


def title_of_training(training: Training) -> str:
    """A network in a comparison, and what it was trained for where that is counting."""
    title = title_of(training.network)
    return f"{title}, {training.training.objective}" if training.training.objective.counts else title
