"""The training loop: makes steps, checks and logs their numbers, saves. Knows no losses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import RUN
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.outputs import owned_run, require_own_folder
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown
from fsh.trainer.checkpoint import Checkpoint, newest_sound
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.loader import explaining_lost_loaders
from fsh.trainer.data.plan import plan_data
from fsh.trainer.distributed import Ranks, explaining_losses, join_processes
from fsh.trainer.training.budget import Budget, BudgetSettings
from fsh.trainer.training.compilation import INDUCTOR
from fsh.trainer.training.content import load_content
from fsh.trainer.training.damage import DamageTally
from fsh.trainer.training.episode_feed import open_episodes
from fsh.trainer.training.losses import Episodes
from fsh.trainer.training.monitor import Monitor, losses_in_words, mean_losses
from fsh.trainer.training.phases import Phases
from fsh.trainer.training.report import TrainReport
from fsh.trainer.training.run_records import record_training, report_differences, write_config
from fsh.trainer.training.sample_sheet import SampleSheet
from fsh.trainer.training.session import Session
from fsh.trainer.training.watchdog import PendingStep, StepMetrics, image_statistics, read_steps

MAX_ROLLBACKS = 3
#: Steps whose numbers are read together, by the kind of device. Reading waits for everything that
#: the device still has to do; a GPU is kept busy for as many steps.
READ_EVERY = {"cpu": 1, "cuda": 16}


@dataclass(frozen=True)
class LoopSettings:
    """How the loop works; nothing that is trained depends on it.

    Attributes:
        read_every: steps whose numbers are read together; None: :data:`READ_EVERY`. Before a
            checkpoint is written all of them have been read.
        budget: how minutes become steps.
        compile_backend: of ``torch.compile``.
    """

    read_every: int | None = None
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    compile_backend: str | Callable = INDUCTOR


def train(
    data: DataFolder,
    run: Path,
    config: TrainConfig,
    progress: Progress,
    *,
    stop: Callable[[], bool] = lambda: False,
    settings: LoopSettings = LoopSettings(),
) -> TrainReport:
    """Meta-learn E, G and D on a data set's train split, or go on where an earlier call stopped.

    Args:
        data: what ``fsh shard`` wrote.
        run: where checkpoints, logs and samples go.
        stop: asked after every step whose numbers are read; True saves and returns.

    Raises:
        FshError: no or unfit data, a run of another configuration, a folder that is no run's or
            in which another process trains, a full disk, or training that failed more than
            :data:`MAX_ROLLBACKS` times.
    """
    require_own_folder(run, RUN, (data.root,))
    folder, ranks = RunFolder(run), join_processes(config.device)
    owned = owned_run(folder) if ranks.first else nullcontext()
    with explaining_losses(ranks), explaining_lost_loaders(), owned:
        return _train(data, folder, ranks, config, progress, stop, settings)


def _train(
    data: DataFolder,
    folder: RunFolder,
    ranks: Ranks,
    config: TrainConfig,
    progress: Progress,
    stop: Callable[[], bool],
    settings: LoopSettings,
) -> TrainReport:
    plan = plan_data(data, workers=config.workers, world=ranks.world)
    content, features = load_content(config, progress)
    session = Session.new(config, plan, features)
    session.world = ranks.world
    resumed = newest_sound(folder, Checkpoint.read, progress)
    if resumed:
        session.load(resumed)
        progress.say(f"going on from step {session.step} ({shown(resumed.folder)})")
        report_differences(resumed.state, session, progress)
    ranks.require_same(session.step, folder.root)
    saved = resumed.state if resumed else None
    budget = Budget.for_session(session, saved, plan, ranks, settings.budget)
    phases = Phases.for_session(session, content, ranks, progress, settings.compile_backend)
    every = settings.read_every or READ_EVERY[config.device.split(":")[0]]
    damage = DamageTally(progress)
    parts = (folder, session, phases, ranks, progress, budget, every, damage)
    loop = Loop(*parts, resumed=bool(resumed))
    if session.done:
        progress.say(
            f"{shown(folder.root)} is at step {session.step} and {session.target} are asked for: "
            "nothing to do → give more --steps, or another --run"
        )
        return loop.close()
    if ranks.first:
        write_config(folder, config)
        record_training(folder, plan, resumed=bool(resumed), progress=progress)
        loop.monitor = Monitor(folder, session.step)
        loop.sheet = SampleSheet(data, config)
    episodes = open_episodes(plan, session, ranks, damage)
    progress.start("train", session.target, "step", done=session.step)
    while not session.done:
        try:
            batch = next(episodes)
        except FshError as error:
            raise loop.stopped_by(error) from error
        loop.step(batch)
        if not loop.metrics_due():
            continue
        if not loop.process_metrics():
            continue
        halt = ranks.any(stop())
        loop.save(now=halt)
        if halt:
            break
    return loop.close()


class Loop:
    """What one call of :func:`train` keeps between steps.

    Attributes:
        pending: steps whose numbers have not been read yet.
        recent: losses of the last steps.
        saved: step of the newest checkpoint, −1 if there is none. saved_at: when it was written.
    """

    monitor: Monitor | None = None
    sheet: SampleSheet | None = None

    def __init__(
        self,
        run: RunFolder,
        session: Session,
        phases: Phases,
        ranks: Ranks,
        progress: Progress,
        budget: Budget,
        read_every: int,
        damage: DamageTally,
        *,
        resumed: bool,
    ) -> None:
        self.run, self.session, self.phases = run, session, phases
        self.ranks, self.progress, self.budget = ranks, progress, budget
        self.begun = self.saved_at = time.monotonic()
        self.damage = damage
        self.resumed, self.saved = resumed, session.step if resumed else -1
        self.read_every = read_every
        self.pending: list[PendingStep] = []
        self.recent: deque[dict[str, float]] = deque(maxlen=50)

    def step(self, episodes: Episodes) -> None:
        """Every phase once; the numbers stay on the device."""
        session = self.session
        session.position += 1
        parts, fake = self.phases.run(episodes)
        session.step += 1
        session.average.update(session.model, session.step)
        statistics = image_statistics(fake, episodes.images)
        self.pending.append(PendingStep.stack(session.step, parts, statistics))
        session.seconds = self.budget.before + time.monotonic() - self.begun

    @property
    def checkpoint_due(self) -> bool:
        return self.session.step % self.session.config.checkpoint_every == 0

    def metrics_due(self) -> bool:
        """Whether to read the numbers of the steps made since they were last read."""
        return self.checkpoint_due or self.session.done or self.session.step % self.read_every == 0

    def process_metrics(self) -> bool:
        """Read the steps' numbers, log them, plan; or roll back and return False."""
        steps, failure = read_steps(self.pending, self.session.watchdog)
        self.pending.clear()
        if self.ranks.any(bool(failure)):
            _roll_back(
                self.run,
                self.session,
                failure or "another process reported a failure",
                self.progress,
            )
            self.recent.clear()
            self.saved = self.session.step
            return False
        for metrics in steps:
            self._log(metrics)
        self.progress.advance(len(steps), note=losses_in_words(steps[-1].losses))
        self.budget.update(self.progress)
        if self.ranks.any(self.damage.too_much):
            self.save(now=True)
            raise self._told_saved(self.damage.error())
        return True

    def stopped_by(self, error: FshError) -> FshError:
        """Save what was learned before the data gave out; the error, which says so.

        Of several processes only this one knows, and saving needs all of them.
        """
        if self.ranks.world > 1 or (self.pending and not self.process_metrics()):
            return error
        if self.session.step > max(self.saved, 0):
            self.save(now=True)
        return self._told_saved(error)

    def _told_saved(self, error: FshError) -> FshError:
        if self.saved < 0:
            return error
        what = f"{error.what}; training stopped at step {self.saved}, which is saved"
        return FshError(what, where=error.where, remedy=error.remedy)

    def _log(self, metrics: StepMetrics) -> None:
        self.recent.append(metrics.losses)
        if self.monitor:
            self.monitor.write(metrics.step, metrics.losses | metrics.images)

    def save(self, *, now: bool) -> None:
        """A checkpoint and its samples, if it is time; ``now``: in any case."""
        config, session = self.session.config, self.session
        late = time.monotonic() - self.saved_at > 60 * config.checkpoint_minutes
        if not (self.ranks.any(self.checkpoint_due or late) or now or session.done):
            return
        if self.sheet:
            session.save(self.run, mean_losses(self.recent))
            self.sheet.write(self.run, session.average, session.step)
        self.saved, self.saved_at = session.step, time.monotonic()
        self.ranks.wait()

    def close(self) -> TrainReport:
        """End the call; what it did.

        Raises:
            FshError: if no step was made and nothing was there before.
        """
        self.progress.stop()
        self.damage.summarize()
        if self.monitor:
            self.monitor.close()
        if self.saved < 0:
            raise FshError(
                "no step was made", where=self.run.root, remedy="give a --steps of at least 1"
            )
        session, config, start = self.session, self.session.config, self.budget.start
        seconds = time.monotonic() - self.begun
        return TrainReport(
            preset=config.preset,
            parameters=session.model.counts(),
            steps=session.step,
            planned=session.target,
            losses=mean_losses(self.recent),
            episodes_per_second=(session.step - start) * config.batch * self.ranks.world / seconds,
            seconds=seconds,
            checkpoint=str(self.run.checkpoint(self.saved)),
            finished=session.done,
            resumed_from=start if self.resumed else None,
            rollbacks=session.watchdog.rollbacks,
            features=session.features,
            skipped=self.damage.skipped,
            damaged=self.damage.samples_by_shard(),
        )


def _roll_back(run: RunFolder, session: Session, failure: str, progress: Progress) -> None:
    """Back to the last good checkpoint, on with other data, at half the learning rates."""
    good = session.good
    session.watchdog.rolled_back()
    if good is None or session.watchdog.rollbacks > MAX_ROLLBACKS:
        raise FshError(
            f"training failed: {failure}",
            where=run.root,
            remedy="lower the learning rates, or use another --loss",
        )
    progress.say(f"{failure}: back to step {good}, learning rates halved")
    session.load(Checkpoint.read(run.checkpoint(good)), weights_only=True)
    session.set_rate(session.rate / 2)
