"""The options of an evaluation, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.run_pictures import PROTOCOLS
from fsh.trainer.evaluation.systems import authors_steps

#: What ``steps`` may be besides a number.
AUTHORS, OWN = "authors", "own"


@dataclass(frozen=True)
class EvaluationOptions:
    """The arguments of :func:`evaluate`, defaults filled in."""

    data: Path
    run: Path
    against: tuple[Path, ...]
    protocols: tuple[str, ...]
    shots: tuple[int, ...]
    identities: int | None
    frames: int
    held: int
    split: str
    frames_folder: Path | None
    steps: int | str
    seed: int
    output: Path
    user_study: Path | None
    device: str

    def settings(self) -> dict[str, object]:
        """For people."""
        return {
            "run": self.run,
            "against": list(map(str, self.against)),
            "data": self.frames_folder or self.data,
            "split": self.split,
            "protocol": ",".join(self.protocols),
            "shots": ",".join(map(str, self.shots)),
            "identities": self.identities or "all",
            "frames": f"{self.frames} + {self.held}",
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
            "output": self.output,
        }


def parse_protocols(protocol: str | Sequence[str]) -> tuple[str, ...]:
    """The protocols named, in a fixed order."""
    named = protocol.split(",") if isinstance(protocol, str) else list(protocol)
    found = tuple(name for name in PROTOCOLS if name in [one.strip() for one in named])
    if len(found) != len(named):
        raise FshError(f"no protocol {protocol!r}", remedy=f"use {' or '.join(PROTOCOLS)}, or both")
    return found


def fine_tuning_steps(steps: int | str) -> Callable[[int], int | None]:
    """The number of fine-tuning steps for T photos; None: what :func:`fsh.personalize` finds best.

    Args:
        steps: a number, ``authors`` or ``own``, see :func:`evaluate`.

    Raises:
        FshError: if it is anything else.
    """
    if steps == AUTHORS:
        return authors_steps
    if steps == OWN:
        return lambda _: None
    if isinstance(steps, int) or steps.isdigit():
        return lambda _: int(steps)
    raise FshError(f"not a number of steps: {steps!r}", where="--steps", remedy="authors or own")
