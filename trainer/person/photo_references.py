"""A person's photos as references: which there are, which fit a frame best, and bending them.

See :mod:`fsh.trainer.models.references` for what becomes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.landmarks import found
from fsh.schemas.faces.mesh import landmarks_of_mesh
from fsh.trainer.data.landmark_images import in_shares
from fsh.trainer.data.pictures import to_images, to_pictures
from fsh.trainer.models.face_colors import face_colors, recolored
from fsh.trainer.models.references import Photos, References, photo_distances, prepare
from fsh.trainer.person.mesh_transfer import meshes_of_landmarks
from fsh.trainer.person.photo_tensors import real_shares

#: References kept of a person; of more photos those that differ most.
MOST_REFERENCES = 16
#: Others take over during a film when their distance is below this share of that of those in use:
#: else two that fit alike would change places from frame to frame.
_BETTER = 0.75
#: Side up to which pictures are read from copies twice as dense: larger ones lose less, and the
#: copies of sixteen would be 200 MB.
_DENSE = 256
#: Mean difference of two photos' upper edges, −1…1, up to which they show the same scene.
_SAME_SCENE = 0.12
#: Width of the edge that is compared, as a share of the side, and how far down it reaches.
_EDGE, _UPPER = 0.1, 0.5


@dataclass(frozen=True)
class PhotoReferences:
    """R photos to copy from.

    Attributes:
        pictures: float32 (R, 3, S, S), −1…1, at the crop's own size or larger.
        points: float32 (R, 478, 3), meshes, or (R, 68, 2), landmarks; in shares of the crop.
        real: float32 (R, 4), edges in shares of the crop of what each photo shows.
        still: number of the photo whose background stays, the most usual one.
        same_scene: bool (R,), the photos with that background. Of others only the face is copied.
    """

    pictures: Tensor
    points: Tensor
    real: Tensor
    still: int
    same_scene: Tensor
    _made: dict[int, Photos] = field(default_factory=dict, repr=False, compare=False)
    _last: dict[tuple[int, ...], Photos] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def side(self) -> int:
        """S, pixels."""
        return self.pictures.shape[-1]

    @classmethod
    def of(cls, clip: FaceClip, device: str = "cpu") -> PhotoReferences:
        """References of photos, all with landmarks; their colors are those of the still one.
        Where the clip has larger crops they are copied from.

        Of more than :data:`MOST_REFERENCES` those are taken that differ most.
        """
        points = clip.mesh if clip.mesh is not None else clip.landmarks
        shares = torch.from_numpy(in_shares(points, clip.spec.size))
        chosen = various(shares, MOST_REFERENCES)
        shares, real = shares[chosen], torch.from_numpy(real_shares(clip))[chosen]
        images = to_images((clip.frames if clip.large is None else clip.large)[chosen])
        same = same_scene(images)
        faces = [face_colors(one, place) for one, place in zip(images, shares, strict=True)]
        matched = [
            image if known else recolored(image, own, faces[0])
            for image, known, own in zip(images, same.tolist(), faces, strict=True)
        ]
        pictures = torch.from_numpy(to_pictures(torch.stack(matched)))
        return cls.from_tensors(pictures, shares, real, same, device)

    @classmethod
    def from_tensors(
        cls,
        pictures: Tensor,
        points: Tensor,
        real: Tensor,
        same_scene: Tensor,
        device: str = "cpu",
    ) -> PhotoReferences:
        """As :meth:`tensors` gives them; the first photo is the still one."""
        images = to_images(pictures, device)
        return cls(images, points.to(device), real.to(device), 0, same_scene.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """For a file: ``pictures`` uint8 (R, S, S, 3), and the rest as it is."""
        return {
            "pictures": torch.from_numpy(to_pictures(self.pictures)),
            "points": self.points,
            "real": self.real,
            "same_scene": self.same_scene,
        }

    def choose(self, targets: Tensor, count: int, before: Tensor | None = None) -> Tensor:
        """The references of every frame of a film, frame by frame: a choice is kept while it fits.

        Args:
            targets: (N, V, D), in shares of the crop.
            count: K, the references that the generator takes.
            before: int64 (K,), those of the frame before; None: these frames are the first.

        Returns:
            int64 (N, K).
        """
        distances = photo_distances(targets, self.points)
        alike = bool(self.same_scene.all())
        most = count if alike else count - 1  # and the still one
        order = distances.argsort(dim=1, stable=True)[:, :most].tolist()
        chosen: list[list[int]] = [] if before is None else [before.tolist()]
        for row, best in zip(distances.tolist(), order, strict=True):
            kept = chosen[-1][: len(best)] if chosen else best
            fits = sum(row[i] for i in kept) * _BETTER <= sum(row[i] for i in best)
            now = kept if fits else best
            now = now if alike else [*now, self.still]
            chosen.append([now[i % len(now)] for i in range(count)])
        return torch.tensor(chosen[len(chosen) - len(targets) :], device=targets.device)

    def prepared(self, targets: Tensor, chosen: Tensor, side: int) -> References:
        """These references bent to N targets, for a network of ``side`` pixels."""
        photos, count, kept = self._ready(side), len(targets), chosen.shape[1]
        alike = bool((chosen == chosen[:1]).all())  # as in most of a film
        chosen = chosen[:, : self.different(kept)]
        some = self._taken(chosen[0], side).repeated(count) if alike else photos.take(chosen)
        still = photos.take(self.still).repeated(count)
        return prepare(targets, some, still, side, kept, ~self.same_scene[chosen])

    def different(self, count: int) -> int:
        """How many of ``count`` chosen references there are before they are repeated."""
        if self.same_scene.all():
            return min(count, len(self))
        return min(count - 1, len(self)) + 1

    def _taken(self, chosen: Tensor, side: int) -> Photos:
        """The photos of these numbers (K,): copied only where they are not those of last time."""
        numbers = (side, *chosen.tolist())
        taken = self._last.get(numbers)
        if taken is None:  # several threads may draw
            taken = self._ready(side).take(chosen)
            self._last.clear()
            self._last[numbers] = taken
        return taken

    def _ready(self, side: int) -> Photos:
        """The photos as a network of that side needs them, made once."""
        if side not in self._made:
            self._made[side] = Photos.of(
                self.pictures, self.points, side, self.real, dense=self.side <= _DENSE
            )
        return self._made[side]

    def targets(self, faces: FaceLandmarks, crop: int) -> Tensor:
        """Faces in crop pixels as what the references are bent to: (N, V, D), shares.

        Where only landmarks are known, the mesh of the photo most like them follows.
        """
        device = self.points.device
        if self.points.shape[-1] == 2:
            return torch.from_numpy(in_shares(faces.points, crop)).to(device)
        mesh = faces.mesh
        if mesh is None:
            own = self.points.cpu().numpy() * crop - np.array([0.5, 0.5, 0], np.float32)
            mesh = meshes_of_landmarks(faces.points, own)
        return torch.from_numpy(in_shares(mesh, crop)).to(device)


def various(points: Tensor, count: int) -> list[int]:
    """Numbers of at most ``count`` faces (T, V, D): the most usual one first, then whichever is
    farthest from all taken."""
    flat = points[..., :2]
    gaps = (flat[:, None] - flat).square().mean((2, 3))
    taken = [int(gaps.sum(1).argmin())]
    while len(taken) < min(count, len(points)):
        taken.append(int(gaps[taken].amin(0).argmax()))
    return taken


def same_scene(images: Tensor) -> Tensor:
    """bool (R,): the images (R, 3, S, S) whose upper edges look like those of the first."""
    side = images.shape[-1]
    wide, down = max(1, round(_EDGE * side)), round(_UPPER * side)
    edges = [
        images[..., :wide, :].flatten(1),
        images[..., :down, :wide].flatten(1),
        images[..., :down, -wide:].flatten(1),
    ]
    joined = torch.cat(edges, 1)
    return (joined - joined[:1]).abs().mean(1) <= _SAME_SCENE


def faces_of(points: np.ndarray | FaceLandmarks) -> FaceLandmarks:
    """Landmarks (N, 68, 2) or meshes (N, 478, 3) as faces."""
    if isinstance(points, FaceLandmarks):
        return points
    points = np.asarray(points, np.float32)
    if points.ndim == 3 and points.shape[2] == 3:
        return FaceLandmarks(landmarks_of_mesh(points), points)
    return FaceLandmarks(points)


def lost_frames(faces: FaceLandmarks) -> np.ndarray:
    """Numbers of the faces that are not there, or whose mesh is not."""
    there = faces.found
    if faces.mesh is not None:
        there = there & found(faces.mesh)
    return np.flatnonzero(~there)
