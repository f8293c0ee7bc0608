"""What a step's convolutions and matrix products cost when each is computed alone.

Nothing that keeps the networks as they are can make a step cheaper than this sum: the same
operations on the same shapes, as often as the step does them, forward, backward to the inputs and
backward to the weights, each in whichever memory layout is fastest for it, its operands in the
caches from the call before.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
HEAVY = {
    aten.convolution.default: "convolution",
    aten.convolution_backward.default: "convolution backward",
    aten.mm.default: "product",
    aten.addmm.default: "product",
    aten.bmm.default: "product",
}
LAYOUTS = (torch.contiguous_format, torch.channels_last)


class Shape(NamedTuple):
    """A tensor of an operation, by what its cost depends on."""

    sizes: tuple[int, ...]
    dtype: torch.dtype
    device: str

    def made(self, layout: torch.memory_format) -> Tensor:
        tensor = torch.randn(self.sizes, device=self.device).to(self.dtype)
        return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


class Recorder(TorchDispatchMode):
    """Counts the heavy operations that run under it, by operation and shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[Any, tuple]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in HEAVY:
            self.seen[func, tuple(map(_described, args))] += 1
        return func(*args, **(kwargs or {}))


def _described(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Shape(tuple(value.shape), value.dtype, str(value.device))
    return tuple(value) if isinstance(value, list) else value


def alone(
    step: Callable[[], object], timed: Callable[[Callable], float], seconds: float = 0.01
) -> dict[str, float]:
    """Seconds per step of its convolutions and products, by kind.

    Args:
        timed: seconds that a call takes, until the device is done.
        seconds: how long each operation is repeated per layout; the median counts.
    """
    with Recorder() as recorder:
        step()
    total: dict[str, float] = dict.fromkeys(HEAVY.values(), 0.0)
    with torch.no_grad():
        for (operation, described), count in recorder.seen.items():
            each = []
            for layout in LAYOUTS:
                args = [d.made(layout) if isinstance(d, Shape) else d for d in described]
                each.append(_median(operation, args, timed, seconds))
            total[HEAVY[operation]] += count * min(each)
    return total


def _median(operation: Any, args: list, timed: Callable[[Callable], float], limit: float) -> float:
    def work() -> None:
        operation(*args)

    for _ in range(2):
        work()
    took, end = [], time.perf_counter() + limit
    while len(took) < 3 or time.perf_counter() < end:
        took.append(timed(work))
    return sorted(took)[len(took) // 2]
