"""From a handful of photos to a person's folder: the embedding, and fine-tuning where it helps.

Feed-forward: ê is the mean of E over the photos, ψ = P·ê. Fine-tuned: see
:mod:`fsh.trainer.person.fine_tuning`. For how many steps is measured, because
too few leave an identity gap and too many kill mimics (:mod:`fsh.trainer.person.step_choice`).
"""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.trainer.data.pictures import (
    landmark_images_to_pictures,
    picture_grid,
    to_pictures,
    write_png,
)
from fsh.trainer.person.fine_tuning import Photos, embedding_of, fine_tuning, prepare
from fsh.trainer.person.person import Person, drawable
from fsh.trainer.person.step_choice import Choice, Judges, Look, choose_steps, most_steps
from fsh.trainer.person.training_set import hold_out, lessons
from fsh.trainer.runs import Run, TrainedNetworks
from fsh.trainer.training.content import load_content

__all__ = [
    "PersonReport",
    "Photos",
    "embedding_of",
    "fine_tuning",
    "personalize",
    "prepare",
]


@dataclass(frozen=True)
class PersonReport:
    """What :func:`personalize` did.

    Attributes:
        steps: fine-tuning steps made; 0: feed-forward.
        held_out: steps tried to the loss on held-out photos, if nobody recognised faces.
        likeness: … to how alike a face recogniser finds drawings and photos (cosine).
        mimicry: … to how far the face moved as told (0 to 1). All empty if not measured.
    """

    person: str
    photos: int
    steps: int
    seconds: float
    held_out: dict[str, float]
    likeness: dict[str, float]
    mimicry: dict[str, float]
    folder: str

    def to_json(self) -> dict:
        return asdict(self)


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
    judges: Judges | None = None,
) -> PersonReport:
    """Make a person's folder from photos.

    Args:
        run: a training run's folder, or one checkpoint's, or what was loaded from it.
        photos: one frame per photo, or a short video.
        out: the person's folder; replaced if it exists.
        steps: fine-tuning steps; 0 is exactly the feed-forward model; None: as many as are best
            for identity and mimicry together, none at all included.
        about: further entries of the model card (consent, photos' names …), JSON values.
        judges: recognise faces and find landmarks on drawings, to judge identity and mimicry by;
            None: the loss on held-out photos alone decides.

    Raises:
        FshError: no checkpoint, no face, fine-tuning that diverged.
        SpecMismatch: the run was trained on faces cropped another way.
    """
    begun = time.monotonic()
    if isinstance(run, TrainedNetworks):
        trained = run
    else:
        trained = Run.read(run, progress, device).require_personalizable().load_networks()
    trained.spec.require(photos.spec, mine=f"run {trained.run.name}", theirs=photos.name)
    inputs, kept = prepare(photos, trained.config.network.size, device)
    looks: list[Look] = []
    size = trained.config.network.size
    embedding = embedding_of(trained, inputs)
    best: Choice | None = None
    if steps != 0:
        content, _ = load_content(trained.config, progress)
    if steps is None:
        judged = judges is not None and kept.embedding is not None
        tried, held, shown = hold_out(inputs, kept, size, device, judged=judged)
        most = most_steps(len(kept))
        again = tried is not shown  # some photos were spared: the final steps have them too
        progress.start("personalize", most * (1 + again), "step")
        best = choose_steps(trained, tried, held, kept, content, most, progress, judges)
        progress.say(f"best after {best.steps} of {most} steps")
        steps, looks = best.steps, best.looks
        best = None if again else best
    else:
        shown = lessons(inputs, kept, size, device) if steps else inputs
        progress.start("personalize", steps, "step")

    if best is not None and steps:
        generator, psi = best.generator, best.coefficients
    elif steps:
        tuned = fine_tuning(trained, shown, content, steps)
        for _ in range(steps):
            terms = tuned.step()
            progress.advance(1, note=f"D {float(terms.total.detach()):.2f}")
        generator, psi = tuned.generator, tuned.coefficients.detach()
    else:
        generator = copy.deepcopy(trained.generator)
        psi = generator.project(embedding).detach()
    if not torch.isfinite(psi).all():
        raise FshError("fine-tuning diverged", where=photos.name, remedy="use fewer --steps")
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
            "run": trained.run.name,
            "run_step": trained.run.step,
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
        held_out={str(look.step): look.loss for look in looks if look.loss is not None},
        likeness={str(k.step): k.likeness for k in looks if k.likeness is not None},
        mimicry={str(k.step): k.mimicry for k in looks if k.mimicry is not None},
        folder=str(out),
    )


def write_preview(
    person: Person, inputs: Photos, kept: FaceClip, path: Path, rows: int = 8
) -> None:
    """Photo, landmarks, drawing: one row per photo."""
    drawn = person.draw(kept.landmarks[:rows])
    images = to_pictures(inputs.images[:rows])
    lines = landmark_images_to_pictures(inputs.landmark_images[:rows])
    write_png(path, picture_grid([images, lines, drawn]))
