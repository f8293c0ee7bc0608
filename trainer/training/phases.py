"""The phases of a training step: what is minimized, for whom, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.distributed import Ranks
from fsh.trainer.training.compilation import INDUCTOR, Compilation
from fsh.trainer.training.losses import ContentLoss, Episodes, Terms
from fsh.trainer.training.methods import METHODS
from fsh.trainer.training.session import Session


class Loss(nn.Module):
    """A loss as a module of the networks that it is minimized for: its gradients are averaged.

    Args:
        terms: the loss, of episodes and of the terms of the phase before.
    """

    def __init__(
        self, terms: Callable[[Episodes, Terms | None], Terms], networks: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.terms, self.networks = terms, nn.ModuleList(networks)

    def forward(self, episodes: Episodes, made: Terms | None) -> Terms:
        return self.terms(episodes, made)


class Phase:
    """One optimizer step: what to minimize, and for whom.

    Args:
        name: for people.
        ranks: the processes that make the step together.
    """

    def __init__(self, name: str, loss: Loss, adam: torch.optim.Adam, ranks: Ranks) -> None:
        self.name, self.adam = name, adam
        self._loss, self._ranks = loss, ranks
        self._averaged = ranks.together(loss)

    def gradients(self, episodes: Episodes, made: Terms | None, config: TrainConfig) -> Terms:
        """Add this phase's gradients to its parameters'; ``made``: terms of the phase before."""
        kind, half = config.device.split(":")[0], config.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            terms = self._averaged(episodes, made)
        terms.total.backward()
        return terms

    def undo(self) -> None:
        """Take back what a failed :meth:`gradients` may have left behind."""
        self.adam.zero_grad()
        self._averaged = self._ranks.together(self._loss)  # it may wait for gradients


@dataclass(frozen=True)
class Phases:
    """All phases of a step, in order."""

    phases: tuple[Phase, ...]
    config: TrainConfig
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
        # W's gradients of the generator's phase wait here, and are averaged with the second's.
        first = Loss(objective.generator, (model.embedder, model.generator))
        phases = [Phase("generator", first, session.generator_adam, ranks)]
        if method.adversarial:
            judging = Loss(objective.discriminator, (model.discriminator, model.columns))
            second = Phase("discriminator", judging, session.discriminator_adam, ranks)
            phases += [second] * config.discriminator_steps
        compilation = Compilation(networks, config.compile, progress, backend)
        return cls(tuple(phases), config, compilation)

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

        terms = self.compilation.run(work, undo=phase.undo)
        phase.adam.step()
        phase.adam.zero_grad(set_to_none=True)
        return terms
