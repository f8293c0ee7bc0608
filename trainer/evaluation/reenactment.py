"""One subject in one protocol: from T photos and landmarks to drawings and their measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.faces.mesh import MESH_POINTS, landmarks_of_mesh
from fsh.trainer.data.pictures import resized
from fsh.trainer.evaluation import metrics as scores
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.evaluation.metric_networks import MetricNetwork
from fsh.trainer.evaluation.results_store import (
    TURNED,
    SubjectResult,
    has_result,
    read_result,
    write_result,
)
from fsh.trainer.evaluation.settings import REFERENCE, EvaluationSettings
from fsh.trainer.evaluation.subjects import Subject, SubjectFrames, choose_shots
from fsh.trainer.face_analyzer import FaceAnalysis
from fsh.trainer.person.mesh_transfer import transfer_mesh
from fsh.trainer.person.motion_transfer import transfer_motion

#: Changes whenever this package measures differently: what was stored is then made again.
_MEASURES = 3


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
        return self._looked_at(self.subject)

    @cached_property
    def _driver_frames(self) -> SubjectFrames | None:
        return self._looked_at(self.driver) if self.driver else None

    def _looked_at(self, subject: Subject) -> SubjectFrames:
        """A subject's frames with landmarks found as those of drawings are; a film's are smoothed
        when it drives."""
        again, frames = self.settings.analyzer.look_again, subject.load()
        return replace(frames, inputs=again(frames.inputs), held_out=again(frames.held_out))

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

    def is_stored(self, system: EvaluatedSystem, shots: int) -> bool:
        """Whether there is a finished result, as far as its key says."""
        return has_result(self.path(system, shots), self._key(system, shots))

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
        photos, settings = self.photos(shots), self.settings
        landmarks = self._landmarks(photos)
        drawn = self._at_size(draw(landmarks))
        analysis = settings.analyzer.analyze(drawn, landmarks.points)
        reference = self.reference.features
        features = _features(analysis, drawn, settings.networks)
        if settings.self_reenactment:
            values = self._against_true_pictures(drawn, analysis)
            features[TURNED] = self._turned(photos)[:, None]
        else:
            values = self._against_driver(analysis, landmarks)
        values["lost"] = 1.0 - analysis.landmarks.found
        values["pose"] = np.abs(analysis.pose - reference["pose"]).mean(axis=1)
        expression = np.abs(analysis.expression - reference["expression"])
        values["expression"] = expression.mean(axis=1)
        result = SubjectResult(drawn, values, features)
        write_result(self.path(system, shots), result, self._key(system, shots))
        return result

    def _against_true_pictures(
        self, drawn: np.ndarray, analysis: FaceAnalysis
    ) -> dict[str, np.ndarray]:
        """Each drawing with the true picture, as far as that is real."""
        true, features = self.reference.drawn, self.reference.features
        target = self._target
        parts = scores.real_parts(target.real, target.spec.size, self.settings.size)
        values = {
            "ssim": scores.ssim(drawn, true, parts),
            "psnr": scores.psnr(drawn, true, parts),
            "sharpness": scores.sharpness(drawn, true, parts),
            "akd": _landmark_error(analysis.landmarks, _found_landmarks(features)),
        }
        for name, network in self.settings.networks.items():
            if network.pairs:
                values[name] = network.pairs(drawn, true)
        for name, vectors in analysis.identities.items():
            values[f"csim_{name}"] = scores.cosine(vectors, features[name])
        return values

    def _against_driver(
        self, analysis: FaceAnalysis, landmarks: FaceLandmarks
    ) -> dict[str, np.ndarray]:
        """Each drawing with what it was drawn from; identity by the inputs, jitter the driver's."""
        features = self.reference.features
        values = {"akd": _landmark_error(analysis.landmarks, landmarks)}
        for name, vectors in analysis.identities.items():
            mean = features[f"{name} inputs"].mean(axis=0, keepdims=True)
            values[f"csim_{name}"] = scores.cosine(vectors, mean)
        driver = _found_landmarks(features).points
        if features["consecutive"].all() and len(driver) >= 3:
            ratio = scores.jitter(analysis.landmarks.points) / scores.jitter(driver)
            values["jitter"] = np.array([ratio])
        return values

    def _landmarks(self, photos: FaceClip) -> FaceLandmarks:
        """What is to be drawn of a person known from these photos, crop pixels."""
        target = self._target
        if self.driver is None:
            return FaceLandmarks(target.landmarks, target.mesh)
        if target.mesh is None or photos.mesh is None:
            moved = transfer_motion(target.landmarks, target.times, photos.landmarks)
            return FaceLandmarks(moved)
        mesh = transfer_mesh(target.mesh, target.times, photos.mesh)
        return FaceLandmarks(landmarks_of_mesh(mesh), mesh)

    def _turned(self, photos: FaceClip) -> np.ndarray:
        """bool (N,): the target's frames that are turned away from every photo."""
        target, own = (
            self.settings.analyzer.poses(FaceLandmarks(clip.landmarks, clip.mesh))
            for clip in (self._target, photos)
        )
        return scores.turned_away(target, own)

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
        features["points"] = analysis.landmarks.points.reshape(len(pictures), -1)
        if analysis.landmarks.mesh is not None:
            features["mesh"] = analysis.landmarks.mesh.reshape(len(pictures), -1)
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
            *(_MEASURES, settings.protocol, settings.size, settings.seed, shots),
            self.subject.fingerprint,
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


def _found_landmarks(features: dict[str, np.ndarray]) -> FaceLandmarks:
    """The landmarks found in the target pictures, from what is stored of them."""
    mesh = features.get("mesh")
    return FaceLandmarks(
        features["points"].reshape(-1, POINTS, 2),
        None if mesh is None else mesh.reshape(-1, MESH_POINTS, 3),
    )


def _landmark_error(found: FaceLandmarks, wanted: FaceLandmarks) -> np.ndarray:
    """Mean distance in the picture (N,), of all points of the mesh where both have one."""
    if found.mesh is None or wanted.mesh is None:
        return scores.keypoint_distance(found.points, wanted.points)
    return scores.keypoint_distance(found.mesh[..., :2], wanted.mesh[..., :2])
