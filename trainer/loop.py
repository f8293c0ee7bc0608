"""The training loop: walks phases, keeps time, saves. Knows no adversarial maths."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fsh.schemas.errors import FshError
from fsh.schemas.layout import DataFolder, replacing
from fsh.schemas.progress import Progress
from fsh.trainer import checkpoint, distributed
from fsh.trainer.config import TrainConfig
from fsh.trainer.content import load_content
from fsh.trainer.data import Batch, DataPlan, EpisodeStream, loader, plan_data
from fsh.trainer.distributed import Ranks
from fsh.trainer.losses import Content, Episodes, MetaObjective, Terms
from fsh.trainer.monitor import Monitor
from fsh.trainer.samples import SampleSheet
from fsh.trainer.session import Session, newest
from fsh.trainer.watchdog import Watchdog, look_at

#: Seconds after which a time budget is turned into a number of steps: soon, to show when it will
#: end, and again when the speed is better known. At least :data:`MEASURE_STEPS` come before.
MEASURE_SECONDS = (2.0, 30.0, 120.0)
MEASURE_STEPS = 4
#: A measured budget may be overrun by this factor before the run ends where it is.
OVERRUN = 1.1
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


@dataclass(frozen=True)
class Phase:
    """One optimizer step: what to minimise, and for whom."""

    name: str
    loss: Callable[[Episodes, Terms | None], Terms]
    adam: torch.optim.Adam

    def run(
        self, episodes: Episodes, made: Terms | None, config: TrainConfig, ranks: Ranks
    ) -> Terms:
        kind, half = config.device.split(":")[0], config.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            terms = self.loss(episodes, made)
        terms.total.backward()
        ranks.average(p for group in self.adam.param_groups for p in group["params"])
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return terms


@dataclass(frozen=True)
class Held:
    """A step's numbers, still on the device."""

    step: int
    losses: tuple[str, ...]
    pictures: tuple[str, ...]
    values: torch.Tensor

    @classmethod
    def of(
        cls, step: int, losses: Mapping[str, torch.Tensor], pictures: Mapping[str, torch.Tensor]
    ) -> Held:
        values = [value.detach().float() for value in (*losses.values(), *pictures.values())]
        return cls(step, tuple(losses), tuple(pictures), torch.stack(values))


def read(
    held: list[Held], watchdog: Watchdog
) -> tuple[list[tuple[int, dict[str, float], dict[str, float]]], str]:
    """Steps' numbers from the device in one go, shown to the watchdog in their order.

    Returns:
        (step, losses, what the pictures measure) of every step, and the first trouble seen.
    """
    rows = []
    values = torch.stack([step.values for step in held]).tolist()
    for step, numbers in zip(held, values, strict=True):
        split = len(step.losses)
        losses = dict(zip(step.losses, numbers[:split], strict=True))
        pictures = dict(zip(step.pictures, numbers[split:], strict=True))
        rows.append((step.step, losses, pictures))
        if trouble := watchdog.look(step.step, losses, pictures):
            return rows, trouble
    return rows, ""


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
    looks: tuple[float, ...] = MEASURE_SECONDS
    if resumed:
        state = session.load(resumed)
        if _asked(state["config"]) != _asked(config.to_json()):
            session.target = None  # another budget than before: planned anew
        elif session.target is not None:
            # A plan once measured is kept: a run in parts makes the steps of a run in one.
            looks = tuple(look for look in MEASURE_SECONDS if look > session.seconds)
        progress.say(f"going on from step {session.step} ({resumed})")
        if state["features"] != features:
            progress.say(f"content features were {state['features']}, are {features} now")
        if (state["world"], state["workers"]) != (ranks.world, config.workers):
            progress.say("other processes or loaders than before: the data order differs")
    if config.steps or not config.minutes:
        session.target = planned_steps(config, plan, ranks.world)
    phases = phases_of(session, content)
    return _walk(data, run, plan, session, phases, ranks, progress, stop, resumed, looks)


def phases_of(session: Session, content: Content) -> list[Phase]:
    """A step's phases in their order: G's once, then D's as often as configured."""
    model, config = session.model, session.config
    objective = MetaObjective(
        model.embedder, model.generator, model.discriminator, model.columns, content, config.loss
    )
    first = Phase("generator", objective.generator, session.generator_adam)
    second = Phase("discriminator", objective.discriminator, session.discriminator_adam)
    return [first, *[second] * config.discriminator_steps]


def _asked(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a user set that decides the number of steps."""
    return config["steps"], config["minutes"], config["epochs"]


def write_config(run: Path, config: TrainConfig) -> None:
    """``config.json``: for people, and the sign that this folder is a run."""
    with replacing(run / "config.json") as temporary:
        temporary.write_text(json.dumps(config.to_json(), indent=1) + "\n")


def planned_steps(config: TrainConfig, plan: DataPlan, world: int) -> int:
    """Generator steps: the user's number, or ``epochs`` passes over the data."""
    return config.steps or max(1, config.epochs * plan.samples // (config.batch * world))


def _walk(
    data: DataFolder,
    run: Path,
    plan: DataPlan,
    session: Session,
    phases: list[Phase],
    ranks: Ranks,
    progress: Progress,
    stop: Callable[[], bool],
    resumed: Path | None,
    looks: tuple[float, ...],
) -> TrainReport:
    config, begun, start = session.config, time.monotonic(), session.step
    if ranks.first:
        write_config(run, config)
    before = session.seconds
    planned_here = bool(looks)
    batches = open_batches(plan, session, ranks)
    monitor = Monitor(run, session.step) if ranks.first else None
    sheet = SampleSheet(data, config) if ranks.first else None
    recent: deque[dict[str, float]] = deque(maxlen=50)
    held: list[Held] = []
    every = LOOK_EVERY[config.device.split(":")[0]]
    saved, saved_at = (session.step if resumed else -1), begun
    progress.start("train", session.target, "step", done=session.step)
    while session.target is None or session.step < session.target:
        batch = next(batches)
        session.position += 1
        episodes = to_device(batch, session)
        made: Terms | None = None
        parts: dict[str, torch.Tensor] = {}
        for phase in phases:
            made = phase.run(episodes, made, config, ranks)
            parts |= made.parts
        assert made is not None
        session.step += 1
        session.average.update(session.model, session.step)
        held.append(Held.of(session.step, parts, look_at(made.fake, episodes.images)))
        session.seconds = before + time.monotonic() - begun
        due = session.step % config.checkpoint_every == 0
        done = session.target is not None and session.step >= session.target
        if not (due or done or session.step % every == 0):
            continue
        rows, trouble = read(held, session.watchdog)
        held.clear()
        if ranks.agree(bool(trouble)):
            _roll_back(run, session, trouble or "another process saw trouble", progress)
            recent.clear()
            saved = session.step
            continue
        for step, losses, pictures in rows:
            recent.append(losses)
            if monitor:
                monitor.write(step, losses | pictures)
        progress.advance(len(rows), note=_note(rows[-1][1]))
        if looks and config.minutes and not config.steps:
            looks = _set_target(session, looks, start, before, ranks, progress)
        if planned_here and ranks.agree(_overrun(session)):
            session.target = session.step
        halt = ranks.agree(stop())
        late = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
        done = session.target is not None and session.step >= session.target
        if ranks.agree(due or late) or halt or done:
            if sheet:
                session.save(run, _mean(recent))
                sheet.write(run, session)
            saved, saved_at = session.step, time.monotonic()
            ranks.wait()
        if halt:
            break
    progress.stop()
    if monitor:
        monitor.close()
    if saved < 0:
        raise FshError("no step was made", where=run, remedy="give a --steps of at least 1")
    seconds = time.monotonic() - begun
    return TrainReport(
        preset=config.preset,
        parameters=session.model.counts(),
        steps=session.step,
        planned=session.target,
        losses=_mean(recent),
        episodes_per_second=(session.step - start) * config.batch * ranks.world / seconds,
        seconds=seconds,
        checkpoint=str(checkpoint.folder_of(run, saved)),
        finished=session.target is not None and session.step >= session.target,
        resumed_from=start if resumed else None,
        rollbacks=session.watchdog.rollbacks,
        features=session.features,
    )


def open_batches(plan: DataPlan, session: Session, ranks: Ranks) -> Iterator[Batch]:
    """The loader, from the session's position on."""
    config = session.config
    stream = EpisodeStream(
        plan.shards,
        size=plan.card.spec.size,
        image=config.network.size,
        frames=config.frames,
        batch=config.batch,
        seed=config.seed,
        rank=ranks.rank,
        world=ranks.world,
        start=session.position,
    )
    return loader(stream, plan.workers, pin=config.device.startswith("cuda"))


def to_device(batch: Batch, session: Session) -> Episodes:
    """uint8 pictures to the floats that the networks see, channels last."""
    device = session.config.device
    images = batch.images.to(device, non_blocking=True).float() / 127.5 - 1
    landmarks = batch.landmarks.to(device, non_blocking=True).float() / 255
    columns = session.model.columns.rows(batch.videos).to(device)

    def channels_last(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.contiguous().movedim(-1, -3)

    return Episodes(
        source_images=channels_last(images[:, :-1]),
        source_landmarks=channels_last(landmarks[:, :-1]),
        images=channels_last(images[:, -1]),
        landmarks=channels_last(landmarks[:, -1]),
        columns=columns,
    )


def _set_target(
    session: Session,
    looks: tuple[float, ...],
    start: int,
    before: float,
    ranks: Ranks,
    progress: Progress,
) -> tuple[float, ...]:
    """Set the number of steps from the speed so far, if it is time to; the looks still to come."""
    done, spent = session.step - start, session.seconds - before
    if not ranks.agree(done >= MEASURE_STEPS and spent >= looks[0]):
        return looks
    assert session.config.minutes is not None
    left = max(0.0, 60 * session.config.minutes - session.seconds)
    session.target = int(ranks.number(session.step + int(left * done / spent)))
    fitting = f"{session.target} steps fit into {session.config.minutes:g} minutes"
    progress.say(f"{fitting}: {left / 60:.1f} minutes left")
    progress.start("train", session.target, "step", done=session.step)
    return looks[1:]


def _overrun(session: Session) -> bool:
    config = session.config
    if config.steps or not config.minutes:
        return False
    return session.seconds > 60 * config.minutes * OVERRUN


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


def _mean(recent: deque[dict[str, float]]) -> dict[str, float]:
    if not recent:
        return {}
    return {name: sum(row[name] for row in recent) / len(recent) for name in recent[-1]}


def _note(losses: dict[str, float]) -> str:
    hidden = ("discriminator", "real", "fake")
    generator = sum(v for k, v in losses.items() if k not in hidden)
    return f"G {generator:.2f}  D {losses.get('discriminator', 0.0):.2f}"
