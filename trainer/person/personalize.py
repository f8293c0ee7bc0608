"""From a handful of photos to a person's folder: the embedding, and fine-tuning where it helps.

Feed-forward: ê is the mean of E over the photos, ψ = P·ê. Fine-tuned: see
:mod:`fsh.trainer.person.fine_tuning`. For how many steps is measured, because too few leave an
identity gap and too many a face that no longer moves (:mod:`fsh.trainer.person.step_choice`).
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.layout import PersonFolder
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec
from fsh.trainer import checkpoint
from fsh.trainer.config import TrainConfig
from fsh.trainer.face_analyzer import FaceAnalyzer
from fsh.trainer.models.networks import Discriminator, Embedder, Generator, channels_last
from fsh.trainer.person.fine_tuning import mean_embedding, start_fine_tuning
from fsh.trainer.person.person import Person, fixed_for_drawing
from fsh.trainer.person.photo_tensors import PhotoTensors, photo_tensors
from fsh.trainer.person.step_choice import (
    STEP_CHOICE,
    StepChoice,
    StepChoiceConfig,
    StepQuality,
    choose_steps,
)
from fsh.trainer.person.training_set import split_photos, with_copies
from fsh.trainer.training.content import load_content
from fsh.trainer.training.losses import Content
from fsh.trainer.training.monitor import grid, to_pictures, write_png
from fsh.trainer.training.session import newest


@dataclass(frozen=True)
class PersonReport:
    """What :func:`personalize` did.

    Attributes:
        person: the person's name.
        photos: how many were used.
        steps: fine-tuning steps made; 0: feed-forward.
        seconds: it took.
        measured: what was measured after some of the steps tried; empty if ``steps`` was given.
        folder: the person's.
    """

    person: str
    photos: int
    steps: int
    seconds: float
    measured: tuple[StepQuality, ...]
    folder: str

    @property
    def held_out_loss(self) -> dict[int, float]:
        """Steps to the content loss on held-out photos; empty if none were held out."""
        return {q.step: q.held_out_loss for q in self.measured if q.held_out_loss is not None}

    @property
    def identity_similarity(self) -> dict[int, float]:
        """Steps to the cosine of drawings' and photos' face embeddings; empty if unknown."""
        known = ((q.step, q.identity_similarity) for q in self.measured)
        return {step: value for step, value in known if value is not None}

    @property
    def motion_fidelity(self) -> dict[int, float]:
        """Steps to the share of the motion asked for that was drawn; empty if not measured."""
        return {q.step: q.motion_fidelity for q in self.measured if q.motion_fidelity is not None}

    def to_json(self) -> dict:
        """The result as ``fsh personalize --json`` has it, keys as they always were."""
        return {
            "person": self.person,
            "photos": self.photos,
            "steps": self.steps,
            "seconds": self.seconds,
            "held_out": _by_text(self.held_out_loss),
            "likeness": _by_text(self.identity_similarity),
            "mimicry": _by_text(self.motion_fidelity),
            "folder": self.folder,
        }


def _by_text(values: dict[int, float]) -> dict[str, float]:
    return {str(step): value for step, value in values.items()}


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
    folder: Path


def newest_folder(run: Path, progress: Progress) -> Path:
    """The newest sound checkpoint of a run; a checkpoint's own folder is that.

    Raises:
        FshError: if there is none.
    """
    folder = run if (run / checkpoint.MANIFEST).is_file() else newest(run, progress)
    if folder is None:
        raise _no_checkpoint(run)
    return folder


def load_trained(run: Path, progress: Progress, device: str = "cpu") -> Trained:
    """The averaged E and G and the newest D of a run, or of one checkpoint's folder.

    Of a run, the newest checkpoint that reads well; damaged ones are named and passed over. Each
    file's hash is compared once, while it is read.

    Raises:
        FshError: if there is no checkpoint, or it is damaged.
    """
    if (run / checkpoint.MANIFEST).is_file():
        return _load(run, run.name, device)
    for _, folder in reversed(checkpoint.list_checkpoints(run)):
        try:
            return _load(folder, run.name, device)
        except FshError as error:
            progress.say(f"refused: {error}")
    raise _no_checkpoint(run)


def _no_checkpoint(run: Path) -> FshError:
    return FshError("no checkpoint here", where=run, remedy="run `fsh train` first")


def _load(folder: Path, run: str, device: str) -> Trained:
    state = checkpoint.read_state(folder, checkpoint.FORMAT)
    config = TrainConfig.from_json({**state["config"], "device": device})
    if config.method != "fsth":
        raise FshError(
            f"{config.method} makes no persons; it is there to compare with",
            where=folder,
            remedy="name a run of fsh's own method with --run",
        )
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
        run=run,
        folder=folder,
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


def personalize(
    run: Path | Trained,
    photos: FaceClip,
    out: Path,
    *,
    steps: int | None = None,
    progress: Progress,
    name: str = "",
    device: str = "cpu",
    about: dict | None = None,
    analyzer: FaceAnalyzer | None = None,
    step_choice: StepChoiceConfig = STEP_CHOICE,
) -> PersonReport:
    """Make a person's folder from photos.

    Args:
        run: a training run's folder, or one checkpoint's, or what was loaded from it.
        photos: one frame per photo, or a short video.
        out: the person's folder; replaced if it exists.
        steps: fine-tuning steps; 0 is exactly the feed-forward model; None: as many as are best
            for identity and motion together, none at all included.
        about: further entries of the model card (consent, photos' names …), JSON values.
        analyzer: finds landmarks and identities in drawings, to measure identity and motion by;
            None: the loss on held-out photos alone decides.
        step_choice: how the number of steps is chosen.

    Raises:
        FshError: no checkpoint, no face, fine-tuning that diverged.
        SpecMismatch: the run was trained on faces cropped another way.
    """
    begun = time.monotonic()
    trained = run if isinstance(run, Trained) else load_trained(run, progress, device)
    trained.spec.require(photos.spec, mine=f"run {trained.run}", theirs=photos.name)
    tensors, used = photo_tensors(photos, trained.config.network.size, device)
    learned = _learn(trained, tensors, used, steps, progress, analyzer, step_choice)
    if not torch.isfinite(learned.coefficients).all():
        raise FshError("fine-tuning diverged", where=photos.name, remedy="use fewer --steps")
    progress.stop()
    person = Person(
        name=name or out.name,
        spec=trained.spec,
        network=trained.config.network,
        generator=fixed_for_drawing(learned.generator),
        coefficients=learned.coefficients,
        embedding=mean_embedding(trained, tensors)[0],
        landmarks=used.landmarks,
        identity=used.embedding,
        about={
            "photos": len(used),
            "steps": learned.steps,
            "run": trained.run,
            "run_step": trained.step,
            "preset": trained.config.preset,
            "consent": "not stated",
            **(about or {}),
        },
    )
    person.save(out)
    write_preview(person, tensors, used, PersonFolder(out).preview)
    return PersonReport(
        person=person.name,
        photos=len(used),
        steps=learned.steps,
        seconds=time.monotonic() - begun,
        measured=tuple(learned.measured),
        folder=str(out),
    )


def _learn(
    trained: Trained,
    photos: PhotoTensors,
    clip: FaceClip,
    steps: int | None,
    progress: Progress,
    analyzer: FaceAnalyzer | None,
    config: StepChoiceConfig,
) -> StepChoice:
    """The networks of a person after ``steps`` steps, or after the best number of steps."""
    if steps == 0:
        progress.start("personalize", 0, "step")
        return _feed_forward(trained, photos, [])
    content, _ = load_content(trained.config, progress)
    size, device = trained.config.network.size, str(photos.images.device)
    if steps is not None:
        final = with_copies(photos, clip, size, device)
        progress.start("personalize", steps, "step")
        return _fine_tune(trained, final, content, steps, progress, [])
    by_loss = analyzer is None or clip.embedding is None
    split = split_photos(photos, clip, size, device, by_loss=by_loss)
    most = config.most_steps_for(len(clip))
    again = split.trial is not split.final  # the final steps have the held-out photos too
    progress.start("personalize", most * (1 + again), "step")
    best = choose_steps(
        trained, split.trial, split.held_out, clip, content, most, progress, analyzer, config
    )
    progress.say(f"best after {best.steps} of {most} steps")
    if best.steps == 0:
        return _feed_forward(trained, photos, best.measured)
    if again:
        return _fine_tune(trained, split.final, content, best.steps, progress, best.measured)
    return best


def _feed_forward(
    trained: Trained, photos: PhotoTensors, measured: list[StepQuality]
) -> StepChoice:
    generator = copy.deepcopy(trained.generator)
    coefficients = generator.project(mean_embedding(trained, photos)).detach()
    return StepChoice(0, measured, generator, coefficients)


def _fine_tune(
    trained: Trained,
    photos: PhotoTensors,
    content: Content,
    steps: int,
    progress: Progress,
    measured: list[StepQuality],
) -> StepChoice:
    tuning = start_fine_tuning(trained, photos, content, steps)
    for _ in range(steps):
        terms = tuning.step()
        progress.advance(1, note=f"D {float(terms.total.detach()):.2f}")
    return StepChoice(steps, measured, tuning.generator, tuning.coefficients.detach())


def write_preview(
    person: Person, photos: PhotoTensors, clip: FaceClip, path: Path, rows: int = 8
) -> None:
    """Write photo, landmarks and drawing side by side, one row per photo, as PNG.

    Args:
        clip: the same photos.
        rows: photos shown at most.
    """
    drawn = person.draw(clip.landmarks[:rows])
    images = to_pictures(photos.images[:rows])
    landmark_images = to_pictures(photos.landmark_images[:rows] * 2 - 1)
    write_png(path, grid([images, landmark_images, drawn]))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
