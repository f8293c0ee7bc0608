"""Draw and measure every subject with every system and number of photos.

Results are kept on disk one by one (:mod:`fsh.trainer.evaluation.results_store`), so the same call
goes on where another stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.evaluation.reenactment import Reenactment
from fsh.trainer.evaluation.results_store import SubjectResult, read_pictures, without_pictures
from fsh.trainer.evaluation.settings import REFERENCE, EvaluationSettings
from fsh.trainer.evaluation.subjects import Subject


@dataclass(frozen=True)
class EvaluationResult:
    """A finished evaluation by one protocol. Pictures stay on disk.

    Attributes:
        systems: names.
        results: by system, T and identity; without pictures (see :meth:`pictures`).
        references: the target pictures' by identity; without pictures as well.
    """

    settings: EvaluationSettings
    subjects: tuple[Subject, ...]
    systems: tuple[str, ...]
    results: dict[tuple[str, int, str], SubjectResult]
    references: dict[str, SubjectResult]

    def pictures(self, system: str, shots: int, identity: str) -> np.ndarray:
        """What a system drew, uint8 (N, H, H, 3)."""
        return read_pictures(self.settings.result_path(system, shots, identity))

    def reference_pictures(self, identity: str) -> np.ndarray:
        """The target pictures, uint8 (N, H, H, 3): in cross-reenactment they are the driver's."""
        return self.pictures(REFERENCE, 0, identity)


def evaluate(
    subjects: Sequence[Subject],
    systems: Sequence[EvaluatedSystem],
    settings: Sequence[EvaluationSettings],
    progress: Progress,
) -> list[EvaluationResult]:
    """Draw and measure whatever is not on disk yet.

    Args:
        settings: one for each protocol, alike in all else: what a system has learned from photos is
            drawn in all of them.

    Returns:
        One result for each of the settings.

    Raises:
        FshError: one identity in a protocol that wants two, or whatever a system raises.
    """
    if len(subjects) < 2 and not all(one.self_reenactment for one in settings):
        raise FshError(
            "one identity cannot drive another", remedy="evaluate more, or --protocol fsth"
        )
    names = tuple(system.name for system in systems)
    evaluations = [EvaluationResult(one, tuple(subjects), names, {}, {}) for one in settings]
    work = [(system, shots) for shots in settings[0].shots for system in systems]
    parts = [
        [Reenactment.for_subject(subjects, i, one) for one in settings]
        for i in range(len(subjects))
    ]
    every = [(part, one) for several in parts for part in several for one in work]
    before = {part.path(*one) for part, one in every if part.is_stored(*one)}
    what = f"evaluate ({' and '.join(one.protocol for one in settings)})"
    progress.start(what, len(every), "result", done=len(before))
    for subject, several in zip(subjects, parts, strict=True):
        for part, evaluation in zip(several, evaluations, strict=True):
            evaluation.references[subject.identity] = without_pictures(part.reference)
        for system, shots in work:
            stored = [part.stored(system, shots) for part in several]
            draw: Draw | None = None
            for part, evaluation, result in zip(several, evaluations, stored, strict=True):
                if result is None:
                    draw = draw or system.fit(part.photos(shots))
                    result = part.measure(system, shots, draw)
                    note = f"{shown(subject.identity)}, T = {shots}, {system.name}"
                    # What was counted as done, and is damaged, does not count twice.
                    progress.advance(int(part.path(system, shots) not in before), note=note)
                key = (system.name, shots, subject.identity)
                evaluation.results[key] = without_pictures(result)
        several.clear()  # and with them their frames
    progress.stop()
    return evaluations
