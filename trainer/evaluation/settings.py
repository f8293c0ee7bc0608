"""What an evaluation is made of, besides the subjects and the systems."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fsh.schemas.run_pictures import PROTOCOLS
from fsh.trainer.evaluation.metric_networks import MetricNetwork
from fsh.trainer.face_analyzer import FaceAnalyzer

#: The paper's protocol, and driving each subject with another one's consecutive frames.
SELF_REENACTMENT, CROSS_REENACTMENT = PROTOCOLS
#: In the place of a system's name: the target pictures, measured as drawings are.
REFERENCE = "real"


@dataclass(frozen=True)
class EvaluationSettings:
    """One protocol and how it is measured.

    Attributes:
        protocol: :data:`SELF_REENACTMENT` or :data:`CROSS_REENACTMENT`.
        size: side of the pictures compared, pixels: the smallest that all systems can draw.
        shots: the numbers T of photos to learn from.
        seed: of the choice of photos and of the intervals.
        analyzer: finds landmarks and identities in the pictures.
        networks: ``lpips`` and ``fid``, as far as they can be had.
        missing: why the others cannot.
        folder: where results are kept (``cells/``).
    """

    protocol: str
    size: int
    shots: tuple[int, ...]
    seed: int
    analyzer: FaceAnalyzer
    networks: dict[str, MetricNetwork]
    missing: dict[str, str]
    folder: Path

    @property
    def self_reenactment(self) -> bool:
        """Whether there are true pictures to compare the drawn ones with."""
        return self.protocol == SELF_REENACTMENT

    def result_path(self, system: str, shots: int, identity: str) -> Path:
        """Where a result is kept: hashed, because names of systems and people may hold anything."""
        name = hashlib.sha256(json.dumps([system, identity]).encode()).hexdigest()[:16]
        return self.folder / self.protocol / f"T{shots:02d}" / f"{name}.npz"
