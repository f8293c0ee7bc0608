"""One training step as a direct transcription of the paper would do it: what fsh's is held against.

The same networks, spectral norm by torch's own parametrization, losses and Adam; but plain eager
fp32 in contiguous NCHW: spectral norms are computed anew in every forward pass, instance norms by
torch's own, convolutions that are pooled are computed in full first, real and made pictures pass D
one after the other, gradients of D's weights are computed in G's phase too and thrown away,
optimizers and averages go parameter by parameter.
"""

from __future__ import annotations

from unittest import mock

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from fsh.trainer.config import TrainConfig
from fsh.trainer.models import blocks
from fsh.trainer.training.losses import (
    ContentLoss,
    Episodes,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    match_loss,
)
from fsh.trainer.training.state import AveragedNetworks, Model


class PlainStep:
    """Call it with episodes; it trains a copy of ``like`` by one step and returns the losses."""

    def __init__(self, config: TrainConfig, like: Model, content: ContentLoss) -> None:
        def torchs(layer: nn.Module) -> nn.Module:
            return parametrizations.spectral_norm(layer, eps=blocks.EPSILON)

        with mock.patch.object(blocks, "_spectral_norm", torchs):
            model = Model(config, like.columns.ids)
        model.load_state_dict(like.state_dict())
        self.config, self.model, self.content = config, model, content
        for p in model.parameters():
            p.data = p.data.contiguous()
        self.average = AveragedNetworks(model, config.ema)

        def adam(rate: float, *parts: nn.Module) -> torch.optim.Adam:
            parameters = [p for part in parts for p in part.parameters()]
            return torch.optim.Adam(
                parameters, rate, config.betas, config.epsilon, foreach=False, fused=False
            )

        self.first = adam(config.lr_generator, model.embedder, model.generator)
        self.second = adam(config.lr_discriminator, model.discriminator, model.columns)

    def __call__(self, episodes: Episodes) -> dict[str, float]:
        def pooled(_: nn.Module, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
            return F.avg_pool2d(layer(x), 2)

        def instance_norm(
            x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor
        ) -> torch.Tensor:
            shift, scale = shift[:, :, None, None], scale[:, :, None, None]
            return shift + scale * F.instance_norm(x, eps=blocks.EPSILON)

        with (
            mock.patch.object(blocks.PooledConv, "forward", pooled),
            mock.patch.object(blocks, "instance_norm", instance_norm),
        ):
            return self._step(episodes)

    def _step(self, episodes: Episodes) -> dict[str, float]:
        model, weights = self.model, self.config.loss
        flat = model.embedder(
            episodes.source_images.contiguous().flatten(0, 1),
            episodes.source_landmark_images.contiguous().flatten(0, 1),
        )
        frames = flat.unflatten(0, episodes.source_images.shape[:2])
        lines, images = episodes.landmark_images.contiguous(), episodes.images.contiguous()
        columns = model.columns(episodes.video_indices)
        fake = model.generator(lines, model.generator.project(frames.mean(1)))
        parts = self.content(fake, images, lines)
        score, made = model.discriminator(fake, lines, columns)
        _, wanted = model.discriminator(images, lines, columns)
        parts["adversarial"] = weights.adversarial * hinge_generator(score)
        parts["feature_matching"] = weights.feature_matching * feature_matching(
            made, wanted, mean=weights.lab
        )
        if weights.match:
            parts["match"] = weights.match * match_loss(frames, columns)
        self.first.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        self.first.step()
        for _ in range(self.config.discriminator_steps):
            columns = model.columns(episodes.video_indices)
            real, _ = model.discriminator(images, lines, columns)
            false, _ = model.discriminator(fake.detach(), lines, columns)
            parts["discriminator"] = hinge_discriminator(real, false)
            self.second.zero_grad()
            parts["discriminator"].backward()
            self.second.step()
        with torch.no_grad():
            for name in ("embedder", "generator"):
                live = getattr(model, name).parameters()
                for mine, other in zip(getattr(self.average, name).parameters(), live, strict=True):
                    mine.mul_(self.config.ema).add_(other, alpha=1 - self.config.ema)
        return {name: float(value.detach()) for name, value in parts.items()}
