"""The options of an evaluation, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fsh.defaults import AnyPath
from fsh.schemas.errors import FshError
from fsh.schemas.run_pictures import PROTOCOLS
from fsh.trainer.evaluation.systems import authors_steps

#: What ``steps`` may be besides a number.
AUTHORS, OWN = "authors", "own"
#: At which size pictures may be compared: the crop's, or the smallest that all networks draw.
CROP, NETWORK = SIZES = ("crop", "network")


@dataclass(frozen=True)
class EvaluationOptions:
    """The arguments of :func:`fsh.evaluate`, defaults filled in.

    Attributes:
        data: the data folder.
        run: the training run.
        against: further runs to compare with.
        protocols: of ``fsth`` and ``modern``, in this order.
        shots: numbers of photos T, ascending.
        identities: people at most; None: all of the split.
        frames: input frames of each identity.
        held: hold-out frames of each identity.
        split: which split's people are drawn.
        frames_folder: a folder of frames instead of ``data``.
        steps: fine-tuning steps: a number, ``authors`` or ``own``.
        size: what size is compared: ``crop`` or ``network``.
        seed: of the choice of photos and the intervals.
        output: where results, table and pictures go.
        user_study: folder of the study's page; None: no page.
        device: where the networks are: ``cpu`` or ``cuda``.

    Raises:
        FshError: naming a value that is out of range.
    """

    data: AnyPath
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
    size: str
    seed: int
    output: Path
    user_study: Path | None
    device: str

    def __post_init__(self) -> None:
        fine_tuning_steps(self.steps)
        if self.size not in SIZES:
            remedy = f"use {' or '.join(SIZES)}"
            raise FshError(f"no size {self.size!r}", where="size (--size)", remedy=remedy)
        if not self.shots or min(self.shots) < 1:
            shown = ", ".join(map(str, self.shots)) or "none"
            raise FshError(f"shots must be numbers of photos from 1 up, not {shown}")
        for name in ("frames", "held", "identities"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FshError(f"{name} must be at least 1, not {value}")

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
            "size": self.size,
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
    if (isinstance(steps, int) and steps >= 0) or (isinstance(steps, str) and steps.isdigit()):
        return lambda _: int(steps)
    remedy = f"give a number from 0 up, {AUTHORS} or {OWN}"
    raise FshError(f"not a number of steps: {steps!r}", where="steps (--steps)", remedy=remedy)
