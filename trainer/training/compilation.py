"""``torch.compile`` for the networks of a run, which are run as they are where it fails.

Spectral norms stay outside of what is compiled: their power iterations write to buffers, and a
phase computes each norm once however often it calls a network. So every call first fills the cache
of the phase's :func:`parametrize.cached`, and the compiled part finds the weights there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from fsh.schemas.progress import Progress

#: The backend of ``torch.compile`` that is used unless another one is given.
INDUCTOR = "inductor"

Result = TypeVar("Result")


class Compilation:
    """Networks whose forward passes were handed to ``torch.compile``, until one fails.

    Args:
        how: one of :data:`fsh.trainer.config.COMPILE`. A network is compiled at its first call.
        backend: what compiles, as ``torch.compile`` takes it.
    """

    def __init__(
        self,
        networks: Iterable[nn.Module],
        how: str,
        progress: Progress,
        backend: str | Callable = INDUCTOR,
    ) -> None:
        self.graphs = how == "graphs"
        self.progress, self.backend = progress, backend
        self.networks = (
            [] if how == "off" else [n for n in networks if next(n.parameters(), None) is not None]
        )
        for network in self.networks:
            network.forward = self._compiled(network)

    def _compiled(self, network: nn.Module) -> Callable:
        backend = self.backend
        mode = "reduce-overhead" if self.graphs and backend == INDUCTOR else None
        # Shapes repeat from step to step. A second one must not bring symbolic sizes with it.
        compiled = torch.compile(network.forward, backend=backend, dynamic=False, mode=mode)
        parametrized = [layer for layer in network.modules() if parametrize.is_parametrized(layer)]

        def forward(*inputs: torch.Tensor) -> object:
            with parametrize.cached():
                for layer in parametrized:
                    _ = layer.weight  # computed, and kept by the cache
                return compiled(*inputs)

        return forward

    def begin_step(self) -> None:
        """Allow CUDA graphs to overwrite, from here on, what they made in the last step."""
        if self.graphs and self.networks:
            torch.compiler.cudagraph_mark_step_begin()

    def run(self, work: Callable[[], Result], undo: Callable[[], None]) -> Result:
        """``work()``; if it fails while networks are compiled, once more and from then on without.

        Code is made at the first calls, forward or backward, so this is where it fails. An error
        that is not the compiler's is raised again by the plain networks.

        Args:
            undo: takes back what a failed ``work`` may have left behind.
        """
        try:
            return work()
        except Exception as error:
            if not self.networks:
                raise
            line = " ".join(str(error).split())[:200] or type(error).__name__
            self.progress.say(f"goes on without torch.compile, which failed: {line}")
            self.disable()
        undo()
        return work()

    def disable(self) -> None:
        """Give the networks their own forward passes back."""
        for network in self.networks:
            del network.forward
        self.networks = []
