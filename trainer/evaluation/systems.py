"""What is compared: fsh feed-forward and fine-tuned, and what other runs and no run at all enter.

Each contender is shown T photos of a person and then draws that person from landmarks; all get the
same photos and the same landmarks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from fsh.schemas.clip import FaceClip
from fsh.schemas.progress import Progress, Silent
from fsh.trainer.evaluation.alternatives import Alternative
from fsh.trainer.person import fine_tuning as tuning
from fsh.trainer.person import training_set as lessons
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import personalize
from fsh.trainer.person.step_choice import Judges
from fsh.trainer.runs import Run, TrainedNetworks
from fsh.trainer.training.methods import METHODS

#: Fine-tuning steps of the authors' later practice: for one photo, and for more than thirty.
FEWEST_STEPS, MOST_STEPS, MANY_PHOTOS = 125, 230, 31
#: Landmarks float32 (N, 68, 2), crop pixels, to pictures uint8 (N, H, H, 3).
Draw = Callable[[np.ndarray], np.ndarray]


class Contender(Protocol):
    """One row of the table.

    Attributes:
        name: as the table has it.
        made_of: what its drawings depend on besides photos and landmarks; a change of it makes
            stored drawings stale.
    """

    name: str
    made_of: str

    def learn(self, photos: FaceClip) -> Draw: ...


def authors_steps(photos: int) -> int:
    """Fine-tuning steps for so many photos: 125 for one, 230 for 31 and more, linear between."""
    share = min(1.0, (photos - 1) / (MANY_PHOTOS - 1))
    return round(FEWEST_STEPS + share * (MOST_STEPS - FEWEST_STEPS))


def contenders_of(
    run: Run,
    steps: Callable[[int], int | None],
    progress: Progress,
    label: str = "",
    judges: Judges | None = None,
) -> list[Contender]:
    """What a run enters: fsh's feed-forward and fine-tuned, an alternative's fine-tuned.

    Args:
        steps: photos to fine-tuning steps; None leaves it to ``fsh personalize``'s own rule
            (the alternatives then take :func:`authors_steps`).
        label: told apart by it in the table, where two runs are of one method.
        judges: what ``fsh personalize``'s own rule goes by; None: the loss on held-out photos.
    """
    title = METHODS[run.config.method].title + (f" ({label})" if label else "")
    if run.config.method == "fsth":
        trained = run.load_networks()
        return [
            Personalized(f"{title} FF", run, trained, lambda _: 0),
            Personalized(f"{title} FT", run, trained, steps, judges),
        ]

    def fixed(photos: int) -> int:
        own = steps(photos)
        return authors_steps(photos) if own is None else own

    return [Alternative(title, run, fixed, progress)]


class Personalized:
    """What ``fsh personalize`` makes of the photos, drawn as ``fsh animate`` draws."""

    def __init__(
        self,
        name: str,
        run: Run,
        trained: TrainedNetworks,
        steps: Callable[[int], int | None],
        judges: Judges | None = None,
    ) -> None:
        self.name, self.trained, self.steps, self.judges = name, trained, steps, judges
        counts = [steps(t) for t in (1, 8, 32)]
        judged = " judged" if judges and None in counts else ""
        recipe = (tuning.BATCH, tuning.LAST_RATE, lessons.ACTED, lessons.ACTED_EACH)
        self.made_of = f"{run.sha256} steps {counts} by {recipe}{judged}"

    def learn(self, photos: FaceClip) -> Draw:
        steps, device = self.steps(len(photos)), self.trained.config.device
        if steps is None and self.judges and photos.embedding is None:
            # As `fsh personalize` does it: a person's identity is the mean over the photos.
            known = self.judges.recognise(photos.frames, photos.landmarks)
            photos = replace(photos, embedding=known.mean(axis=0).astype(np.float32))
        with tempfile.TemporaryDirectory(prefix="fsh-evaluate-") as folder:
            out = Path(folder) / "person"
            personalize(
                self.trained,
                photos,
                out,
                steps=steps,
                progress=Silent(),
                device=device,
                judges=self.judges,
            )
            return Person.load(out, device).draw
