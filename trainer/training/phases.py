"""The phases of a training step: what is minimized, for whom, in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.distributed import Ranks
from fsh.trainer.training.compilation import INDUCTOR, Compilation
from fsh.trainer.training.losses import ContentLoss, Episodes, Terms
from fsh.trainer.training.methods import METHODS
from fsh.trainer.training.session import Session


@dataclass(frozen=True)
class Phase:
    """One optimizer step: what to minimize, and for whom."""

    name: str
    loss: Callable[[Episodes, Terms | None], Terms]
    adam: torch.optim.Adam

    def gradients(self, episodes: Episodes, made: Terms | None, config: TrainConfig) -> Terms:
        """Add this phase's gradients to its parameters'; ``made``: terms of the phase before."""
        kind, half = config.device.split(":")[0], config.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            terms = self.loss(episodes, made)
        terms.total.backward()
        return terms


@dataclass(frozen=True)
class Phases:
    """All phases of a step, in order."""

    phases: tuple[Phase, ...]
    config: TrainConfig
    ranks: Ranks
    compilation: Compilation

    @classmethod
    def for_session(
        cls,
        session: Session,
        content: ContentLoss,
        ranks: Ranks,
        progress: Progress,
        backend: str | Callable = INDUCTOR,
    ) -> Phases:
        """G's once, then D's (if any) as often as configured; ``backend``: of ``torch.compile``."""
        model, config = session.model, session.config
        networks = model.embedder, model.generator, model.discriminator
        method = METHODS[config.method]
        objective = method.objective(*networks, model.columns, content, config.loss)
        phases = [Phase("generator", objective.generator, session.generator_adam)]
        if method.adversarial:
            second = Phase("discriminator", objective.discriminator, session.discriminator_adam)
            phases += [second] * config.discriminator_steps
        compilation = Compilation(networks, config.compile, progress, backend)
        return cls(tuple(phases), config, ranks, compilation)

    def run(self, episodes: Episodes) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Every phase once, in order: all their terms by name, and the images (B, 3, H, H) made."""
        made: Terms | None = None
        parts: dict[str, torch.Tensor] = {}
        self.compilation.begin_step()
        for phase in self.phases:
            made = self._run(phase, episodes, made)
            parts |= made.parts
        assert made is not None
        return parts, made.fake

    def _run(self, phase: Phase, episodes: Episodes, made: Terms | None) -> Terms:
        def work() -> Terms:
            return phase.gradients(episodes, made, self.config)

        terms = self.compilation.run(work, undo=phase.adam.zero_grad)
        groups = phase.adam.param_groups
        self.ranks.average(p for group in groups for p in group["params"])
        phase.adam.step()
        phase.adam.zero_grad(set_to_none=True)
        return terms
