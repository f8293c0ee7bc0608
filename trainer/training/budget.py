"""How many steps a run makes: a number, passes over the data, or what fits into minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import DataPlan
from fsh.trainer.distributed import Ranks
from fsh.trainer.training.session import Session

#: Seconds after which a time budget is turned into a number of steps: soon, to show when it will
#: end, and again when the speed is better known. At least :data:`MEASURE_STEPS` come before each.
MEASURE_SECONDS = (2.0, 15.0, 30.0, 60.0, 120.0)
MEASURE_STEPS = 4
#: A measured budget may be overrun by this factor before the run ends where it is.
OVERRUN = 1.1


def planned_steps(config: TrainConfig, plan: DataPlan, world: int) -> int:
    """Generator steps: the user's number, or ``epochs`` passes over the data."""
    return config.steps or max(1, config.epochs * plan.samples // (config.batch * world))


@dataclass
class Budget:
    """Sets ``session.target``, and sets it anew while the speed becomes known.

    Attributes:
        looks: seconds of this call at which the speed is still to be looked at.
        start, before: the session's step and seconds when this call began.
        watched: whether the run may end early, because this call set the number from the clock.
        since: step and seconds of the last look: the first steps, which also wait for the data,
            are slower than those to come.
    """

    session: Session
    ranks: Ranks
    looks: tuple[float, ...]
    start: int
    before: float
    watched: bool
    since: tuple[int, float]

    @classmethod
    def of(
        cls, session: Session, saved: Mapping[str, Any] | None, plan: DataPlan, ranks: Ranks
    ) -> Budget:
        """Args:
        saved: the checkpoint's state that the session was loaded from, if it was.
        """
        config = session.config
        looks: tuple[float, ...] = MEASURE_SECONDS
        if saved and _asked(saved["config"]) != _asked(config.to_json()):
            session.target = None  # another budget than before: planned anew
        elif saved and session.target is not None:
            # A plan once measured is kept: a run in parts makes the steps of a run in one.
            looks = tuple(look for look in MEASURE_SECONDS if look > session.seconds)
        if config.steps or not config.minutes:
            looks = ()
            session.target = planned_steps(config, plan, ranks.world)
        start = (session.step, session.seconds)
        return cls(session, ranks, looks, *start, watched=bool(looks), since=start)

    def look(self, progress: Progress) -> None:
        """Set the number of steps from the speed so far, or from the time that is up."""
        session, minutes = self.session, self.session.config.minutes
        if not self.watched or minutes is None:
            return
        if self.looks and self.ranks.agree(self._measured()):
            self.looks = self.looks[1:]
            done, spent = self._since_last()
            self.since = (session.step, session.seconds)
            left = max(0.0, 60 * minutes - session.seconds)
            session.target = int(self.ranks.number(session.step + int(left * done / spent)))
            fitting = f"{session.target} steps fit into {minutes:g} minutes"
            progress.say(f"{fitting}: {left / 60:.1f} minutes left")
            progress.start("train", session.target, "step", done=session.step)
        if self.ranks.agree(session.seconds > 60 * minutes * OVERRUN):
            session.target = session.step

    def _measured(self) -> bool:
        spent = self.session.seconds - self.before
        return self._since_last()[0] >= MEASURE_STEPS and spent >= self.looks[0]

    def _since_last(self) -> tuple[int, float]:
        """Steps made since the last look, and their seconds."""
        return self.session.step - self.since[0], self.session.seconds - self.since[1]


def _asked(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a user set that decides the number of steps."""
    return config["steps"], config["minutes"], config["epochs"]
