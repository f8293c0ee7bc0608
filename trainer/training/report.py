"""What a call of :func:`fsh.trainer.training.loop.train` did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class TrainReport:
    """What a call did.

    Attributes:
        steps: generator steps of the run so far; ``planned`` is where it ends.
        losses: weighted terms, mean of the last 50 steps.
        episodes_per_second: of this call, all processes together.
        finished: False if it was stopped before.
        skipped: episodes of this call whose frames could not be decoded; others stood in for them.
            damaged: of each shard, how many samples they were of.
    """

    preset: str
    parameters: dict[str, int]
    steps: int
    planned: int | None
    losses: dict[str, float]
    episodes_per_second: float
    seconds: float
    checkpoint: str
    finished: bool
    resumed_from: int | None
    rollbacks: int
    features: dict[str, str]
    skipped: int = 0
    damaged: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict:
        return asdict(self)
