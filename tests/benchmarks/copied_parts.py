"""A run's people drawn without one of the parts that their pictures are put together of.

Systems for ``few_shot.py --parts``: feed-forward people, one part left out while they are drawn;
nothing is trained without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.progress import Silent
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.evaluation.evaluated_system import Draw, EvaluatedSystem
from fsh.trainer.models.composition import Answer, compose
from fsh.trainer.models.references import References
from fsh.trainer.models.surroundings import WAYS
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import personalize
from fsh.trainer.person.photo_tensors import landmark_image_tensors
from fsh.trainer.runs import Run, TrainedNetworks

Change = Callable[[Answer, References], tuple[Answer, References]]
#: A share's logit that makes it nothing.
NOTHING = -50.0


def without_flow(answer: Answer, references: References) -> tuple[Answer, References]:
    """Photos are read where the warp says."""
    maps = answer.maps.clone()
    maps[:, : 2 * references.pictures.shape[1]] = 0
    return answer._replace(maps=maps), references


def without_ways(answer: Answer, references: References) -> tuple[Answer, References]:
    """Around the face photos are read by the warp's spline and the flow alone."""
    maps, count = answer.maps.clone(), references.pictures.shape[1]
    ways = maps[:, 2 * count : (2 + WAYS) * count].unflatten(1, (count, WAYS))
    ways[:, :, 1:] = NOTHING
    return answer._replace(maps=maps), references


def without_paint(answer: Answer, references: References) -> tuple[Answer, References]:
    """Nothing is painted, between the lips neither."""
    maps, count = answer.maps.clone(), references.pictures.shape[1]
    first = (2 + WAYS) * count + 4 * (count + 1)
    maps[:, first : first + 4] = NOTHING
    shut = torch.zeros_like(references.mouth_inside)
    return answer._replace(maps=maps), references._replace(mouth_inside=shut)


def without_mouth(answer: Answer, references: References) -> tuple[Answer, References]:
    """Mouths are painted as everything else is."""
    return answer, references._replace(mouth_inside=torch.zeros_like(references.mouth_inside))


def unchanged(answer: Answer, references: References) -> tuple[Answer, References]:
    return answer, references


class Ablated:
    """fsh feed-forward, with a change to what pictures are put together of.

    Args:
        photos: how many are copied from for a picture; None: as many as the generator takes.
    """

    def __init__(
        self, name: str, networks: TrainedNetworks, change: Change, photos: int | None = None
    ) -> None:
        self.name, self.networks, self.change, self.photos = name, networks, change, photos
        self.fingerprint = f"{networks.run.sha256} {name} 1"

    def fit(self, photos: FaceClip) -> Draw:
        with tempfile.TemporaryDirectory() as folder:
            personalize(self.networks, photos, Path(folder) / "p", steps=0, progress=Silent())
            person = Person.load(Path(folder) / "p")
        references, config, size = person.references, person.network, person.spec.size
        assert references is not None

        @torch.inference_mode()
        def draw(faces: FaceLandmarks) -> np.ndarray:
            targets = references.targets(faces, size)
            chosen = references.choose(targets, config.references)
            if self.photos:
                chosen = chosen[:, torch.arange(config.references) % self.photos]
            lines = landmark_image_tensors(faces.points, size, config.size)
            bent = references.prepared(targets, chosen, config.size)
            answer, bent = self.change(person.drawing(lines, bent), bent)
            return to_pictures(compose(answer, bent).picture)

        return draw


def ablations(run: Run) -> list[EvaluatedSystem]:
    networks = run.load_networks()
    return [
        Ablated("no residual flow", networks, without_flow),
        Ablated("no ways to move", networks, without_ways),
        Ablated("no paint", networks, without_paint),
        Ablated("no mouth", networks, without_mouth),
        Ablated("one reference", networks, unchanged, photos=1),
    ]
