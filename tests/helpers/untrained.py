"""A person whose generator is not trained."""

from __future__ import annotations

import torch
from tiny_data import SPEC, clip_of
from tiny_run import TINY

from fsh.trainer.models.networks import Generator
from fsh.trainer.person.person import Person, fixed_for_drawing


def untrained(network=TINY, spec=SPEC, seed: int = 0) -> Person:
    """A person with random weights and random ψ."""
    torch.manual_seed(seed)
    generator = Generator(network)
    psi = generator.project(torch.randn(1, network.embedding)).detach()
    return Person(
        name="ada",
        spec=spec,
        network=network,
        generator=fixed_for_drawing(generator),
        coefficients=psi,
        embedding=torch.zeros(network.embedding),
        landmarks=clip_of(3, 2, spec=spec).landmarks,
    )
