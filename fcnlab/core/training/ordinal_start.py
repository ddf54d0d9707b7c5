"""The linear head that a network with grades starts from: maximum likelihood of its own output layer."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.learner.head import BIAS_PENALTY, PENALTY, Samples, point_weights
from fcnlab.core.networks.ordinal import GradesOutput

MAX_STEPS = 200


def fit_ordinal_head(
    samples: Samples, layer: GradesOutput, *, n_raw: int, regularisation: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (C, D) and bias (C,) of the raw channels that an output layer wants; its thresholds are fitted with them.

    Minimises the class-balanced negative log-likelihood plus the L2 penalty of `head.fit_head`, by L-BFGS. What the
    layer learns is held, as weakly as the bias, to where it starts, so that a grade without points has a place.

    Args:
        samples: standardised features (N, D); classes are places among the scores.
        layer: is changed.
        n_raw: number C of raw channels.
    """
    classes = tuple(int(place) for place in np.unique(samples.class_ids))
    shares = torch.from_numpy(point_weights(samples.class_ids, samples.weights, classes, "balanced"))
    features, targets = torch.from_numpy(samples.features).double(), torch.from_numpy(samples.class_ids)
    fitted = copy.deepcopy(layer).cpu().double()
    starts = [parameter.detach().clone() for parameter in fitted.parameters()]
    weights = torch.zeros(n_raw, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_raw, dtype=torch.float64, requires_grad=True)
    shrink = PENALTY * regularisation
    optimiser = torch.optim.LBFGS(
        [weights, bias, *fitted.parameters()], max_iter=MAX_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = fitted(features @ weights.T + bias)
        drift = sum(
            ((parameter - start) ** 2).sum() for parameter, start in zip(fitted.parameters(), starts, strict=True)
        )
        penalty = shrink / 2 * ((weights**2).sum() + BIAS_PENALTY * ((bias**2).sum() + drift))
        total = (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * shares).sum() + penalty
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    layer.load_state_dict(fitted.state_dict())
    return tuple(tensor.detach().float().numpy() for tensor in (weights, bias))  # type: ignore[return-value]
