"""Watches a run for the ways in which adversarial training dies, and says what it saw.

Known deaths of earlier re-implementations: NaN, collapse to black at 3,000 steps or to red at
15,000, a discriminator that wins after eight epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Limits:
    """When to worry.

    Attributes:
        flat: standard deviation over an image's pixels (−1…1) below which it shows nothing.
        tint: distance of the output's mean colour from the target's, per channel (0…2).
        collapse_steps: consecutive steps of either before the run is stopped.
        lost: discriminator's hinge loss (2 at the start) below which the generator gets nowhere.
        lost_steps: consecutive steps of that.
        warmup: steps at the beginning in which images may look like anything.
    """

    flat: float = 0.02
    tint: float = 0.9
    collapse_steps: int = 100
    lost: float = 0.02
    lost_steps: int = 1000
    warmup: int = 200


@dataclass
class Watchdog:
    """Feed it every step; it answers with what is wrong, or an empty string."""

    limits: Limits = field(default_factory=Limits)
    collapsed: int = 0
    losing: int = 0
    rollbacks: int = 0

    def look(self, step: int, losses: Mapping[str, float], pictures: Mapping[str, float]) -> str:
        """Args:
        losses: every term's value.
        pictures: what :func:`look_at` measured.
        """
        if bad := sorted(name for name, value in losses.items() if not math.isfinite(value)):
            return f"{', '.join(bad)} is not a number at step {step}"
        limits = self.limits
        if step <= limits.warmup:
            return ""
        dead = pictures["deviation"] < limits.flat or pictures["tint"] > limits.tint
        self.collapsed = self.collapsed + 1 if dead else 0
        if self.collapsed >= limits.collapse_steps:
            return f"images have been {_name_of(pictures)} for {self.collapsed} steps"
        self.losing = self.losing + 1 if losses.get("discriminator", 2.0) < limits.lost else 0
        if self.losing >= limits.lost_steps:
            return f"the discriminator has won for {self.losing} steps: its loss is near 0"
        return ""

    @property
    def calm(self) -> bool:
        """Whether nothing is suspicious: a checkpoint written now is worth going back to."""
        return not self.collapsed and self.losing < self.limits.lost_steps // 2

    def rolled_back(self) -> None:
        self.collapsed = self.losing = 0
        self.rollbacks += 1

    def to_json(self) -> dict[str, int]:
        data = asdict(self)
        del data["limits"]
        return data


@dataclass(frozen=True)
class Held:
    """A step's numbers, still on the device."""

    step: int
    losses: tuple[str, ...]
    pictures: tuple[str, ...]
    values: Tensor

    @classmethod
    def of(cls, step: int, losses: Mapping[str, Tensor], pictures: Mapping[str, Tensor]) -> Held:
        values = [value.detach().float() for value in (*losses.values(), *pictures.values())]
        return cls(step, tuple(losses), tuple(pictures), torch.stack(values))


class Row(NamedTuple):
    """A step's numbers as read: every loss, and what :func:`look_at` measured."""

    step: int
    losses: dict[str, float]
    pictures: dict[str, float]


def read(held: Sequence[Held], watchdog: Watchdog) -> tuple[list[Row], str]:
    """Steps' numbers from the device in one go, shown to the watchdog in their order.

    Returns:
        All steps up to the first trouble, and that trouble or an empty string.
    """
    rows = []
    values = torch.stack([step.values for step in held]).tolist()
    for step, numbers in zip(held, values, strict=True):
        split = len(step.losses)
        losses = dict(zip(step.losses, numbers[:split], strict=True))
        pictures = dict(zip(step.pictures, numbers[split:], strict=True))
        rows.append(Row(step.step, losses, pictures))
        if trouble := watchdog.look(step.step, losses, pictures):
            return rows, trouble
    return rows, ""


def look_at(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Numbers about a batch of images (B, 3, H, H) in −1…1: contrast, mean colours, tint."""
    made, wanted = fake.float().mean((0, 2, 3)), real.float().mean((0, 2, 3))
    return {
        "deviation": fake.float().flatten(1).std(1).mean(),
        "tint": (made - wanted).abs().max(),
        "red": made[0],
        "green": made[1],
        "blue": made[2],
    }


def _name_of(pictures: Mapping[str, float]) -> str:
    red, green, blue = (pictures[name] for name in ("red", "green", "blue"))
    if max(red, green, blue) < -0.7:
        return "black"
    if red > 0.3 and max(green, blue) < -0.3:
        return "red"
    if pictures["deviation"] < 0.1:
        return "flat"
    return f"tinted (mean colour {red:.1f}, {green:.1f}, {blue:.1f})"
