"""Recognizes the ways in which adversarial training fails, from every step's losses and images.

Known failures of earlier re-implementations: NaN, collapse to black at 3,000 steps or to red at
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
class WatchdogLimits:
    """What counts as a failure.

    Attributes:
        flat: standard deviation over an image's values (−1…1) below which it shows nothing.
        tint: distance of the output's mean colour from the target's, per channel (0…2).
        collapse_steps: consecutive steps of either before the run is stopped.
        won_below: discriminator's hinge loss (2 at the start) below which it has won: the generator
            learns nothing.
        won_steps: consecutive steps of that before the run is stopped.
        painted_most, painted_least: shares of paint above and below which a generator with
            references copies nothing, or has forgotten to paint.
        copying_steps: consecutive steps of either before the run is stopped.
        warmup: steps at the beginning in which images may look like anything.
    """

    flat: float = 0.02
    tint: float = 0.9
    collapse_steps: int = 100
    won_below: float = 0.02
    won_steps: int = 1000
    painted_most: float = 0.98
    painted_least: float = 1e-6
    copying_steps: int = 1000
    warmup: int = 200


@dataclass
class Watchdog:
    """Counts steps that look like a failure.

    Attributes:
        collapsed: consecutive steps with flat or tinted images.
        losing: consecutive steps in which the discriminator has won; checkpoints have this name.
        one_sided: consecutive steps in which everything was copied, or nothing.
        rollbacks: how often the run went back to an earlier checkpoint.
    """

    limits: WatchdogLimits = field(default_factory=WatchdogLimits)
    collapsed: int = 0
    losing: int = 0
    one_sided: int = 0
    rollbacks: int = 0

    def check(self, step: int, losses: Mapping[str, float], images: Mapping[str, float]) -> str:
        """What is wrong, or an empty string; to be called with every step, in their order.

        Args:
            losses: every term's value.
            images: what :func:`image_statistics` measured.
        """
        if bad := sorted(name for name, value in losses.items() if not math.isfinite(value)):
            return f"{', '.join(bad)} is not a number at step {step}"
        limits = self.limits
        if step <= limits.warmup:
            return ""
        dead = images["deviation"] < limits.flat or images["tint"] > limits.tint
        self.collapsed = self.collapsed + 1 if dead else 0
        if self.collapsed >= limits.collapse_steps:
            return f"images have been {_appearance(images)} for {self.collapsed} steps"
        self.losing = self.losing + 1 if losses.get("discriminator", 2.0) < limits.won_below else 0
        if self.losing >= limits.won_steps:
            return f"the discriminator has won for {self.losing} steps: its loss is near 0"
        painted = losses.get("painted", 0.5)
        extreme = not limits.painted_least < painted < limits.painted_most
        self.one_sided = self.one_sided + 1 if extreme else 0
        if self.one_sided >= limits.copying_steps:
            what = "nothing was copied from photos" if painted > 0.5 else "nothing was painted"
            return f"{what} for {self.one_sided} steps"
        return ""

    @property
    def healthy(self) -> bool:
        """Whether no failure has begun: a checkpoint written now is worth going back to."""
        return not self.collapsed and self.losing < self.limits.won_steps // 2

    def rolled_back(self) -> None:
        """Count a rollback and start counting steps anew."""
        self.collapsed = self.losing = self.one_sided = 0
        self.rollbacks += 1

    def to_json(self) -> dict[str, int]:
        """The counts, without the limits: what a checkpoint keeps."""
        data = asdict(self)
        del data["limits"]
        return data


@dataclass(frozen=True)
class PendingStep:
    """A step whose numbers are still on the device.

    Attributes:
        losses, images: names of the numbers.
        values: float32, the losses, then the images' statistics.
    """

    step: int
    losses: tuple[str, ...]
    images: tuple[str, ...]
    values: Tensor

    @classmethod
    def stack(
        cls, step: int, losses: Mapping[str, Tensor], images: Mapping[str, Tensor]
    ) -> PendingStep:
        """A step of its scalars; nothing waits for the device."""
        values = [value.detach().float() for value in (*losses.values(), *images.values())]
        return cls(step, tuple(losses), tuple(images), torch.stack(values))


class StepMetrics(NamedTuple):
    """A step's numbers: every loss, and what :func:`image_statistics` measured."""

    step: int
    losses: dict[str, float]
    images: dict[str, float]


def read_steps(pending: Sequence[PendingStep], watchdog: Watchdog) -> tuple[list[StepMetrics], str]:
    """Read steps' numbers from the device in one go, and have them checked in their order.

    Returns:
        All steps up to the first failure, and that failure or an empty string.
    """
    metrics = []
    values = torch.stack([step.values for step in pending]).tolist()
    for step, numbers in zip(pending, values, strict=True):
        split = len(step.losses)
        losses = dict(zip(step.losses, numbers[:split], strict=True))
        images = dict(zip(step.images, numbers[split:], strict=True))
        metrics.append(StepMetrics(step.step, losses, images))
        if failure := watchdog.check(step.step, losses, images):
            return metrics, failure
    return metrics, ""


def image_statistics(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Numbers about a batch of images (B, 3, H, H) in −1…1.

    Returns:
        Scalars: ``deviation``, the mean over the images of their values' standard deviation;
        ``red``, ``green`` and ``blue``, the mean colour of ``fake``; ``tint``, its largest distance
        from the mean colour of ``real`` in any channel.
    """
    made, wanted = fake.float().mean((0, 2, 3)), real.float().mean((0, 2, 3))
    return {
        "deviation": fake.float().flatten(1).std(1).mean(),
        "tint": (made - wanted).abs().max(),
        "red": made[0],
        "green": made[1],
        "blue": made[2],
    }


def _appearance(images: Mapping[str, float]) -> str:
    """What images that show nothing look like, in a word."""
    red, green, blue = (images[name] for name in ("red", "green", "blue"))
    if max(red, green, blue) < -0.7:
        return "black"
    if red > 0.3 and max(green, blue) < -0.3:
        return "red"
    if images["deviation"] < 0.1:
        return "flat"
    return f"tinted (mean colour {red:.1f}, {green:.1f}, {blue:.1f})"
