"""How many fine-tuning steps: as much identity as leaves motion alive, both measured on the way.

Too few steps leave a stranger's face, too many one that no longer moves. Measured are identity, by
how alike a face recogniser finds drawings and photos, and motion fidelity, how much of the motion
that landmarks ask for is drawn (:mod:`fsh.trainer.person.drawing_quality`). Where no face analyzer
is handed in, the content loss on held-out photos stands for identity: of a quarter of the photos,
or of fewer than four, of which none can be spared, of moved copies; the number of steps found is
then made anew on all of them. Where photos are copied from, that loss, which sees the whole
picture, always decides: a face recogniser is content with a copied face whatever its hair is like.
Identity then only must not be lost, and nothing is made anew, because held-out photos are copied
from as well. A single photo that is copied from teaches only what paints mouths
(:func:`~fsh.trainer.person.fine_tuning.start_fine_tuning`); no copy held out shows whether it has.

Chosen is the most identity gained among the steps that keep two thirds of the motion fidelity of
the feed-forward model; down to one half, what was gained counts less and less. No step at all, the
feed-forward model, is among the choices.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.progress import Progress
from fsh.trainer.face_analyzer import FaceAnalyzer
from fsh.trainer.models.networks import Generator
from fsh.trainer.person.drawing import draw_faces
from fsh.trainer.person.drawing_quality import content_loss, identity_similarity, motion_fidelity
from fsh.trainer.person.fine_tuning import FineTuning, held_out_references, start_fine_tuning
from fsh.trainer.person.mesh_transfer import with_irises
from fsh.trainer.person.motion_transfer import neutral_shape
from fsh.trainer.person.photo_references import PhotoReferences
from fsh.trainer.person.photo_tensors import FEW_PHOTOS, PhotoTensors
from fsh.trainer.runs import TrainedNetworks
from fsh.trainer.training.losses import ContentLoss


@dataclass(frozen=True)
class StepChoiceConfig:
    """How the number of fine-tuning steps is chosen.

    Attributes:
        fewest_steps, most_steps, many_photos: steps tried at most: ``fewest_steps`` for one photo,
            ``most_steps`` for ``many_photos`` and more, linear between; for fewer than
            :data:`~fsh.trainer.person.photo_tensors.FEW_PHOTOS`, whose copies all differ, as for
            many. The authors' later practice is 125 to 230 at full learning rates; as these fall
            here, half of that is enough (docs/results.md, "Trying to lead").
        copying: share of these steps that is made where photos are copied from: there twice as
            many draw eight photos' people no better (docs/results.md).
        measured_at: when the person is measured, as shares of the most steps: identity is gained in
            the first ones.
        measured_copying: the same where photos are copied from.
        motion_kept, motion_lost: share of the feed-forward model's motion fidelity that must be
            left for what was gained to count in full, and the share at which it counts nothing.
            (The product of identity and motion stopped a painting and a photo after 27 steps,
            moving and hardly recognisable.)
        motion_gain: what a gain of motion fidelity counts beside one of identity: where the
            feed-forward model is as like the person as it gets, fine-tuning may still teach it to
            move.
        as_good: share of the largest gain with which a later measurement is as good as an earlier
            one: rates fall, so what comes later is steadier than one measurement can tell.
        identity_lost: loss of identity similarity from which steps that the held-out loss prefers
            count nothing.
        identity_drawings: drawings that identity is measured on, at most.
        least_motion: a feed-forward model whose motion fidelity is below this has none to lose.
    """

    fewest_steps: int = 60
    most_steps: int = 120
    many_photos: int = 31
    copying: float = 0.5
    measured_at: tuple[float, ...] = (0, 0.06, 0.15, 0.28, 0.44, 0.62, 0.81, 1)
    measured_copying: tuple[float, ...] = (0, 0.25, 0.6, 1)
    motion_kept: float = 2 / 3
    motion_lost: float = 1 / 2
    motion_gain: float = 0.05
    as_good: float = 0.95
    identity_lost: float = 0.01
    identity_drawings: int = 4
    least_motion: float = 0.05

    def most_steps_for(self, photos: int, *, copied: bool = False) -> int:
        """Steps tried at most on so many photos.

        Args:
            copied: the photos are copied from. Of a single one then all these steps are made.
        """
        steps: float = self.most_steps
        if photos >= FEW_PHOTOS:
            share = min(1.0, (photos - 1) / (self.many_photos - 1))
            steps = self.fewest_steps + share * (self.most_steps - self.fewest_steps)
        return round(steps * self.copying) if copied and photos > 1 else round(steps)


STEP_CHOICE = StepChoiceConfig()


@dataclass(frozen=True)
class StepQuality:
    """How good a person is after ``step`` fine-tuning steps.

    Attributes:
        held_out_loss: content loss on the held-out photos, or None if none were.
        identity_similarity: cosine of drawings' and photos' face embeddings, −1…1, or None if the
            photos have none.
        motion_fidelity: share of the motion asked for that was drawn, 0…1, or None if there was no
            face analyzer.
    """

    step: int
    held_out_loss: float | None = None
    identity_similarity: float | None = None
    motion_fidelity: float | None = None


@dataclass(frozen=True)
class StepChoice:
    """The best number of steps.

    Attributes:
        measured: everything measured, in the order of steps.
        generator: after ``steps`` steps.
        coefficients: ψ' (1, ψ̂), as well.
    """

    steps: int
    measured: list[StepQuality]
    generator: Generator
    coefficients: Tensor


def best_step(measured: Sequence[StepQuality], config: StepChoiceConfig = STEP_CHOICE) -> int:
    """The number of steps that gains the most identity while the person still moves.

    Motion fidelity is measured with an error, so its limit is no sharp edge: a gain counts in full
    where ``motion_kept`` of it is left, not at all from ``motion_lost`` down, linearly between.
    Motion gained counts a little by itself.

    Args:
        measured: in the order of steps, the first before any step: chosen if none gains. Of several
            that gain about as much the last is chosen.
    """
    first = measured[0]
    motion_before = first.motion_fidelity or 0.0

    def motion_left(quality: StepQuality) -> float:
        """0 … 1: how much a gain counts."""
        if motion_before < config.least_motion:
            return 1.0
        left = (quality.motion_fidelity or 0.0) / motion_before
        span = config.motion_kept - config.motion_lost
        return min(1.0, max(0.0, (left - config.motion_lost) / span))

    def identity(quality: StepQuality) -> float:
        known, before = quality.identity_similarity, first.identity_similarity
        if quality.held_out_loss is None:
            return known or 0.0
        if known is not None and before is not None and known < before - config.identity_lost:
            return -(first.held_out_loss or 0.0)
        return -quality.held_out_loss

    def gain(quality: StepQuality) -> float:
        motion_gained = max(0.0, (quality.motion_fidelity or 0.0) - motion_before)
        gained = (identity(quality) - identity(first)) * motion_left(quality)
        return gained + config.motion_gain * motion_gained

    gains = [gain(quality) for quality in measured]
    most = max(gains)
    if most <= 0:
        return first.step
    as_good = config.as_good * most
    return [q.step for q, own in zip(measured, gains, strict=True) if own >= as_good][-1]


class _QualityMeter:
    """Measures a person on the way through fine-tuning."""

    def __init__(
        self,
        networks: TrainedNetworks,
        tuning: FineTuning,
        clip: FaceClip,
        analyzer: FaceAnalyzer,
        config: StepChoiceConfig,
    ) -> None:
        self.tuning, self.clip, self.analyzer = tuning, clip, analyzer
        self.spec, self.network = networks.spec, networks.config.network
        self.device = networks.config.device
        self.references: PhotoReferences | None = None
        if self.network.references:
            self.references = PhotoReferences.of(clip, self.device)
        self.shape = neutral_shape(clip.landmarks)
        count = min(config.identity_drawings, len(clip))
        self.drawn = clip.landmarks[np.linspace(0, len(clip) - 1, count).astype(int)]

    def draw(self, landmarks: np.ndarray) -> np.ndarray:
        """Pictures of landmarks (N, 68, 2), crop pixels, by the person as it is now."""
        faces = FaceLandmarks(np.asarray(landmarks, np.float32))
        faces = with_irises(faces, self.spec, self.clip.mesh)
        with self.tuning.drawing() as draw:
            return draw_faces(
                draw, faces, self.spec, self.network, self.references, device=self.device, batch=4
            )

    def measure(self, step: int, held_out_loss: float | None) -> StepQuality:
        similarity = None
        if self.clip.embedding is not None:
            similarity = identity_similarity(
                self.draw, self.drawn, self.clip.embedding, self.spec.size, self.analyzer
            )
        fidelity = motion_fidelity(self.draw, self.shape, self.spec.size, self.analyzer)
        return StepQuality(step, held_out_loss, similarity, fidelity)


def choose_steps(
    networks: TrainedNetworks,
    photos: PhotoTensors,
    held_out: PhotoTensors | None,
    clip: FaceClip,
    content: ContentLoss,
    most: int,
    progress: Progress,
    analyzer: FaceAnalyzer | None = None,
    config: StepChoiceConfig = STEP_CHOICE,
) -> StepChoice:
    """Try fine-tuning on ``photos`` and find the best number of steps.

    Args:
        photos: what is trained on, copies included.
        held_out: the photos that the loss is measured on; None if the analyzer decides.
        clip: all photos that show the face.
        most: steps made at most.
        analyzer: None leaves the choice to the loss; so does a clip without an embedding, as far as
            identity goes.
    """
    tuning = start_fine_tuning(networks, photos, content, most)
    meter = _QualityMeter(networks, tuning, clip, analyzer, config) if analyzer else None
    measured: list[StepQuality] = []
    best: StepChoice | None = None
    copied = bool(networks.config.network.references)
    shares = config.measured_copying if copied else config.measured_at
    measured_at = {round(most * share) for share in shares}
    for step in range(most + 1):
        if step in measured_at:
            loss = None
            if held_out is not None:
                references = held_out_references(held_out, photos, networks.config.network)
                loss = content_loss(
                    tuning.generator, tuning.coefficients, held_out, content, references
                )
            measured.append(meter.measure(step, loss) if meter else StepQuality(step, loss))
            if best_step(measured, config) == step:
                coefficients = tuning.coefficients.detach().clone()
                best = StepChoice(step, measured, copy.deepcopy(tuning.generator), coefficients)
        if step < most:
            tuning.step()
            progress.advance(1, note="trying: identity and motion")
    assert best is not None, "measured_at begins with 0: before the first step"
    return best
