"""Several processes, one run: gradients are averaged after each backward pass.

Started by ``torchrun``; alone, everything here does nothing. Gradients travel as one flat tensor
per phase, so it does not matter which parameters a batch touched, and no rank can wait for a
collective that another one skips.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process's number and how many there are."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; a missing one counts as 0."""
        if self.world == 1:
            return
        parameters = list(parameters)
        flat = torch.cat(
            [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters]
        )
        dist.all_reduce(flat)
        flat /= self.world
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            # Laid out in memory as p is, channels last or not: fused optimizers rely on it.
            p.grad = torch.empty_like(p.detach()).copy_(part.view_as(p))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; the same answer in all of them."""
        if self.world == 1:
            return flag
        vote = torch.tensor([float(flag)], device=_device())
        dist.all_reduce(vote)
        return bool(vote.item() > 0)

    def first_value(self, value: float) -> float:
        """The first process's value, in every process."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=_device())
        dist.broadcast(shared, 0)
        return float(shared.item())

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            dist.barrier()


def join_processes(device: str) -> Ranks:
    """Join the group that ``torchrun`` describes in the environment, if it does."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    if not dist.is_initialized():
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Ranks(dist.get_rank(), dist.get_world_size())


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
