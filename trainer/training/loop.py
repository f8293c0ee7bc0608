"""The training loop: steps, looks at what they gave, saves. Knows no adversarial maths."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.progress import Progress
from fsh.trainer import checkpoint, distributed
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import plan_data
from fsh.trainer.distributed import Ranks
from fsh.trainer.training.budget import Budget
from fsh.trainer.training.content import load_content
from fsh.trainer.training.episode_feed import open_episodes
from fsh.trainer.training.losses import Episodes
from fsh.trainer.training.monitor import Monitor
from fsh.trainer.training.phases import Phases
from fsh.trainer.training.sample_sheet import SampleSheet
from fsh.trainer.training.session import Session, newest
from fsh.trainer.training.watchdog import Held, Row, look_at, read

MAX_ROLLBACKS = 3
#: Steps between looks at the losses. A look waits for everything that the device still has to do;
#: a GPU is kept busy meanwhile. Before a checkpoint is written everything has been looked at.
LOOK_EVERY = {"cpu": 1, "cuda": 16}


@dataclass(frozen=True)
class TrainReport:
    """What a call did.

    Attributes:
        steps: generator steps of the run so far; ``planned`` is where it ends.
        losses: weighted terms, mean of the last 50 steps.
        episodes_per_second: of this call, all processes together.
        finished: False if it was stopped before.
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

    def to_json(self) -> dict:
        return asdict(self)


def train(
    data: DataFolder,
    run: Path,
    config: TrainConfig,
    progress: Progress,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Meta-learn E, G and D on a data set's train split, or go on where an earlier call stopped.

    Args:
        data: what ``fsh shard`` wrote.
        run: where checkpoints, logs and samples go.
        stop: asked after every step; True saves and returns.

    Raises:
        FshError: no or unfit data, a run of another configuration, or training that died
            :data:`MAX_ROLLBACKS` times.
    """
    ranks = distributed.start(config.device)
    plan = plan_data(data, workers=config.workers, world=ranks.world)
    content, features = load_content(config, progress)
    session = Session.new(config, plan, features)
    session.world = ranks.world
    resumed = newest(run, progress)
    saved = session.load(resumed) if resumed else None
    if saved:
        progress.say(f"going on from step {session.step} ({resumed})")
        _tell_differences(saved, session, progress)
    budget = Budget.of(session, saved, plan, ranks)
    phases = Phases.of(session, content, ranks, progress)
    loop = Loop(run, session, phases, ranks, progress, budget, resumed=bool(resumed))
    if ranks.first:
        write_config(run, config)
        loop.monitor = Monitor(run, session.step)
        loop.sheet = SampleSheet(data, config)
    episodes = open_episodes(plan, session, ranks)
    progress.start("train", session.target, "step", done=session.step)
    while not session.done:
        loop.step(next(episodes))
        if not loop.due():
            continue
        if not loop.look():
            continue
        halt = ranks.agree(stop())
        loop.save(now=halt)
        if halt:
            break
    return loop.close()


class Loop:
    """What one call of :func:`train` keeps between steps."""

    monitor: Monitor | None = None
    sheet: SampleSheet | None = None

    def __init__(
        self,
        run: Path,
        session: Session,
        phases: Phases,
        ranks: Ranks,
        progress: Progress,
        budget: Budget,
        *,
        resumed: bool,
    ) -> None:
        self.run, self.session, self.phases = run, session, phases
        self.ranks, self.progress, self.budget = ranks, progress, budget
        self.begun = self.saved_at = time.monotonic()
        self.resumed, self.saved = resumed, session.step if resumed else -1
        self.every = LOOK_EVERY[session.config.device.split(":")[0]]
        self.held: list[Held] = []
        self.recent: deque[dict[str, float]] = deque(maxlen=50)

    def step(self, episodes: Episodes) -> None:
        """Every phase once; the numbers stay on the device."""
        session = self.session
        session.position += 1
        parts, fake = self.phases.run(episodes)
        session.step += 1
        session.average.update(session.model, session.step)
        self.held.append(Held.of(session.step, parts, look_at(fake, episodes.images)))
        session.seconds = self.budget.before + time.monotonic() - self.begun

    @property
    def checkpoint_due(self) -> bool:
        return self.session.step % self.session.config.checkpoint_every == 0

    def due(self) -> bool:
        """Whether to look at the steps since the last look."""
        return self.checkpoint_due or self.session.done or self.session.step % self.every == 0

    def look(self) -> bool:
        """Read the steps' numbers, write them down, plan; or roll back and return False."""
        rows, trouble = read(self.held, self.session.watchdog)
        self.held.clear()
        if self.ranks.agree(bool(trouble)):
            _roll_back(
                self.run, self.session, trouble or "another process saw trouble", self.progress
            )
            self.recent.clear()
            self.saved = self.session.step
            return False
        for row in rows:
            self._write(row)
        self.progress.advance(len(rows), note=_note(rows[-1].losses))
        self.budget.look(self.progress)
        return True

    def _write(self, row: Row) -> None:
        self.recent.append(row.losses)
        if self.monitor:
            self.monitor.write(row.step, row.losses | row.pictures)

    def save(self, *, now: bool) -> None:
        """A checkpoint and its samples, if it is time; ``now``: in any case."""
        config, session = self.session.config, self.session
        late = time.monotonic() - self.saved_at > 60 * config.checkpoint_minutes
        if not (self.ranks.agree(self.checkpoint_due or late) or now or session.done):
            return
        if self.sheet:
            session.save(self.run, _mean(self.recent))
            self.sheet.write(self.run, session)
        self.saved, self.saved_at = session.step, time.monotonic()
        self.ranks.wait()

    def close(self) -> TrainReport:
        self.progress.stop()
        if self.monitor:
            self.monitor.close()
        if self.saved < 0:
            raise FshError(
                "no step was made", where=self.run, remedy="give a --steps of at least 1"
            )
        session, config, start = self.session, self.session.config, self.budget.start
        seconds = time.monotonic() - self.begun
        return TrainReport(
            preset=config.preset,
            parameters=session.model.counts(),
            steps=session.step,
            planned=session.target,
            losses=_mean(self.recent),
            episodes_per_second=(session.step - start) * config.batch * self.ranks.world / seconds,
            seconds=seconds,
            checkpoint=str(checkpoint.folder_of(self.run, self.saved)),
            finished=session.done,
            resumed_from=start if self.resumed else None,
            rollbacks=session.watchdog.rollbacks,
            features=session.features,
        )


def _roll_back(run: Path, session: Session, trouble: str, progress: Progress) -> None:
    """Back to the last good checkpoint, on with other data, at half the learning rates."""
    good = session.good
    session.watchdog.rolled_back()
    if good is None or session.watchdog.rollbacks > MAX_ROLLBACKS:
        raise FshError(
            f"training died: {trouble}",
            where=run,
            remedy="lower the learning rates, or use another --loss",
        )
    progress.say(f"{trouble}: back to step {good}, learning rates halved")
    session.load(checkpoint.folder_of(run, good), weights_only=True)
    session.set_rate(session.rate / 2)


def write_config(run: Path, config: TrainConfig) -> None:
    """``config.json``: for people, and the sign that this folder is a run."""
    with replacing(run / "config.json") as temporary:
        temporary.write_text(json.dumps(config.to_json(), indent=1) + "\n")


def _tell_differences(saved: dict[str, Any], session: Session, progress: Progress) -> None:
    """Say what is not as it was when the checkpoint was written."""
    if saved["features"] != session.features:
        progress.say(f"content features were {saved['features']}, are {session.features} now")
    if (saved["world"], saved["workers"]) != (session.world, session.config.workers):
        progress.say("other processes or loaders than before: the data order differs")


def _mean(recent: deque[dict[str, float]]) -> dict[str, float]:
    if not recent:
        return {}
    return {name: sum(row[name] for row in recent) / len(recent) for name in recent[-1]}


def _note(losses: dict[str, float]) -> str:
    hidden = ("discriminator", "real", "fake")
    generator = sum(v for k, v in losses.items() if k not in hidden)
    return f"G {generator:.2f}  D {losses.get('discriminator', 0.0):.2f}"
