"""How many threads PyTorch computes with, and how they wait for one another.

Measured in docs/benchmarks.md, "Threads". Whatever the user has set stays.
"""

from __future__ import annotations

import os

from fsh.schemas import machine

#: Rounds that a waiting thread spins before it sleeps; GNU OpenMP's own default is 300,000.
SPINS = "1000"
#: Networks for pictures of this side and less, pixels, leave a core to the rest of the machine.
SMALL = 64
#: Batches that are drawn at once at most: marking and encoding do not keep up with more.
_MOST_DRAWN = 4


def limit_spinning() -> None:
    """Let PyTorch's threads sleep soon when they wait for one another.

    GNU OpenMP, which PyTorch brings along on Linux, has them spin for milliseconds instead. Beside
    one other busy program each wait then lasts until the core that it took comes back, and a
    training step takes several times as long. Read once, when PyTorch is loaded.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def set_thread_count(size: int, cores: int | None = None) -> int:
    """Set the number of PyTorch's threads for networks of ``size`` pixels and return it.

    The pieces of a step at 64 pixels are so short that two threads wait about as long as they
    save, and the loader needs a core too.

    Args:
        cores: of this machine; None: :func:`available_cores`.
    """
    import torch

    threads = torch.get_num_threads()
    if size <= SMALL and "OMP_NUM_THREADS" not in os.environ:
        threads = min(threads, max(1, (cores or available_cores()) - 1))
        torch.set_num_threads(threads)
    return threads


def drawn_at_once() -> int:
    """Batches that are drawn side by side: as many as there are cores for PyTorch's threads."""
    import torch

    return max(1, min(_MOST_DRAWN, available_cores() // torch.get_num_threads()))


def available_cores() -> int:
    """Cores that this process may use."""
    return machine.cores()
