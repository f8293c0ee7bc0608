"""How many fine-tuning steps: as much identity as leaves mimicry alive, both measured on the way.

Identity is how like the photos the drawings are to a face recogniser. Where none is handed in it is
the content loss on photos that were held out: a quarter of them, or of fewer than four photos, of
which none can be spared, moved copies; the number found is then made anew on all of them. Mimicry
is what such photos cannot show, because they make the face that was trained on: the person is made
to open the mouth, turn, smile (:mod:`fsh.trainer.person.expressions`), the landmarks are found
again on the drawings, and what counts is how far they moved as they were told, against the
feed-forward model. Neither a recogniser nor mimicry wants a photo held out: what was tried is the
person then.

Too few steps leave a stranger's face, too many a mask: chosen is the most identity gained among
the steps that keep two thirds of the mimicry; down to one half, what was gained counts less and
less. No step at all, the feed-forward model, is among the choices.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from fsh.schemas.clip import FaceClip
from fsh.schemas.progress import Progress
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.models.networks import Generator
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.fine_tuning import FEW, Photos, fine_tuning, lines_of
from fsh.trainer.person.motion_transfer import neutral
from fsh.trainer.runs import TrainedNetworks
from fsh.trainer.training.losses import ContentLoss

#: Finds faces' landmarks again: pictures uint8 (N, S, S, 3) RGB and where the landmarks should be
#: (N, 68, 2), to where they are, float32 (N, 68, 2), NaN where there is no face.
Finder = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Tells who is to be seen: pictures and landmarks as above to embeddings, float32 (N, D).
Recogniser = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Steps at most: for some photos, and for so many and more; linear between. The authors' later
#: practice is 125 to 230 at full learning rates; as these fall here, half of that is enough
#: (docs/results.md, "Trying to lead"). Of very few, whose copies all differ, as of many.
FEWEST_STEPS, MOST_STEPS, MANY_PHOTOS = 60, 120, 31
#: When the person is looked at, as shares of the most steps: identity is gained in the first ones.
LOOKS = (0, 0.06, 0.15, 0.28, 0.44, 0.62, 0.81, 1)
#: Share of the feed-forward model's mimicry that must be left, and the share that is too little.
#: Products of identity and mimicry stopped a painting and a photo after 27 steps, alive and hardly
#: recognisable.
KEPT, LOST = 2 / 3, 1 / 2
#: What a gain of mimicry counts beside one of likeness: where the feed-forward model is as like the
#: person as it gets, fine-tuning may still teach it to move.
GAINED = 0.05
#: Share of the most that can be gained with which a later look is as good as an earlier one: rates
#: fall, so what comes later is steadier than what one look can tell.
NEARLY = 0.95
#: Drawings made at once.
_AT_ONCE = 4
#: Drawings that identity is judged on, at most.
JUDGED = 4
#: A model that moves less than this share of what it is told has no mimicry to lose.
LEAST_MIMICRY = 0.05


@dataclass(frozen=True)
class Look:
    """A person after ``step`` steps.

    Attributes:
        loss: content loss on the held-out photos, or None if none were.
        likeness: cosine of drawings' and photos' face embeddings, or None if nobody recognised.
        mimicry: share of the motion told that was drawn, or None if nobody looked.
    """

    step: int
    loss: float | None = None
    likeness: float | None = None
    mimicry: float | None = None


@dataclass(frozen=True)
class Judges:
    """What personalisation needs of a face library, which the trainer does not know."""

    find: Finder
    recognise: Recogniser


@dataclass(frozen=True)
class Choice:
    """The best number of steps, what was seen on the way, and the networks as they were then."""

    steps: int
    looks: list[Look]
    generator: Generator
    coefficients: Tensor


def most_steps(photos: int) -> int:
    """Steps tried at most on so many photos."""
    if photos < FEW:
        return MOST_STEPS
    share = min(1.0, (photos - 1) / (MANY_PHOTOS - 1))
    return round(FEWEST_STEPS + share * (MOST_STEPS - FEWEST_STEPS))


def choose(looks: Sequence[Look]) -> int:
    """The number of steps that gains the most identity, as far as the mimicry is alive.

    Mimicry is measured with an error, so there is no edge to fall off: the gain counts in full
    where :data:`KEPT` of the mimicry is left, and not at all from :data:`LOST` down. Mimicry
    gained counts a little by itself.

    Args:
        looks: in the order of steps, the first of them before any step: chosen if none gains. Of
            looks that gain about as much (:data:`NEARLY`) the last is.
    """
    before = looks[0].mimicry or 0.0

    def alive(look: Look) -> float:
        if before < LEAST_MIMICRY:
            return 1.0
        left = (look.mimicry or 0.0) / before
        return min(1.0, max(0.0, (left - LOST) / (KEPT - LOST)))

    def identity(look: Look) -> float:
        return look.likeness if look.likeness is not None else -(look.loss or 0.0)

    def gain(look: Look) -> float:
        moved = max(0.0, (look.mimicry or 0.0) - before)
        return (identity(look) - identity(looks[0])) * alive(look) + GAINED * moved

    gains = [gain(look) for look in looks]
    most = max(gains)
    if most <= 0:
        return looks[0].step
    late = [look for look, own in zip(looks, gains, strict=True) if own >= NEARLY * most]
    return late[-1].step


def mimicry_of(
    draw: Callable[[np.ndarray], np.ndarray], shape: np.ndarray, size: int, find: Finder
) -> float:
    """How much of what the landmarks tell it a drawing does: 0 a mask, 1 all of it.

    Args:
        draw: landmarks (N, 68, 2) in pixels of a ``size`` crop to uint8 (N, H, H, 3).
        shape: (68, 2) the person's neutral landmarks.
        find: a face that it does not find counts as one that did not move.

    Returns:
        The mean over the expressions of found · told / told · told, each kept within 0…1.
    """
    repertoire = expressions(shape)
    told = np.stack([shape, *(e.points for e in repertoire)]).astype(np.float32)
    # Landmark detectors want faces of 100 px and more.
    large = [cv2.resize(p, (size, size), interpolation=cv2.INTER_CUBIC) for p in draw(told)]
    found = find(np.stack(large), told)
    shares = []
    for expression, points in zip(repertoire, found[1:], strict=True):
        wanted = (expression.points - shape)[expression.where]
        got = (points - found[0])[expression.where]
        share = float((wanted * got).sum() / (wanted**2).sum())
        shares.append(min(1.0, max(0.0, share)) if np.isfinite(share) else 0.0)
    return float(np.mean(shares))


def likeness_of(
    draw: Callable[[np.ndarray], np.ndarray],
    landmarks: np.ndarray,
    identity: np.ndarray,
    size: int,
    recognise: Recogniser,
) -> float:
    """Mean cosine of the drawings' embeddings with the photos' mean embedding.

    Args:
        draw, size: as for :func:`mimicry_of`.
        landmarks: (N, 68, 2) what to draw. identity: (D,) of the photos.
    """
    large = [cv2.resize(p, (size, size), interpolation=cv2.INTER_CUBIC) for p in draw(landmarks)]
    found = recognise(np.stack(large), landmarks)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(identity)
    return float(np.mean(found @ identity / norms))


@torch.no_grad()
def held_out_loss(generator: Generator, psi: Tensor, photos: Photos, content: ContentLoss) -> float:
    """L_CNT of the photos redrawn from their own landmarks."""
    was = generator.training
    fake = generator.eval()(photos.landmark_images, psi)
    generator.train(was)
    return float(sum(content(fake, photos.images, photos.landmark_images).values()))


@torch.no_grad()
def pictures_of(generator: Generator, psi: Tensor, lines: Tensor) -> np.ndarray:
    """Drawings uint8 (N, H, H, 3) of landmark images, in small batches."""
    was = generator.training
    generator.eval()
    drawn = [to_pictures(generator(some, psi)) for some in lines.split(_AT_ONCE)]
    generator.train(was)
    return np.concatenate(drawn)


def choose_steps(
    trained: TrainedNetworks,
    photos: Photos,
    held: Photos | None,
    clip: FaceClip,
    content: ContentLoss,
    most: int,
    progress: Progress,
    judges: Judges | None = None,
) -> Choice:
    """Try fine-tuning on ``photos`` and find the best number of steps.

    Args:
        held: the photos that the loss is measured on; None if others judge.
        clip: all photos that show the face.
        judges: None leaves the choice to the loss; a clip without an embedding, the identity.
    """
    trial = fine_tuning(trained, photos, content, most)
    crop, size, device = trained.spec.size, trained.config.network.size, trained.config.device
    shape = neutral(clip.landmarks)
    some = clip.landmarks[np.linspace(0, len(clip) - 1, min(JUDGED, len(clip))).astype(int)]

    def draw(points: np.ndarray) -> np.ndarray:
        lines = lines_of(points, crop, size, device)
        return pictures_of(trial.generator, trial.coefficients, lines)

    def look(step: int) -> Look:
        likeness = loss = None
        if held is not None:
            loss = held_out_loss(trial.generator, trial.coefficients, held, content)
        if judges is None:
            return Look(step, loss)
        if clip.embedding is not None:
            likeness = likeness_of(draw, some, clip.embedding, crop, judges.recognise)
        return Look(step, loss, likeness, mimicry_of(draw, shape, crop, judges.find))

    wanted = {round(most * share) for share in LOOKS}
    looks: list[Look] = []
    best: Choice | None = None
    for step in range(most + 1):
        if step in wanted:
            looks.append(look(step))
            if choose(looks) == step:
                psi = trial.coefficients.detach().clone()
                best = Choice(step, looks, copy.deepcopy(trial.generator), psi)
        if step < most:
            trial.step()
            progress.advance(1, note="trying: identity and mimicry")
    assert best is not None, "the first look is before the first step"
    return best
