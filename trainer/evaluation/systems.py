"""What is compared: fsh feed-forward and fine-tuned, and the other methods' runs.

Each system gets T photos of a person and then draws that person from landmarks; all get the same
photos and the same landmarks. The baselines without a network are in
:mod:`fsh.trainer.evaluation.baselines`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress, Silent
from fsh.trainer.evaluation.alternatives import AlternativeSystem
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.face_analyzer import FaceAnalyzer
from fsh.trainer.person.fine_tuning import BATCH, LAST_RATE
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import personalize
from fsh.trainer.person.training_set import EXPRESSION_COPIES, EXPRESSION_COPIES_EACH
from fsh.trainer.runs import Run, TrainedNetworks
from fsh.trainer.training.methods import METHODS

#: Fine-tuning steps of the authors' later practice: for one photo, and for more than thirty.
FEWEST_STEPS, MOST_STEPS, MANY_PHOTOS = 125, 230, 31


def authors_steps(photos: int) -> int:
    """Fine-tuning steps for so many photos: 125 for one, 230 for 31 and more, linear between."""
    share = min(1.0, (photos - 1) / (MANY_PHOTOS - 1))
    return round(FEWEST_STEPS + share * (MOST_STEPS - FEWEST_STEPS))


def systems_of(
    run: Run,
    steps: Callable[[int], int | None],
    progress: Progress,
    label: str = "",
    analyzer: FaceAnalyzer | None = None,
) -> list[EvaluatedSystem]:
    """The systems that a run enters: fsh feed-forward and fine-tuned, other methods fine-tuned.

    Args:
        steps: photos to fine-tuning steps; None leaves it to ``fsh personalize``'s own choice
            (other methods then take :func:`authors_steps`).
        label: tells two runs of one method apart in the table.
        analyzer: what ``fsh personalize``'s own choice measures by; None: the loss on held-out
            photos.
    """
    title = METHODS[run.config.method].title + (f" ({label})" if label else "")
    if run.config.method == "fsth":
        networks = run.load_networks()
        return [
            PersonalizedSystem(f"{title} FF", run, networks, lambda _: 0),
            PersonalizedSystem(f"{title} FT", run, networks, steps, analyzer),
        ]

    def fixed(photos: int) -> int:
        own = steps(photos)
        return authors_steps(photos) if own is None else own

    return [AlternativeSystem(title, run, fixed, progress)]


class PersonalizedSystem:
    """What ``fsh personalize`` makes of the photos, drawn as ``fsh animate`` draws."""

    def __init__(
        self,
        name: str,
        run: Run,
        networks: TrainedNetworks,
        steps: Callable[[int], int | None],
        analyzer: FaceAnalyzer | None = None,
    ) -> None:
        self.name, self.networks, self.steps, self.analyzer = name, networks, steps, analyzer
        counts = [steps(t) for t in (1, 8, 32)]
        measured = " measured" if analyzer and None in counts else ""
        recipe = (BATCH, LAST_RATE, EXPRESSION_COPIES, EXPRESSION_COPIES_EACH)
        self.fingerprint = f"{run.sha256} steps {counts} by {recipe}{measured}"

    def fit(self, photos: FaceClip) -> Draw:
        steps, device = self.steps(len(photos)), self.networks.config.device
        if steps is None and self.analyzer and photos.embedding is None:
            # As `fsh personalize` does it: a person's identity is the mean over the photos.
            embeddings = self.analyzer.embed(photos.frames, photos.landmarks)
            photos = replace(photos, embedding=embeddings.mean(axis=0).astype(np.float32))
        with scratch_folder("evaluate") as folder:
            out = folder / "person"
            personalize(
                self.networks,
                photos,
                out,
                steps=steps,
                progress=Silent(),
                device=device,
                analyzer=self.analyzer,
            )
            person = Person.load(out, device)
        return person.draw
