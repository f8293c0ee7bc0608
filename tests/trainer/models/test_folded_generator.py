"""What is folded into a person's weights leaves the drawing as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.folded_generator import (
    FoldedGenerator,
    fold_last,
    fold_pooling,
    fold_upsampling,
)
from fsh.trainer.models.networks import Generator, bake


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
def test_resampling_is_part_of_the_convolution(bias):
    conv = nn.Conv2d(5, 7, 3, padding=1, bias=bias).double().requires_grad_(False)
    x = torch.randn(2, 5, 6, 10, dtype=torch.double)
    wanted = F.avg_pool2d(conv(x), 2)
    torch.testing.assert_close(fold_pooling(conv)(x), wanted)
    wanted = conv(F.interpolate(x, scale_factor=2.0))
    torch.testing.assert_close(fold_upsampling(conv)(x), wanted)
    torch.testing.assert_close(F.pixel_shuffle(fold_last(conv)(x), 2), conv(x))


@pytest.mark.parametrize("attention", [True, False])
def test_a_person_is_drawn_as_the_generator_draws(attention):
    config = NetworkConfig(
        size=64,
        generator=8,
        max_channels=32,
        embedding=16,
        downs=2,
        residuals=1,
        attention=attention,
    )
    generator = bake(Generator(config)).requires_grad_(False).double()
    assert isinstance(generator, Generator)
    psi = generator.project(torch.randn(1, 16, dtype=torch.double))
    lines = torch.rand(2, 3, 64, 64, dtype=torch.double)
    wanted = generator(lines, psi)
    torch.testing.assert_close(FoldedGenerator(generator, psi)(lines), wanted, rtol=0, atol=1e-7)
