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


@dataclass(frozen=True)
class BudgetSettings:
    """How a time budget becomes a number of steps.

    Attributes:
        measure_at: seconds after which the speed is measured: soon, to show when the run will end,
            and again when the speed is better known.
        measure_steps: steps that come before each measurement at least.
        overrun: factor by which a budget may be overrun before the run ends where it is.
    """

    measure_at: tuple[float, ...] = (2.0, 15.0, 30.0, 60.0, 120.0)
    measure_steps: int = 4
    overrun: float = 1.1


def planned_steps(config: TrainConfig, plan: DataPlan, world: int) -> int:
    """Generator steps: the user's number, or ``epochs`` passes over the data."""
    return config.steps or max(1, config.epochs * plan.samples // (config.batch * world))


@dataclass
class Budget:
    """Sets ``session.target``, and sets it anew while the speed becomes known.

    Attributes:
        measure_at: seconds of this call at which the speed is still to be measured.
        start, before: the session's step and seconds when this call began.
        from_clock: whether this call sets the number from the clock; only then may the run end
            before it, when the time is up.
        measured: step and seconds of the last measurement. Each begins there: the first steps,
            which also wait for the data, are slower than those to come.
    """

    session: Session
    ranks: Ranks
    settings: BudgetSettings
    measure_at: tuple[float, ...]
    start: int
    before: float
    from_clock: bool
    measured: tuple[int, float]

    @classmethod
    def for_session(
        cls,
        session: Session,
        saved: Mapping[str, Any] | None,
        plan: DataPlan,
        ranks: Ranks,
        settings: BudgetSettings = BudgetSettings(),
    ) -> Budget:
        """The budget of a call of ``train``.

        Args:
            saved: the checkpoint's state that the session was loaded from, if it was.
        """
        config = session.config
        measure_at = settings.measure_at
        if saved and _requested(saved["config"]) != _requested(config.to_json()):
            session.target = None  # another budget than before: planned anew
        elif saved and session.target is not None:
            # A plan once measured is kept: a run in parts makes the steps of a run in one.
            measure_at = tuple(at for at in measure_at if at > session.seconds)
        if config.steps or not config.minutes:
            measure_at = ()
            session.target = planned_steps(config, plan, ranks.world)
        start = (session.step, session.seconds)
        clock = bool(measure_at)
        return cls(session, ranks, settings, measure_at, *start, from_clock=clock, measured=start)

    def update(self, progress: Progress) -> None:
        """Set the number of steps from the speed so far, or to those made if the time is up."""
        session, minutes = self.session, self.session.config.minutes
        if not self.from_clock or minutes is None:
            return
        if self.measure_at and self.ranks.any(self._due()):
            self.measure_at = self.measure_at[1:]
            steps, spent = self._since_last()
            self.measured = (session.step, session.seconds)
            left = max(0.0, 60 * minutes - session.seconds)
            session.target = int(self.ranks.first_value(session.step + int(left * steps / spent)))
            fitting = f"{session.target} steps fit into {minutes:g} minutes"
            progress.say(f"{fitting}: {left / 60:.1f} minutes left")
            progress.start("train", session.target, "step", done=session.step)
        if self.ranks.any(session.seconds > 60 * minutes * self.settings.overrun):
            session.target = session.step

    def _due(self) -> bool:
        """Whether it is time to measure the speed."""
        spent = self.session.seconds - self.before
        return self._since_last()[0] >= self.settings.measure_steps and spent >= self.measure_at[0]

    def _since_last(self) -> tuple[int, float]:
        """Steps made since the last measurement, and their seconds."""
        return self.session.step - self.measured[0], self.session.seconds - self.measured[1]


def _requested(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a user set that decides the number of steps."""
    return config["steps"], config["minutes"], config["epochs"]
