"""Several processes, one run: every backward pass leaves the mean of all processes' gradients.

:mod:`fsh.training.processes` starts them, or anything else that describes them in the environment
as ``torchrun`` does; alone, everything here does nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fsh.schemas.errors import FshError

#: What PyTorch's backends say when another process is gone.
_GONE = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|store", re.IGNORECASE)


@dataclass(frozen=True)
class Ranks:
    """This process's number and how many there are."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def together(self, module: nn.Module) -> nn.Module:
        """The module, whose backward passes average gradients while they compute them.

        All processes begin with the first one's parameters. Buffers are left alone: the spectral
        norms' vectors follow from the parameters. A batch need not touch every parameter.
        """
        if self.world == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=True)

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

    def require_same(self, step: int, run: Path) -> None:
        """Check that all processes begin with the checkpoint of the same step.

        Raises:
            FshError: in every process, if one of them found another in the run's folder.
        """
        if self.any(step != self.first_value(step)):
            raise FshError(
                "not all processes see the same checkpoints",
                where=run,
                remedy="name a --run that every machine sees under the same path",
            )

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            dist.barrier()


def join_processes(device: str) -> Ranks:
    """Join the group that the environment describes, if it does."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks()
    if not dist.is_initialized():
        if device.startswith("cuda"):
            own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(own)
            dist.init_process_group("nccl", device_id=own)
        else:
            dist.init_process_group("gloo")
    return Ranks(dist.get_rank(), dist.get_world_size())


def leave_processes() -> None:
    """Leave the group; to be called where all processes have ended well."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def explaining_losses(ranks: Ranks) -> Iterator[None]:
    """Tell the loss of another process in the user's words.

    Raises:
        FshError: where a collective fails inside, because another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if ranks.world == 1 or not (isinstance(error, dist.DistError) or _GONE.search(str(error))):
            raise
        raise FshError(
            "another process of this training, or the connection to it, is gone",
            remedy="see what that one said; the same command goes on from the last checkpoint",
        ) from error


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
