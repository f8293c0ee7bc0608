"""One subject in one protocol: from T photos and landmarks to drawings and their measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fsh.schemas.clip import FaceClip
from fsh.trainer.evaluation import metrics as scores
from fsh.trainer.evaluation.baselines import resized
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.evaluation.metric_networks import MetricNetwork
from fsh.trainer.evaluation.results_store import SubjectResult, read_result, write_result
from fsh.trainer.evaluation.settings import REFERENCE, EvaluationSettings
from fsh.trainer.evaluation.subjects import Subject, SubjectFrames, choose_shots
from fsh.trainer.face_analyzer import FaceAnalysis
from fsh.trainer.person.motion_transfer import transfer_motion


@dataclass
class Reenactment:
    """One subject's part in one protocol. Frames are read only once they are needed.

    Attributes:
        driver: whose motion the subject is drawn with; None in self-reenactment.
    """

    settings: EvaluationSettings
    subject: Subject
    driver: Subject | None

    @classmethod
    def for_subject(
        cls, subjects: Sequence[Subject], i: int, settings: EvaluationSettings
    ) -> Reenactment:
        """The ``i``-th subject's; in cross-reenactment the next in the list is the driver."""
        driver = None if settings.self_reenactment else subjects[(i + 1) % len(subjects)]
        return cls(settings, subjects[i], driver)

    @cached_property
    def _frames(self) -> SubjectFrames:
        return self.subject.load()

    @cached_property
    def _driver_frames(self) -> SubjectFrames | None:
        return self.driver.load() if self.driver else None

    @property
    def _target(self) -> FaceClip:
        """The frames whose motion is drawn: the subject's own held-out ones, or the driver's."""
        if self._driver_frames is None:
            return self._frames.held_out
        return self._driver_frames.consecutive or self._driver_frames.held_out

    @cached_property
    def reference(self) -> SubjectResult:
        """The target pictures, measured at the size of those drawn."""
        path, key = self._path(REFERENCE, 0), self._key(None, 0)
        result = read_result(path, key)
        if result is None:
            result = self._measure_reference()
            write_result(path, result, key)
        return result

    def path(self, system: EvaluatedSystem, shots: int) -> Path:
        """Where the result is kept."""
        return self._path(system.name, shots)

    def stored(self, system: EvaluatedSystem, shots: int) -> SubjectResult | None:
        """The finished result; None if there is none, or it was made of something else."""
        return read_result(self.path(system, shots), self._key(system, shots))

    def photos(self, shots: int) -> FaceClip:
        """The T input frames that every system gets."""
        inputs = self._frames.inputs
        rows = choose_shots(self.subject.identity, len(inputs), shots, self.settings.seed)
        return inputs.take(rows)

    def measure(self, system: EvaluatedSystem, shots: int, draw: Draw) -> SubjectResult:
        """Draw what the protocol asks for, measure it, and store the result."""
        landmarks, settings = self._landmarks(self.photos(shots)), self.settings
        drawn = self._at_size(draw(landmarks))
        analysis = settings.analyzer.analyze(drawn, landmarks)
        reference = self.reference.features
        if settings.self_reenactment:
            values = self._against_true_pictures(drawn, analysis)
        else:
            values = self._against_driver(analysis)
        values["akd"] = scores.keypoint_distance(analysis.landmarks, landmarks)
        values["pose"] = np.abs(analysis.pose - reference["pose"]).mean(axis=1)
        expression = np.abs(analysis.expression - reference["expression"])
        values["expression"] = expression.mean(axis=1)
        result = SubjectResult(drawn, values, _features(analysis, drawn, settings.networks))
        write_result(self.path(system, shots), result, self._key(system, shots))
        return result

    def _against_true_pictures(
        self, drawn: np.ndarray, analysis: FaceAnalysis
    ) -> dict[str, np.ndarray]:
        """What only self-reenactment measures: each drawing with the true picture."""
        true, features = self.reference.drawn, self.reference.features
        values = {"ssim": scores.ssim(drawn, true), "psnr": scores.psnr(drawn, true)}
        for name, network in self.settings.networks.items():
            if network.pairs:
                values[name] = network.pairs(drawn, true)
        for name, vectors in analysis.identities.items():
            values[f"csim_{name}"] = scores.cosine(vectors, features[name])
        return values

    def _against_driver(self, analysis: FaceAnalysis) -> dict[str, np.ndarray]:
        """What only cross-reenactment measures: identity by the inputs, jitter by the driver's."""
        features = self.reference.features
        values: dict[str, np.ndarray] = {}
        for name, vectors in analysis.identities.items():
            mean = features[f"{name} inputs"].mean(axis=0, keepdims=True)
            values[f"csim_{name}"] = scores.cosine(vectors, mean)
        driver = features["points"].reshape(-1, 68, 2)
        if features["consecutive"].all() and len(driver) >= 3:
            ratio = scores.jitter(analysis.landmarks) / scores.jitter(driver)
            values["jitter"] = np.array([ratio])
        return values

    def _landmarks(self, photos: FaceClip) -> np.ndarray:
        """(N, 68, 2): what is to be drawn of a person known from these photos."""
        target = self._target
        if self.driver is None:
            return target.landmarks
        return transfer_motion(target.landmarks, target.times, photos.landmarks)

    def _measure_reference(self) -> SubjectResult:
        target, networks = self._target, self.settings.networks
        pictures = self._at_size(target.frames)
        analysis = self.settings.analyzer.analyze(pictures, target.landmarks)
        features = _features(analysis, pictures, networks)
        if self._driver_frames is not None:
            inputs = self._frames.inputs
            own = self._at_size(inputs.frames)
            own_analysis = self.settings.analyzer.analyze(own, inputs.landmarks)
            of_inputs = _features(own_analysis, own, networks)
            features |= {f"{name} inputs": vectors for name, vectors in of_inputs.items()}
            features["consecutive"] = np.array([[self._driver_frames.consecutive is not None]])
        features |= {"points": analysis.landmarks.reshape(len(pictures), -1)}
        features |= {"pose": analysis.pose, "expression": analysis.expression}
        return SubjectResult(pictures, {}, features)

    def _at_size(self, pictures: np.ndarray) -> np.ndarray:
        size = self.settings.size
        if pictures.shape[1] == size:
            return pictures
        return np.stack([resized(picture, size) for picture in pictures])

    def _key(self, system: EvaluatedSystem | None, shots: int) -> str:
        """What a result depends on, as one hash: a result with another key is made again."""
        settings, analyzer = self.settings, self.settings.analyzer
        parts = [
            *(settings.protocol, settings.size, settings.seed, shots, self.subject.fingerprint),
            self.driver.fingerprint if self.driver else "",
            f"{system.name} {system.fingerprint}" if system else "",
            sorted(analyzer.backbones.items()),
            analyzer.landmark_backend,
            sorted((name, network.backbone) for name, network in settings.networks.items()),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _path(self, system: str, shots: int) -> Path:
        return self.settings.result_path(system, shots, self.subject.identity)


def _features(
    analysis: FaceAnalysis, pictures: np.ndarray, networks: dict[str, MetricNetwork]
) -> dict[str, np.ndarray]:
    """Embeddings of the pictures by every identity network and every network with features."""
    found = dict(analysis.identities)
    for name, network in networks.items():
        if network.features:
            found[name] = network.features(pictures)
    return found
