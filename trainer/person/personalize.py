"""From a handful of photos to a person's folder: the embedding, and fine-tuning where it helps.

Feed-forward: ê is the mean of E over the photos, ψ = P·ê. Fine-tuned: see
:mod:`fsh.trainer.person.fine_tuning`. For how many steps is measured, because too few leave an
identity gap and too many a face that no longer moves (:mod:`fsh.trainer.person.step_choice`).
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.places.run_layout import PersonFolder
from fsh.schemas.progress import Progress
from fsh.trainer.data.landmark_images import draw_crop_landmarks
from fsh.trainer.data.pictures import (
    landmark_images_to_pictures,
    picture_grid,
    resized,
    to_pictures,
    write_png,
)
from fsh.trainer.face_analyzer import FaceAnalyzer
from fsh.trainer.person.fine_tuning import mean_embedding, only_mouth_learns, start_fine_tuning
from fsh.trainer.person.person import Person, fixed_for_drawing
from fsh.trainer.person.photo_references import PhotoReferences
from fsh.trainer.person.photo_tensors import PhotoTensors, photo_tensors
from fsh.trainer.person.step_choice import (
    STEP_CHOICE,
    StepChoice,
    StepChoiceConfig,
    StepQuality,
    choose_steps,
)
from fsh.trainer.person.training_set import split_photos, with_copies
from fsh.trainer.runs import Run, TrainedNetworks
from fsh.trainer.training.content import load_content
from fsh.trainer.training.losses import ContentLoss


@dataclass(frozen=True)
class PersonReport:
    """What :func:`personalize` did.

    Attributes:
        person: the person's name.
        photos: how many were used.
        steps: fine-tuning steps made; 0: feed-forward.
        seconds: it took.
        measured: what was measured after some of the steps tried; empty if no number was tried:
            ``steps`` was given, or there is a single photo and it is copied from.
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


def personalize(
    run: Path | TrainedNetworks,
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
        run: a training run's folder, or one checkpoint's, or the networks loaded from it.
        photos: one frame per photo, or a short video.
        out: the person's folder; replaced if it exists.
        steps: fine-tuning steps; 0 is exactly the feed-forward model; None: as many as are best
            for identity and motion together, none at all included; of a single photo that is
            copied from, all that ``step_choice`` allows, for what paints mouths.
        device: where the networks are loaded to.
        about: further entries of the model card (consent, photos' names …), JSON values.
        analyzer: finds landmarks and identities in drawings, to measure identity and motion by;
            None: the loss on held-out photos alone decides.
        step_choice: how the number of steps is chosen.

    Raises:
        FshError: no checkpoint, no face, fine-tuning that diverged.
        SpecMismatch: the run was trained on faces cropped another way.
    """
    begun = time.monotonic()
    if isinstance(run, TrainedNetworks):
        networks = run
    else:
        networks = Run.read(run, progress, device).require_personalizable().load_networks()
    config = networks.config
    networks.spec.require(photos.spec, mine=f"run {networks.run.name}", theirs=photos.name)
    tensors, used = photo_tensors(photos, config.network, config.device)
    references: PhotoReferences | None = None
    if config.network.references:
        references = PhotoReferences.of(used, config.device)
    used = replace(used, large=None)  # what is measured is measured at the crop's own size
    learned = _learn(networks, tensors, used, steps, progress, analyzer, step_choice)
    if not torch.isfinite(learned.coefficients).all():
        raise FshError("fine-tuning diverged", where=photos.name, remedy="use fewer --steps")
    progress.stop()
    person = Person(
        name=name or out.name,
        spec=networks.spec,
        network=config.network,
        generator=fixed_for_drawing(learned.generator),
        coefficients=learned.coefficients,
        embedding=mean_embedding(networks, tensors)[0],
        landmarks=used.landmarks,
        identity=used.embedding,
        mesh=used.mesh,
        references=references,
        about={
            "photos": len(used),
            "steps": learned.steps,
            "run": networks.run.name,
            "run_step": networks.run.step,
            "preset": config.preset,
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
    networks: TrainedNetworks,
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
        return _feed_forward(networks, photos, [])
    content, _ = load_content(networks.config, progress)
    network, device = networks.config.network, networks.config.device
    copied = bool(network.references)
    most = config.most_steps_for(len(clip), copied=copied)
    if steps is None and only_mouth_learns(photos, network):
        steps = most  # no copy that is held out would show how many are best
    if steps is not None:
        final = with_copies(photos, clip, network, device)
        progress.start("personalize", steps, "step")
        return _fine_tune(networks, final, content, steps, progress, [])
    by_loss = analyzer is None or clip.embedding is None or copied
    # The final steps have the held-out photos too; what copies has them in any case.
    split = split_photos(photos, clip, network, device, by_loss=by_loss, again=not copied)
    again = split.trial is not split.final
    progress.start("personalize", most * (1 + again), "step")
    best = choose_steps(
        networks, split.trial, split.held_out, clip, content, most, progress, analyzer, config
    )
    progress.say(f"best after {best.steps} of {most} steps")
    if best.steps == 0:
        return _feed_forward(networks, photos, best.measured)
    if again:
        return _fine_tune(networks, split.final, content, best.steps, progress, best.measured)
    return best


def _feed_forward(
    networks: TrainedNetworks, photos: PhotoTensors, measured: list[StepQuality]
) -> StepChoice:
    generator = copy.deepcopy(networks.generator)
    coefficients = generator.project(mean_embedding(networks, photos)).detach()
    return StepChoice(0, measured, generator, coefficients)


def _fine_tune(
    networks: TrainedNetworks,
    photos: PhotoTensors,
    content: ContentLoss,
    steps: int,
    progress: Progress,
    measured: list[StepQuality],
) -> StepChoice:
    tuning = start_fine_tuning(networks, photos, content, steps)
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
    shown = FaceLandmarks(clip.landmarks, clip.mesh)[:rows]
    drawn, size = person.draw(shown), photos.landmark_images.shape[-1]
    if person.size == size:
        images = to_pictures(photos.images[:rows])
        lines = landmark_images_to_pictures(photos.landmark_images[:rows])
    else:
        side, crop = person.size, person.spec.size
        images = np.stack([resized(frame, side) for frame in clip.frames[:rows]])
        lines = np.empty_like(images)
        irises = shown.mesh if person.spec.gaze else None
        draw_crop_landmarks(shown.points, crop, side, lines, irises)
    write_png(path, picture_grid([images, lines, drawn]))
