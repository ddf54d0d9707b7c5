from __future__ import annotations

import copy

import pytest
import skimage.data
import torch
from torch import Tensor
from torch.nn import functional as F

from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.fcn import Fcn, grown, set_linear_head
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.losses import point_loss
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.project import IGNORE
from fcnlab.errors import InvalidSetting

UPSAMPLINGS = ["nearest", "bilinear", "bicubic", "transposed"]
WIDTH = 16 + 24 + 40 + 112 + 320


def spec_of(name: str, upsampling: str, **settings) -> NetworkSpec:
    return NetworkSpec(network=name, n_classes=3, upsampling=upsampling, **settings)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("coarse", "fine"), [("fcn32s", "fcn16s"), ("fcn16s", "fcn8s"), ("fcn8s", "fcn2s")])
def test_a_finer_fcn_starts_out_as_the_one_it_grew_from(build, pictures, upsampling, coarse, fine):
    network = build(coarse, upsampling=upsampling)
    with torch.no_grad():
        for parameter in network.decoder_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))

    finer = grown(network, spec_of(fine, upsampling))

    assert len(finer.strides) > len(network.strides)
    with torch.no_grad():
        assert torch.equal(finer(pictures), network(pictures))


def test_a_grown_network_shares_no_weights_with_its_parent(build, pictures):
    network = build("fcn32s", upsampling="bilinear")
    before = network(pictures).detach()

    finer = grown(network, spec_of("fcn16s", "bilinear"))
    with torch.no_grad():
        for parameter in finer.parameters():
            parameter.add_(1)

    assert torch.equal(network(pictures), before)


@pytest.mark.parametrize("other", [("fcn32s", "bilinear"), ("fcn8s", "nearest"), ("unet", "bilinear")])
def test_what_cannot_grow_says_so(build, other):
    network = build("fcn16s", upsampling="bilinear")

    with pytest.raises(InvalidSetting, match="fcn16s cannot grow into"):
        grown(network, spec_of(*other))


def test_an_fcn_starts_with_the_same_score_for_every_class(build, pictures):
    assert not bool(build("fcn8s", fresh=True)(pictures).any())


def test_a_chain_of_learned_steps_starts_near_one_bilinear_step(build, pictures):
    one_step = build("fcn32s", upsampling="bilinear")
    chain = Fcn(spec_of("fcn32s", "transposed"), copy.deepcopy(one_step.parts)).eval()
    chain.load_state_dict({**chain.state_dict(), **one_step.state_dict()})

    with torch.no_grad():
        near, wanted = chain(pictures), one_step(pictures)

    assert not torch.equal(near, wanted)
    assert (near - wanted).abs().max() < 0.2 * (wanted.max() - wanted.min())


@pytest.mark.parametrize("name", ["fcn32s", "fcn2s"])
def test_sampled_logits_have_the_gradient_of_dense_ones(build, pictures, places, name):
    network = build(name, upsampling="bilinear").train()
    images, rows, cols = places
    classes = torch.arange(9) % 3
    target = torch.full((2, 45, 71), IGNORE)
    target[images, rows.long(), cols.long()] = classes

    F.cross_entropy(network(pictures), target, ignore_index=IGNORE).backward()
    dense = {key: one.grad for key, one in network.named_parameters()}
    network.zero_grad()
    point_loss(network.logits_at(pictures, images, rows, cols), classes, torch.ones(9)).backward()

    for key, one in network.named_parameters():
        assert one.grad is not None, key
        assert bool(one.grad.any()), key
        loudest = max(1.0, float(dense[key].abs().max()))
        assert (one.grad - dense[key]).abs().max() < 1e-5 * loudest, key


def test_sampled_logits_and_their_gradient_are_those_of_a_linear_head_on_the_hypercolumn(build, pictures, places):
    network = build("fcn2s", upsampling="bilinear")
    images, rows, cols = places
    weights, bias = network.linear_head()

    with torch.no_grad():
        maps = network.stage_maps(pictures)
    hypercolumn = torch.cat([F.interpolate(one, size=(64, 96), mode="bilinear") for one in maps.values()], dim=1)
    dense = torch.einsum("kd,bdhw->bkhw", weights, hypercolumn) + bias[:, None, None]
    sampled = network.logits_at(pictures, images, rows, cols)

    assert hypercolumn.shape[1] == WIDTH
    assert torch.allclose(sampled, dense[images, :, rows.long(), cols.long()], atol=1e-4)
    scores = list(network.scores.parameters())
    target = torch.full((2, 64, 96), IGNORE)
    target[images, rows.long(), cols.long()] = torch.arange(9) % 3
    of_dense = torch.autograd.grad(F.cross_entropy(dense, target, ignore_index=IGNORE), scores)
    of_sampled = torch.autograd.grad(point_loss(sampled, torch.arange(9) % 3, torch.ones(9)), scores)
    for one, other in zip(of_sampled, of_dense, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("name", ["fcn16s", "fcn2s"])
def test_a_copied_head_gives_its_own_scores(build, pictures, places, name, upsampling):
    network = build(name, upsampling=upsampling)
    images, rows, cols = places
    with torch.no_grad():
        features = network.features_at(pictures, images, rows, cols)
    weights, bias = torch.randn(3, features.shape[1]) / 10, torch.randn(3)

    set_linear_head(network, weights, bias)

    with torch.no_grad():
        wanted = features @ weights.T + bias
        assert torch.allclose(network.logits_at(pictures, images, rows, cols), wanted, atol=1e-4)
        assert torch.allclose(network(pictures)[images, :, rows.long(), cols.long()], wanted, atol=1e-4)


def test_features_come_in_the_order_they_are_said_to_come_in(build, pictures, places):
    network = build("fcn2s", upsampling="bilinear")

    features = network.features_at(pictures, *places)

    assert network.feature_order == ((32, 320), (16, 112), (8, 40), (4, 24), (2, 16))
    assert features.shape == (9, WIDTH)
    coarsest = F.interpolate(network.stage_maps(pictures)[32], size=(64, 96), mode="bilinear")
    assert torch.allclose(features[5, :320], coarsest[0, :, 22, 33], atol=1e-5)


def test_a_head_that_does_not_fit_is_refused(build):
    with pytest.raises(InvalidSetting, match=r"wanted \(3, 512\)"):
        set_linear_head(build("fcn2s", upsampling="bilinear"), torch.zeros(3, 100), torch.zeros(3))
    with pytest.raises(InvalidSetting, match="holds no linear head"):
        set_linear_head(build("fcn2s", upsampling="transposed"), torch.zeros(3, WIDTH), torch.zeros(3))


def test_an_encoder_without_a_stage_is_refused_by_name(parts: EncoderParts):
    coarse_only = EncoderParts(parts.module, (2, 4, 16, 32, 64), parts.channels, parts.mean, parts.std)

    with pytest.raises(InvalidSetting, match="fcn8s scores stride 8"):
        build_network(spec_of("fcn8s", "bilinear"), coarse_only)
    with pytest.raises(InvalidSetting, match="load it"):
        build_network(spec_of("fcn8s", "bilinear"), None)


class Pooled(torch.nn.Module):
    """An encoder that sees no further than its own cell: means of blocks, and their squares."""

    def forward(self, rgb: Tensor) -> list[Tensor]:
        means = [F.avg_pool2d(rgb, stride) for stride in (2, 4, 8, 16, 32)]
        return [torch.cat([one, one**2], dim=1) for one in means]


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s", "fcn2s"])
def test_moving_the_picture_by_the_stride_moves_the_scores(name, upsampling):
    parts = EncoderParts(Pooled(), (2, 4, 8, 16, 32), (6,) * 5, (0.5,) * 3, (0.5,) * 3)
    network = build_network(spec_of(name, upsampling, encoder="pooled"), parts)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    picture = torch.rand(1, 3, 6, 8).repeat_interleave(32, dim=2).repeat_interleave(32, dim=3)
    picture = (picture + 0.1 * torch.rand(1, 3, 192, 256)).clamp(0, 1)

    with torch.no_grad():
        here, there = network(picture), network(torch.roll(picture, (32, 64), dims=(2, 3)))

    inside = torch.roll(here, (32, 64), dims=(2, 3))[:, :, 96:-64, 128:-64]
    assert torch.allclose(there[:, :, 96:-64, 128:-64], inside, rtol=1e-4, atol=1e-4 * float(inside.abs().max()))
    assert not torch.allclose(here[:, :, 96:-64, 128:-64], inside, rtol=0.05)


def test_moving_the_picture_nearly_moves_the_scores_of_the_trained_encoder_too(build):
    network = build("fcn8s")
    picture = torch.from_numpy(skimage.data.astronaut()[:384, :448].copy()).permute(2, 0, 1)[None] / 255

    with torch.no_grad():
        here, there = network(picture)[:, :, 32:], network(picture[:, :, 32:])

    inside = (slice(None), slice(None), slice(96, -96), slice(96, -96))
    moved = (here - there)[inside].abs().mean()
    assert moved < 0.1 * here[inside].std()  # not zero: the border is seen from afar
