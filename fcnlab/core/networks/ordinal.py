"""The output layer of a network that knows the order of grades: raw channels in, a logit per class out.

The softmax of the logits are the class probabilities, and the logits are their logarithms up to a constant. So
cross-entropy of the logits is the negative log-likelihood of the ordinal model, and whatever reads logits needs not
know that classes have an order.

Grades are one group of classes: log P(grade) = log P(group) + log P(grade | group). Classes without an order and the
group are told apart by softmax; within the group there are two models:

- "cumulative": P(y > k | group) = sigmoid(x - t_k), with one raw channel x and rising thresholds t_k: the proportional
  odds model (McCullagh 1980, J. R. Stat. Soc. B 42:109, doi:10.1111/j.2517-6161.1980.tb01109.x).
- "corn": P(y > k | y >= k, group) = sigmoid(c_k), with a raw channel for each pair of neighbours: conditional ordinal
  regression (Shi, Cao, Raschka 2021, arXiv:2111.08851, equations 4 and 5).

Raw channels that are all zero give every class the same probability, as zero scores do without this layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.domain.network import USUAL_ORDER, NetworkName, NetworkSpec, Order
from fcnlab.errors import InvalidSetting

THRESHOLD_RATE = 60.0
"""Thresholds are this times their parameters. AdamW changes every parameter by about the learning rate; x is a sum over
hundreds of weights, and thresholds have to keep up with it."""

WITHOUT_ORDER = frozenset({NetworkName.LARGER_HEAD})
"""Networks that are fitted with softmax alone."""

LEAST_GAP = 1e-3
"""Thresholds are at least so far apart: no grade ever has probability zero."""


def with_order(spec: NetworkSpec, *, class_ids: Sequence[int], grades: Sequence[int]) -> NetworkSpec:
    """The spec of a network that tells these classes apart, with the places of the grades among them.

    Without an order it is what it was before there were grades: where `order` says so, and where fewer than two of the
    classes are grades, or two that are all classes there are.

    Args:
        spec: of as many classes; its `grades` are replaced.
        class_ids: the class of each score.
        grades: ids of the classes that are grades, the lowest first.
    """
    places = [list(class_ids).index(class_id) for class_id in grades if class_id in class_ids]
    order = spec.order or ("none" if spec.network in WITHOUT_ORDER else USUAL_ORDER)
    if order == "none" or len(places) < 2 or len(class_ids) < 3:
        return replace(spec, order=None, grades=())
    return replace(spec, order=order, grades=tuple(places))


def refuse_order(spec: NetworkSpec, *, grades: Sequence[int], is_counting: bool) -> None:
    """Raises InvalidSetting: an order of grades is asked for where there is none, or by a network that cannot use it.

    Args:
        spec: as it was asked for.
        grades: ids of the classes that are grades.
        is_counting: it is to count objects.
    """
    if spec.order in (None, "none"):
        return
    if is_counting:
        raise InvalidSetting(f"order {spec.order!r} tells grades apart, and this training counts: leave the order out")
    if not grades:
        raise InvalidSetting(
            f"order {spec.order!r} needs grades, and no classes have an order here: name the grades in the settings of "
            "the learner, or leave the order out"
        )
    if spec.network in WITHOUT_ORDER:
        raise InvalidSetting(
            f"{spec.network} is fitted without steps and knows no order of grades: leave the order out, or choose "
            "another network"
        )


def raw_channels(spec: NetworkSpec) -> int:
    """Channels of the last convolution: one per class, or what the output layer makes them of."""
    if not spec.grades:
        return spec.n_classes
    n_grades, n_others = len(spec.grades), spec.n_classes - len(spec.grades)
    return (n_others + 1 if n_others else 0) + (1 if spec.order == "cumulative" else n_grades - 1)


def output_layer(spec: NetworkSpec) -> nn.Module:
    """What makes logits (B, K, ...) of raw channels (B, C, ...): nothing, unless classes are grades."""
    if not spec.grades:
        return nn.Identity()
    order: Order | None = spec.order
    layers: dict[Order | None, type[GradesOutput]] = {"cumulative": CumulativeOutput, "corn": CornOutput}
    if order not in layers:
        raise InvalidSetting(f"order {order!r} says not how grades are told apart: choose 'cumulative' or 'corn'")
    return layers[order](spec)


class GradesOutput(nn.Module):
    """Raw channels (B, C, ...) -> logits (B, K, ...) float32, whose softmax are the class probabilities.

    The raw channels are, in this order: one per class that is no grade, by rising place; one of the group of all
    grades, if there are other classes; those of `log_shares`.
    """

    group_offset: Tensor
    order: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.n_grades, self.n_others = len(spec.grades), spec.n_classes - len(spec.grades)
        others = [place for place in range(spec.n_classes) if place not in spec.grades]
        order = torch.argsort(torch.tensor([*others, *spec.grades]))
        self.register_buffer("order", order, persistent=False)
        offset = torch.zeros(self.n_others + 1)
        offset[-1] = math.log(self.n_grades)
        self.register_buffer("group_offset", offset, persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Logits (B, K, ...) of raw channels (B, C, ...)."""
        raw = raw.float()
        if not self.n_others:
            return self.log_shares(raw).index_select(1, self.order)
        groups, within = raw[:, : self.n_others + 1], raw[:, self.n_others + 1 :]
        log_groups = F.log_softmax(groups + per_channel(self.group_offset, raw), dim=1)
        log_grades = log_groups[:, self.n_others :] + self.log_shares(within)
        return torch.cat([log_groups[:, : self.n_others], log_grades], dim=1).index_select(1, self.order)

    def log_shares(self, raw: Tensor) -> Tensor:
        """Log P(grade | group) (B, G, ...), the lowest grade first, of the raw channels of the grades."""
        raise NotImplementedError


class CumulativeOutput(GradesOutput):
    """Proportional odds: P(y > k | group) = sigmoid(x - t_k), with thresholds learned from the points."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        uniform = even_thresholds(self.n_grades)
        self.first = nn.Parameter(uniform[:1] / THRESHOLD_RATE)
        self.gaps = nn.Parameter(torch.log(torch.expm1(uniform.diff() - LEAST_GAP)) / THRESHOLD_RATE)

    def threshold_gaps(self) -> Tensor:
        """Distances (G - 2,) between neighbouring thresholds, all above zero."""
        return F.softplus(self.gaps * THRESHOLD_RATE) + LEAST_GAP

    def thresholds(self) -> Tensor:
        """Rising thresholds (G - 1,)."""
        return torch.cat([self.first * THRESHOLD_RATE, self.threshold_gaps()]).cumsum(0)

    def log_shares(self, raw: Tensor) -> Tensor:
        """Log P(grade | group): log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a))
        with a = x - t_(k-1) and b = x - t_k, which loses no digits where both are near 0 or 1."""
        above = raw - per_channel(self.thresholds(), raw)
        gaps = per_channel(log1mexp(self.threshold_gaps()), raw)
        first, last = log_sigmoid(-above[:, :1]), log_sigmoid(above[:, -1:])
        between = log_sigmoid(above[:, :-1]) + log_sigmoid(-above[:, 1:]) + gaps
        return torch.cat([first, between, last], dim=1)


class CornOutput(GradesOutput):
    """CORN: P(y > k | y >= k, group) = sigmoid(c_k); a grade has the product of all steps up to it."""

    step_offset: Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        remaining = torch.arange(self.n_grades - 1, 0, -1, dtype=torch.float32)
        self.register_buffer("step_offset", torch.log(remaining), persistent=False)

    def log_shares(self, raw: Tensor) -> Tensor:
        """Log P(grade | group), by the chain rule."""
        steps = raw + per_channel(self.step_offset, raw)
        reached = log_sigmoid(steps).cumsum(1)
        ends = log_sigmoid(-steps)
        return torch.cat([ends[:, :1], reached[:, :-1] + ends[:, 1:], reached[:, -1:]], dim=1)


def even_thresholds(n_grades: int) -> Tensor:
    """Thresholds (G - 1,) between which every grade has the same probability at x = 0."""
    above = torch.arange(1, n_grades, dtype=torch.float32) / n_grades
    return torch.logit(above)


def per_channel(values: Tensor, raw: Tensor) -> Tensor:
    """Values (C,) as they are added to maps (B, C, ...)."""
    return values.view(1, -1, *[1] * (raw.ndim - 2))


def log_sigmoid(logits: Tensor) -> Tensor:
    """As torch's, but exported files compute it without taking the logarithm of zero."""
    return -F.softplus(-logits)


def log1mexp(distance: Tensor) -> Tensor:
    """log(1 - exp(-d)) of d > 0, stable for small and large ones (Maechler 2012, R package Rmpfr)."""
    return torch.where(distance < math.log(2), torch.log(-torch.expm1(-distance)), torch.log1p(-torch.exp(-distance)))
