"""From a handful of photos to a person: the embedding, and fine-tuning where it helps.

Feed-forward: ê is the mean of E over the photos, ψ = P·ê. Fine-tuned (the paper's section 3.4):
ψ' := P·ê becomes a free parameter, w' := w0 + ê, and ψ, ψ', θ, w' and b are trained without L_MCH
on the photos. How long is measured, because too little leaves an identity gap and too much kills
mimics: a quarter of the photos is held out to find after how many steps the loss on them is least,
and that many steps are then made on all of them. Of fewer than four photos none can be spared:
moved copies stand in, some to train on and others held out. No step at all, the feed-forward model,
is among the choices: in the paper's own table one photo fares better without.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec
from fsh.trainer import checkpoint
from fsh.trainer.augment import moved_copies
from fsh.trainer.config import TrainConfig
from fsh.trainer.content import load_content
from fsh.trainer.losses import Content, Episodes, PersonalObjective, Terms
from fsh.trainer.monitor import grid, write_png
from fsh.trainer.networks import Discriminator, Embedder, Generator, channels_last
from fsh.trainer.person import Person, drawable
from fsh.trainer.raster import draw_all, rescale
from fsh.trainer.session import newest

#: Passes over the photos at most. The paper makes about 40, in batches that it does not state.
EPOCHS = 60
#: Steps at most, about what the authors' later practice makes of more than 30 photos.
MOST_STEPS = 240
#: With fewer photos than this, moved copies are trained on and held out: so many of each photo.
FEW, COPIES, HELD_COPIES = 4, 4, 3
#: Photos used at most; more are thinned out evenly over the clip.
MAX_PHOTOS = 32
#: Photos per fine-tuning step at most.
BATCH = 4
#: Times the held-out loss is measured on the way.
LOOKS = 8


@dataclass(frozen=True)
class PersonReport:
    """``steps`` are the fine-tuning steps made (0: feed-forward); ``held_out`` maps steps to loss
    on the held-out photos, empty if none were held out."""

    person: str
    photos: int
    steps: int
    seconds: float
    held_out: dict[str, float]
    folder: str

    def to_json(self) -> dict:
        return asdict(self)


@dataclass
class Trained:
    """The parts of a checkpoint that personalisation needs."""

    config: TrainConfig
    spec: FaceSpec
    embedder: Embedder
    generator: Generator
    discriminator: Discriminator
    step: int
    run: str


def newest_folder(run: Path, progress: Progress) -> Path:
    """The newest sound checkpoint of a run; a checkpoint's own folder is that.

    Raises:
        FshError: if there is none.
    """
    folder = run if (run / checkpoint.MANIFEST).is_file() else newest(run, progress)
    if folder is None:
        raise FshError("no checkpoint here", where=run, remedy="run `fsh train` first")
    return folder


def load_trained(run: Path, progress: Progress, device: str = "cpu") -> Trained:
    """The averaged E and G and the newest D of a run, or of one checkpoint's folder.

    Raises:
        FshError: if there is no checkpoint, or it is damaged.
    """
    folder = newest_folder(run, progress)
    state = checkpoint.read_state(folder, checkpoint.FORMAT)
    config = TrainConfig.from_json({**state["config"], "device": device})
    average = checkpoint.read_tensors(folder, state, "average.safetensors")
    networks = checkpoint.read_tensors(folder, state, "networks.safetensors")
    parts = {
        "embedder": (Embedder(config.network), average),
        "generator": (Generator(config.network), average),
        "discriminator": (Discriminator(config.network), networks),
    }
    for name, (network, tensors) in parts.items():
        network.load_state_dict(_below(tensors, name))
        channels_last(network.to(device)).eval()
    return Trained(
        config=config,
        spec=FaceSpec.from_json(state["spec"]),
        embedder=parts["embedder"][0],  # type: ignore[arg-type]
        generator=parts["generator"][0],  # type: ignore[arg-type]
        discriminator=parts["discriminator"][0],  # type: ignore[arg-type]
        step=state["step"],
        run=run.name,
    )


def run_spec(run: Path, progress: Progress) -> FaceSpec:
    """How the faces that a run was trained on were cropped and landmarked.

    Raises:
        FshError: if there is no checkpoint, or it is damaged.
    """
    state = checkpoint.read_state(newest_folder(run, progress), checkpoint.FORMAT)
    return FaceSpec.from_json(state["spec"])


def hashes_of(run: Path, progress: Progress) -> dict[str, str]:
    """SHA-256 of what a person from this run is made of.

    The ``model``'s averaged weights, and the ``dataset.json`` it was last trained on, if known.

    Raises:
        FshError: if there is no checkpoint, or it is damaged.
    """
    state = checkpoint.read_state(newest_folder(run, progress), checkpoint.FORMAT)
    model = {"model": state["files"]["average.safetensors"]}
    datasets = state.get("datasets", [])
    return model | ({"dataset": datasets[-1]} if datasets else {})


@dataclass(frozen=True)
class Photos:
    """Photos as the networks see them: (T, 3, H, H), images in −1…1, landmark images in 0…1."""

    images: Tensor
    landmarks: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: list[int]) -> Photos:
        return Photos(self.images[which], self.landmarks[which])


def prepare(clip: FaceClip, size: int, device: str = "cpu") -> tuple[Photos, FaceClip]:
    """The photos that have a face, thinned out to :data:`MAX_PHOTOS`, for a network of ``size``.

    Raises:
        FshError: if no photo has landmarks.
    """
    found = np.flatnonzero(clip.found)
    if not len(found):
        raise FshError(
            "no face found in any photo",
            where=clip.name,
            remedy="use photos that show the face from the front",
        )
    if len(found) > MAX_PHOTOS:
        found = found[np.linspace(0, len(found) - 1, MAX_PHOTOS).round().astype(int)]
    kept = FaceClip(
        clip.name,
        clip.frames[found],
        clip.landmarks[found],
        clip.times[found],
        clip.crops[found],
        clip.spec,
        clip.embedding,
    )
    how = cv2.INTER_AREA if size < clip.spec.size else cv2.INTER_CUBIC
    small = np.stack([cv2.resize(f, (size, size), interpolation=how) for f in kept.frames])
    lines = draw_all(rescale(kept.landmarks, clip.spec.size, size), size)
    images = torch.from_numpy(small).to(device).float().movedim(-1, -3) / 127.5 - 1
    return Photos(images, torch.from_numpy(lines).to(device).float().movedim(-1, -3) / 255), kept


@torch.no_grad()
def embedding_of(trained: Trained, photos: Photos) -> Tensor:
    """ê (1, N): the mean of E over the photos."""
    return trained.embedder(photos.images, photos.landmarks).mean(0, keepdim=True)


@dataclass
class FineTuning:
    """One fine-tuning run in memory: copies of G and D, ψ' and w', and their optimizers."""

    generator: Generator
    coefficients: nn.Parameter
    step: Callable[[], Terms]


def fine_tuning(trained: Trained, photos: Photos, content: Content) -> FineTuning:
    """Set up fine-tuning on these photos; each ``step()`` is one update of G and of D."""
    config = trained.config
    embedding = embedding_of(trained, photos)
    generator = copy.deepcopy(trained.generator).train()
    discriminator = copy.deepcopy(trained.discriminator).train()
    with torch.no_grad():
        coefficients = nn.Parameter(trained.generator.project(embedding).clone())
    column = nn.Parameter(embedding.clone())
    objective = PersonalObjective(
        generator, discriminator, coefficients, column, content, config.loss
    )
    rest = [p for name, p in generator.named_parameters() if "project" not in name]
    adams = [
        torch.optim.Adam(parameters, lr=rate, betas=config.betas, eps=config.epsilon, fused=True)
        for parameters, rate in (
            ([*rest, coefficients], config.lr_generator),
            ([*discriminator.parameters(), column], config.lr_discriminator),
        )
    ]
    losses: list[Callable[[Episodes, Terms | None], Terms]] = [
        objective.generator,
        objective.discriminator,
    ]
    order = np.random.default_rng(config.seed)
    queue: list[int] = []

    def step() -> Terms:
        while len(queue) < min(BATCH, len(photos)):
            queue.extend(order.permutation(len(photos)).tolist())
        chosen = [queue.pop(0) for _ in range(min(BATCH, len(photos)))]
        some = photos[chosen]
        nothing = some.images[:, None]
        episodes = Episodes(nothing, nothing, some.images, some.landmarks, torch.tensor(chosen))
        made: Terms | None = None
        for loss, adam in zip(losses, adams, strict=True):
            made = loss(episodes, made)
            made.total.backward()
            adam.step()
            adam.zero_grad(set_to_none=True)
        assert made is not None
        return made

    return FineTuning(generator, coefficients, step)


@torch.no_grad()
def held_out_loss(generator: Generator, psi: Tensor, photos: Photos, content: Content) -> float:
    """L_CNT of the photos redrawn from their own landmarks."""
    was = generator.training
    fake = generator.eval()(photos.landmarks, psi)
    generator.train(was)
    return float(sum(content(fake, photos.images).values()))


def choose_steps(
    trained: Trained,
    photos: Photos,
    held: Photos,
    content: Content,
    most: int,
    progress: Progress,
) -> tuple[int, dict[str, float]]:
    """The number of steps after which the loss on ``held`` photos is least, and the curve."""
    trial = fine_tuning(trained, photos, content)
    looks = {round(most * (i + 1) / LOOKS) for i in range(LOOKS)} | {0}
    curve: dict[int, float] = {}
    for step in range(most + 1):
        if step in looks:
            curve[step] = held_out_loss(trial.generator, trial.coefficients, held, content)
        if step < most:
            trial.step()
            progress.advance(1, note="trying on held-out photos")
    best = min(curve, key=lambda s: curve[s])
    return best, {str(step): loss for step, loss in curve.items()}


def hold_out(
    everything: Photos, clip: FaceClip, size: int, device: str
) -> tuple[Photos, Photos, Photos]:
    """Photos for the trial, those held out from it, and those for the final fine-tuning.

    Args:
        everything: the photos of ``clip`` as :func:`prepare` gave them.
    """
    if len(clip) < FEW:
        moved, _ = prepare(moved_copies(clip, COPIES, seed=1), size, device)
        held, _ = prepare(moved_copies(clip, HELD_COPIES, seed=2), size, device)
        images = torch.cat([everything.images, moved.images])
        more = Photos(images, torch.cat([everything.landmarks, moved.landmarks]))
        return more, held, more
    count = max(1, len(clip) // 4)
    spared = np.linspace(0, len(clip) - 1, count + 2).round().astype(int)[1:-1].tolist()
    used = [i for i in range(len(clip)) if i not in spared]
    return everything[used], everything[spared], everything


def personalize(
    run: Path,
    photos: FaceClip,
    out: Path,
    *,
    steps: int | None = None,
    progress: Progress,
    name: str = "",
    device: str = "cpu",
    about: dict | None = None,
) -> PersonReport:
    """Make a person's folder from photos.

    Args:
        run: a training run's folder, or one checkpoint's.
        photos: one frame per photo, or a short video.
        out: the person's folder; replaced if it exists.
        steps: fine-tuning steps; 0 is exactly the feed-forward model; None: as many as are best
            on held-out photos (on moved copies of fewer than four), none at all included.
        about: further entries of the model card (consent, photos' names …), JSON values.

    Raises:
        FshError: no checkpoint, no face, fine-tuning that diverged.
        SpecMismatch: the run was trained on faces cropped another way.
    """
    begun = time.monotonic()
    trained = load_trained(run, progress, device)
    trained.spec.require(photos.spec, mine=f"run {run.name}", theirs=photos.name)
    inputs, kept = prepare(photos, trained.config.network.size, device)
    content, _ = load_content(trained.config, progress)
    curve: dict[str, float] = {}
    tried, held, shown = hold_out(inputs, kept, trained.config.network.size, device)
    if steps is None:
        most = min(MOST_STEPS, max(1, EPOCHS * len(shown) // min(BATCH, len(shown))))
        progress.start("personalize", 2 * most, "step")
        steps, curve = choose_steps(trained, tried, held, content, most, progress)
        progress.say(f"best on held-out photos after {steps} of {most} steps")
    else:
        progress.start("personalize", steps, "step")

    embedding = embedding_of(trained, inputs)
    if steps:
        tuned = fine_tuning(trained, shown, content)
        for _ in range(steps):
            terms = tuned.step()
            progress.advance(1, note=f"D {float(terms.total.detach()):.2f}")
        generator, psi = tuned.generator, tuned.coefficients.detach()
        if not torch.isfinite(psi).all():
            raise FshError("fine-tuning diverged", where=photos.name, remedy="use fewer --steps")
    else:
        generator = copy.deepcopy(trained.generator)
        psi = generator.project(embedding).detach()
    progress.stop()
    person = Person(
        name=name or out.name,
        spec=trained.spec,
        network=trained.config.network,
        generator=drawable(generator),
        coefficients=psi,
        embedding=embedding[0],
        landmarks=kept.landmarks,
        identity=kept.embedding,
        about={
            "photos": len(inputs),
            "steps": steps,
            "run": trained.run,
            "run_step": trained.step,
            "preset": trained.config.preset,
            "consent": "not stated",
            **(about or {}),
        },
    )
    person.save(out)
    write_preview(person, inputs, kept, out / "preview.png")
    return PersonReport(
        person=person.name,
        photos=len(inputs),
        steps=steps,
        seconds=time.monotonic() - begun,
        held_out=curve,
        folder=str(out),
    )


def write_preview(
    person: Person, inputs: Photos, kept: FaceClip, path: Path, rows: int = 8
) -> None:
    """Photo, landmarks, drawing: one row per photo."""
    drawn = person.draw(kept.landmarks[:rows])
    images = ((inputs.images[:rows] + 1) * 127.5).round().byte().movedim(1, -1).cpu().numpy()
    lines = (inputs.landmarks[:rows] * 255).round().byte().movedim(1, -1).cpu().numpy()
    write_png(path, grid([images, lines, drawn]))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
