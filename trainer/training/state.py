"""What a run trains: the networks and W, their running averages, and their optimizers' state."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fsh.trainer.config import TrainConfig
from fsh.trainer.models.networks import channels_last, parameter_count
from fsh.trainer.models.video_embeddings import VideoEmbeddings
from fsh.trainer.training.methods import METHODS


class Model(nn.Module):
    """E, G, D and W (``columns``) together, on one device.

    Args:
        videos: ids of the videos that W has a column for.
    """

    def __init__(self, config: TrainConfig, videos: Iterable[str]) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        method = METHODS[config.method]
        self.embedder = method.embedder(config.network)
        self.generator = method.generator(config.network)
        self.discriminator = method.discriminator(config.network)
        self.columns = VideoEmbeddings(videos, config.network.embedding, config.seed)
        channels_last(self.to(config.device))

    def counts(self) -> dict[str, int]:
        """Parameters per network; W is ``columns``."""
        return {name: parameter_count(part) for name, part in self.named_children()}


class AveragedNetworks(nn.Module):
    """Exponential moving averages of E and G: what personalises and what samples show.

    The decay warms up, so that a short run is not an average with its own beginning. Buffers (the
    spectral norms' vectors) follow the live networks.
    """

    def __init__(self, model: Model, decay: float) -> None:
        super().__init__()
        self.embedder = copy.deepcopy(model.embedder)
        self.generator = copy.deepcopy(model.generator)
        self.decay = decay
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Move towards the model, which has made ``step`` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name in ("embedder", "generator"):
            average, live = getattr(self, name), getattr(model, name)
            if parameters := list(average.parameters()):  # a method may have no embedder
                torch._foreach_lerp_(parameters, [p.detach() for p in live.parameters()], 1 - decay)
            for buffer, other in zip(average.buffers(), live.buffers(), strict=True):
                buffer.copy_(other)


def adam_for(parts: Iterable[nn.Module], rate: float, config: TrainConfig) -> torch.optim.Adam:
    """Adam for all parameters of these modules, at a learning rate."""
    parameters = [p for part in parts for p in part.parameters()]
    return torch.optim.Adam(parameters, lr=rate, betas=config.betas, eps=config.epsilon, fused=True)


def optimizer_tensors(adam: torch.optim.Adam, names: dict[Tensor, str]) -> dict[str, Tensor]:
    """Adam's state as flat tensors, ``<parameter>/<exp_avg …>``."""
    return {
        f"{names[p]}/{key}": value
        for p, state in adam.state.items()
        for key, value in state.items()
    }


def load_optimizer(
    adam: torch.optim.Adam, names: dict[Tensor, str], tensors: dict[str, Tensor]
) -> None:
    """The reverse of :func:`optimizer_tensors`; parameters without stored state start anew."""
    for group in adam.param_groups:
        for p in group["params"]:
            prefix = f"{names[p]}/"
            state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            if state:
                # The fused kernel walks raw memory: moments must lie in memory as p does.
                adam.state[p] = {
                    k: v.clone() if k == "step" else torch.empty_like(p.detach()).copy_(v)
                    for k, v in state.items()
                }
