"""Exact sizes, shapes, and the shortcuts that must not change a number."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.blocks import (
    AdaIN,
    Attention,
    FirstDown,
    InstanceNorm,
    NoNorm,
    PooledConv,
    Residual,
    conv,
    without_spectral_norms,
)
from fsh.trainer.models.networks import (
    Discriminator,
    Embedder,
    Generator,
    bake,
    channels_last,
    parameter_count,
)
from fsh.trainer.models.norms import EPSILON, SpectralNorm, instance_norm

PAPER = replace(NetworkConfig(), attention=False)
TINY = NetworkConfig(32, 4, 4, 4, 8, 8, downs=2, residuals=1, attention=False)


def test_paper_sizes_are_exact():
    with torch.device("meta"), without_spectral_norms():
        e, g, d = Embedder(PAPER), Generator(PAPER), Discriminator(PAPER)
    assert parameter_count(e) == 14_825_024
    assert parameter_count(d) == 19_545_153
    assert parameter_count(g) == 37_909_443
    assert sum(g.sizes) == 13_056


def test_spectral_norm_adds_no_parameters():
    with without_spectral_norms():
        plain = Generator(TINY)
    assert parameter_count(plain) == parameter_count(Generator(TINY))


def test_every_convolution_and_linear_is_spectrally_normalised():
    for network in (Embedder(TINY), Generator(TINY), Discriminator(TINY)):
        layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        assert layers and all(hasattr(m, "parametrizations") for m in layers)
        for _ in range(30):  # the power iteration moves once per look in training mode
            weights = [m.weight for m in layers]
        for weight in weights:
            assert torch.linalg.matrix_norm(weight.flatten(1).detach(), 2) < 1.05


def test_attention_is_the_papers_default():
    assert NetworkConfig().attention
    with torch.device("meta"), without_spectral_norms():
        networks = Embedder(NetworkConfig()), Generator(NetworkConfig())
        counts = [sum(isinstance(m, Attention) for m in n.modules()) for n in networks]
    assert counts == [1, 2]


def test_attention_starts_as_the_identity_and_mixes_positions_later():
    layer, x = Attention(16).eval(), torch.randn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    layer.gain.data.fill_(1.0)
    q, k, v = (f(x).flatten(2) for f in (layer.query, layer.key, layer.value))
    weights = torch.softmax(q.transpose(1, 2) @ k, -1)
    mixed = (v @ weights.transpose(1, 2)).view(2, 8, 4, 4)
    torch.testing.assert_close(layer(x), x + layer.out(mixed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [NoNorm, InstanceNorm, AdaIN])
@pytest.mark.parametrize("resample", [-1, 0, 1])
def test_residual_block_equals_the_textbook_order(norm, resample):
    """The skip's 1×1 convolution is done on the smaller image; that must not change the result."""
    block, x = Residual(4, 6, norm, resample).eval(), torch.randn(2, 4, 8, 8)
    psi = torch.randn(2, block.affine) if norm is AdaIN else None
    first, second = (None, None) if psi is None else psi.split([8, 12], 1)
    body = F.relu(block.norm0(x, first))
    body = F.interpolate(body, scale_factor=2) if resample > 0 else body
    body = block.conv1(F.relu(block.norm1(block.conv0(body), second)))
    skip = block.skip(F.interpolate(x, scale_factor=2) if resample > 0 else x)
    wanted = F.avg_pool2d(body, 2) + F.avg_pool2d(skip, 2) if resample < 0 else body + skip
    torch.testing.assert_close(block(x, psi), wanted, rtol=1e-4, atol=1e-5)


def test_a_pooled_convolution_is_the_convolution_and_then_the_pooling():
    """The same values and gradients, at the borders too, with and without bias."""
    for layer in (conv(3, 5, 3), conv(3, 5, 3, bias=False)):
        layer.eval()
        inputs = [torch.randn(2, 3, 8, 6, requires_grad=True) for _ in range(2)]
        inputs[1].data.copy_(inputs[0].data)
        found = PooledConv()(layer, inputs[0])
        wanted = F.avg_pool2d(layer(inputs[1]), 2)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        pull = torch.randn_like(wanted)
        slopes = []
        for out, x in ((found, inputs[0]), (wanted, inputs[1])):
            slopes.append(torch.autograd.grad(out, [x, *layer.parameters()], pull))
        for mine, plain in zip(*slopes, strict=True):
            torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)


def test_the_first_block_pools_both_ways():
    block, x = FirstDown(6, 4).eval(), torch.randn(2, 6, 8, 8)
    wanted = F.avg_pool2d(block.conv1(F.relu(block.conv0(x))), 2) + block.skip(F.avg_pool2d(x, 2))
    torch.testing.assert_close(block(x), wanted, rtol=1e-4, atol=1e-5)
    assert not any("pooled" in name for name in block.state_dict())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_torchs(rows, layout):
    """The same values and gradients; memory stays as it was laid out."""
    made = [5 + torch.randn(3, 4, 8, 6), torch.randn(rows, 4), torch.randn(rows, 4)]
    mine, theirs = ([t.clone().requires_grad_() for t in made] for _ in range(2))
    found = instance_norm(mine[0].contiguous(memory_format=layout), *mine[1:])
    shift, scale = (t[:, :, None, None] for t in theirs[1:])
    wanted = shift + scale * F.instance_norm(theirs[0], eps=EPSILON)
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    pull = torch.randn_like(wanted)
    slopes = (torch.autograd.grad(o, t, pull) for o, t in ((found, mine), (wanted, theirs)))
    for a, b in zip(*slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_adaptive_norm_sets_mean_and_deviation():
    x, psi = torch.randn(3, 4, 9, 9), torch.randn(3, 8)
    out = AdaIN(4)(x, psi)
    torch.testing.assert_close(out.mean((2, 3)), psi[:, :4], rtol=1e-3, atol=1e-3)
    deviation = out.std((2, 3), unbiased=False)
    torch.testing.assert_close(deviation, psi[:, 4:].abs(), rtol=1e-2, atol=1e-2)


def test_shapes_and_ranges():
    e, g, d = Embedder(TINY), Generator(TINY), Discriminator(TINY)
    images, lines = torch.rand(3, 3, 32, 32) * 2 - 1, torch.rand(3, 3, 32, 32)
    embedding = e(images, lines)
    assert embedding.shape == (3, 8) and (embedding >= 0).all()
    fake = g(lines, g.project(embedding))
    assert fake.shape == images.shape and fake.abs().max() <= 1
    scores, features = d(images, lines, embedding)
    assert scores.shape == (3,) and len(features) == 4 and features[-1].shape[2:] == (4, 4)


def test_score_is_the_papers_formula():
    d = Discriminator(TINY).eval()
    images, lines, w = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32), torch.randn(2, 8)
    scores, features = d(images, lines, w)
    v = features[-1].relu().sum((2, 3))
    w0, b = d.linear.weight[0], d.linear.bias[0]
    wanted = torch.stack([v[i] @ (w[i] + w0) + b for i in range(2)])
    torch.testing.assert_close(scores, wanted)


def test_one_coefficient_vector_serves_a_batch():
    g = Generator(TINY).eval()
    lines, psi = torch.rand(3, 3, 32, 32), g.project(torch.rand(1, 8))
    torch.testing.assert_close(g(lines, psi), g(lines, psi.expand(3, -1)))


def test_baking_keeps_the_output_and_removes_the_parametrizations():
    g = Generator(TINY).eval()
    lines, psi = torch.rand(2, 3, 32, 32), torch.randn(2, sum(g.sizes))
    before = g(lines, psi)
    bake(g)
    assert not any("parametrizations" in name for name in g.state_dict())
    torch.testing.assert_close(g(lines, psi), before)


@pytest.mark.parametrize("layer", [nn.Conv2d(6, 10, 3), nn.Linear(9, 5)], ids=["conv", "linear"])
def test_spectral_norm_is_torchs(layer):
    """Same values, gradients and stored vectors over several passes, channels last or not."""
    mine, theirs = copy.deepcopy(layer), copy.deepcopy(layer)
    torch.manual_seed(3)
    parametrizations.spectral_norm(theirs, eps=EPSILON)
    torch.manual_seed(3)
    parametrize.register_parametrization(mine, "weight", SpectralNorm(mine.weight))
    mine.load_state_dict(theirs.state_dict())
    channels_last(mine)
    for _ in range(3):
        for module in (mine, theirs):
            module.zero_grad()
            (
                module.weight.square()
                * torch.arange(float(module.weight.shape[1])).view(
                    (1, -1) + (1,) * (module.weight.dim() - 2)
                )
            ).sum().backward()
    torch.testing.assert_close(mine.weight, theirs.weight)
    a, b = (m.parametrizations.weight for m in (mine, theirs))
    torch.testing.assert_close(a.original.grad, b.original.grad)
    torch.testing.assert_close(a[0]._v, b[0]._v)
    assert mine.state_dict().keys() == theirs.state_dict().keys()


def test_under_autocast_the_spectral_norm_stays_in_float32():
    torch.manual_seed(0)
    layer = conv(16, 32, 3).eval()
    plain = layer.weight
    with torch.autocast("cpu", torch.bfloat16):
        half = layer.weight
        assert layer(torch.randn(1, 16, 8, 8)).dtype == torch.bfloat16
    assert half.dtype == torch.float32 and torch.equal(plain, half)


def test_baking_a_copy_leaves_the_original_as_it_was():
    generator = Generator(TINY)
    lines, psi = torch.rand(1, 3, 32, 32), torch.rand(1, sum(generator.sizes))
    wanted = bake(copy.deepcopy(generator))(lines, psi)
    torch.testing.assert_close(generator.eval()(lines, psi), wanted)
    torch.testing.assert_close(bake(copy.deepcopy(generator))(lines, psi), wanted)
