"""A person: a generator with its coefficients, kept in a folder, drawn from landmarks.

The folder (:class:`fsh.schemas.places.run_layout.PersonFolder`) holds everything needed to draw the
person, and nothing else: ``person.json``: name, crop and landmark specification, network sizes, how
it was made, the consent statement, and the SHA-256 of each file beside it;
``generator.safetensors``: the generator's weights with the spectral norms written in;
``person.safetensors``: ψ, ê, the photos' landmarks and meshes and their mean face embedding;
``references.safetensors``: photos to copy from, if the network takes some; ``preview.png``: photos,
landmarks, drawings; ``README.md``: the model card, ``person.json`` in words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.errors import FshError
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import POINTS
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.places.run_layout import (
    PERSON_CARD,
    PERSON_GENERATOR,
    PERSON_REFERENCES,
    PERSON_TENSORS,
)
from fsh.trainer import checkpoint
from fsh.trainer.config import NetworkConfig
from fsh.trainer.model_cards import write_person_card
from fsh.trainer.models.blocks import without_spectral_norms
from fsh.trainer.models.folded_generator import FoldedGenerator
from fsh.trainer.models.networks import Generator, bake, channels_last
from fsh.trainer.person.drawing import draw_faces, picture_side
from fsh.trainer.person.mesh_transfer import with_irises
from fsh.trainer.person.photo_references import PhotoReferences, faces_of, lost_frames

PERSON_FORMAT = "fsh-person-1"


@dataclass
class Person:
    """One person, ready to be drawn.

    Attributes:
        name: as the model card has it.
        spec: how the photos were cropped and landmarked.
        network: sizes of the generator.
        generator: baked, in evaluation mode.
        coefficients: ψ (1, ψ̂), P·ê or what fine-tuning made of it.
        embedding: ê (N,).
        landmarks: float32 (T, 68, 2) of the photos, crop pixels: the person's own shape.
        identity: float32 (128,) mean face embedding of the photos, or None if not asked for.
        mesh: float32 (T, 478, 3) of the photos, crop pixels; None if the backend gives none.
        references: photos that the generator copies from; None if it takes none.
        about: what the model card says besides: photos, steps, run, consent …
    """

    name: str
    spec: FaceSpec
    network: NetworkConfig
    generator: Generator
    coefficients: Tensor
    embedding: Tensor
    landmarks: np.ndarray
    identity: np.ndarray | None = None
    mesh: np.ndarray | None = None
    references: PhotoReferences | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Side of the drawn images, pixels."""
        return picture_side(self.network, self.references)

    @cached_property
    def drawing(self) -> FoldedGenerator:
        """The generator with ψ folded in, made at the first drawing."""
        return FoldedGenerator(self.generator, self.coefficients)

    def draw(
        self,
        landmarks: np.ndarray | FaceLandmarks,
        *,
        batch: int = 8,
        chosen: Tensor | None = None,
    ) -> np.ndarray:
        """Draw the person with these landmarks.

        Args:
            landmarks: float32 (N, 68, 2) landmarks or (N, 478, 3) meshes, or both as faces, in
                pixels of a ``spec.size`` crop; no NaN. Where photos are copied from, or irises
                drawn, meshes say more than landmarks.
            batch: images per pass.
            chosen: the photos to copy from, of :meth:`choose`; None: chosen here.

        Returns:
            uint8 (N, H, H, 3) RGB, H = :attr:`size`.

        Raises:
            FshError: if a frame has no landmarks, or they are not 68.
        """
        faces = faces_of(landmarks)
        if faces.points.ndim != 3 or faces.points.shape[1:] != (POINTS, 2):
            raise FshError(f"landmarks have shape {faces.points.shape}, expected (N, 68, 2)")
        missing = lost_frames(faces)
        if len(missing):
            raise FshError(
                f"{len(missing)} frames have no landmarks, the first is {missing[0]}",
                remedy="fill the gaps first",
            )
        return draw_faces(
            self.drawing,
            with_irises(faces, self.spec, self.mesh),
            self.spec,
            self.network,
            self.references,
            chosen=chosen,
            device=str(self.coefficients.device),
            batch=batch,
        )

    def choose(
        self, landmarks: np.ndarray | FaceLandmarks, before: Tensor | None = None
    ) -> Tensor | None:
        """Which photos each frame of a film copies from, int64 (N, K); None: from none.

        Args:
            landmarks: of the whole film, as for :meth:`draw`, or of its next frames.
            before: int64 (K,), what the frame before them copies from; None: they are the first.
        """
        if self.references is None:
            return None
        targets = self.references.targets(faces_of(landmarks), self.spec.size)
        return self.references.choose(targets, self.network.references, before)

    def save(self, folder: str | Path) -> None:
        """Write the folder whole (an older one of the same name is replaced)."""
        tensors = {
            "coefficients": self.coefficients,
            "embedding": self.embedding,
            "landmarks": torch.from_numpy(np.ascontiguousarray(self.landmarks, np.float32)),
        }
        if self.identity is not None:
            tensors["identity"] = torch.from_numpy(np.asarray(self.identity, np.float32))
        if self.mesh is not None:
            tensors["mesh"] = torch.from_numpy(np.ascontiguousarray(self.mesh, np.float32))
        card = {
            "name": self.name,
            "spec": self.spec.to_json(),
            "network": asdict(self.network),
            "about": self.about,
        }
        weights = {k: v for k, v in self.generator.state_dict().items() if "project" not in k}
        files = {PERSON_GENERATOR: weights, PERSON_TENSORS: tensors}
        if self.references is not None:
            files[PERSON_REFERENCES] = self.references.tensors()
        checkpoint.write_folder(Path(folder), card, files, PERSON_FORMAT, PERSON_CARD)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Person:
        """The person of a folder.

        Raises:
            FshError: if there is no such folder, or it is no person's, was changed or cut short.
        """
        folder = Path(folder)
        card = _read_card(folder)
        weights = checkpoint.read_tensors(folder, card, PERSON_GENERATOR)
        tensors = checkpoint.read_tensors(folder, card, PERSON_TENSORS)
        network = NetworkConfig.from_json(card["network"], folder)
        with without_spectral_norms():
            generator = Generator(network)
        try:
            generator.load_state_dict(weights | _projection(generator))
        except RuntimeError as error:
            raise FshError(
                "its weights do not fit this version's networks",
                where=folder,
                remedy="make this person again with `fsh personalize`, under another name",
            ) from error
        generator.requires_grad_(False).eval()
        references: PhotoReferences | None = None
        if network.references:
            kept = checkpoint.read_tensors(folder, card, PERSON_REFERENCES)
            references = PhotoReferences.from_tensors(**kept, device=device)
        return cls(
            name=card["name"],
            spec=FaceSpec.from_json(card["spec"]),
            network=network,
            generator=channels_last(generator.to(device)),
            coefficients=tensors["coefficients"].to(device),
            embedding=tensors["embedding"],
            landmarks=tensors["landmarks"].numpy(),
            identity=tensors["identity"].numpy() if "identity" in tensors else None,
            mesh=tensors["mesh"].numpy() if "mesh" in tensors else None,
            references=references,
            about=card["about"],
        )


def _projection(generator: Generator) -> dict[str, Tensor]:
    """The weights of P, which a person's folder does without: ψ is known."""
    return {name: x for name, x in generator.state_dict().items() if "project" in name}


def _read_card(folder: Path) -> dict[str, Any]:
    return checkpoint.read_state(folder, PERSON_FORMAT, PERSON_CARD)


def record_unmarked(folder: Path, what: str, day: str) -> None:
    """Note in ``person.json`` and the model card that ``what`` was made without marks.

    Args:
        what: the file made. day: ISO 8601.

    Raises:
        FshError: if the folder is no person's.
    """
    card = _read_card(folder)
    about = card["about"]
    about["unmarked"] = [*about.get("unmarked", []), {"what": what, "on": day}]
    checkpoint.rewrite_state(folder, card, PERSON_CARD)
    write_person_card(folder, card)


def write_readme(folder: Path) -> None:
    """Write the person's model card, ``README.md``, from ``person.json``.

    Raises:
        FshError: if the folder is no person's.
    """
    write_person_card(folder, _read_card(folder))


def fixed_for_drawing(generator: Generator) -> Generator:
    """The generator with its spectral norms written into the weights: it can be trained no more."""
    bake(generator)
    return generator.requires_grad_(False).eval()
