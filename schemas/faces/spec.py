"""How a face is cropped and landmarked: one value, stored wherever faces are stored."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.ids import digest
from fsh.schemas.text import one_line


@dataclass(frozen=True, slots=True)
class FaceSpec:
    """The crop and landmark specification.

    Data sets, checkpoints and people all carry one; two of them may only meet if they are
    equal, because a network trained on one framing draws nonsense from another.

    Attributes:
        backend: landmark backend, ``"mediapipe"``, ``"fan"`` or ``"dlib"``; a name for tests and
            examples: ``fsh shard`` always names the one it chose.
        points: the point set, ``"ibug68"``: 68 points in iBUG order.
        size: side of a stored crop, in pixels.
        margin: side of the crop window divided by the side of the face box.
        shift: how far the window's centre lies above the face box's centre, as a share of
            the face box's side (hair needs more room than chin).
        gaze: whether the irises are drawn into landmark images. It changes no crop and no
            landmark, so a data set's is False; a run's, and its people's, says how they draw.
    """

    backend: str = "dlib"
    points: str = "ibug68"
    size: int = 256
    margin: float = 2.0
    shift: float = 0.12
    gaze: bool = False

    @property
    def hash(self) -> str:
        """12 hex digits that change when any of it does."""
        return digest(self.values())

    def values(self) -> dict[str, object]:
        """What it says; without ``gaze`` where it is False, as before there was such a thing."""
        said = asdict(self)
        if not self.gaze:
            del said["gaze"]
        return said

    @property
    def of_crops(self) -> FaceSpec:
        """What of it decides crops and landmarks, and so whether a data set fits."""
        return replace(self, gaze=False)

    @property
    def has_mesh(self) -> bool:
        """Whether the backend finds a mesh besides the landmarks."""
        return self.backend == "mediapipe"

    def with_gaze(self, gaze: bool) -> FaceSpec:
        """The same, with irises drawn or not.

        Raises:
            FshError: if its backend finds none.
        """
        if gaze and not self.has_mesh:
            raise FshError(
                f"--gaze draws irises, which {self.backend} does not find",
                remedy="`fsh shard --landmarks mediapipe` makes them of the stored crops",
            )
        return replace(self, gaze=gaze)

    def to_json(self) -> dict[str, object]:
        return {**self.values(), "hash": self.hash}

    @classmethod
    def from_json(cls, data: dict) -> FaceSpec:
        """Raises:
        SpecMismatch: if the stored hash is not the hash of the stored values.
        """
        names = [name for name in cls.__dataclass_fields__ if name != "gaze" or name in data]
        spec = cls(**{name: data[name] for name in names})
        if data.get("hash", spec.hash) != spec.hash:
            raise SpecMismatch(
                f"face spec says hash {data['hash']} but its values hash to {spec.hash}",
                remedy="the file was edited by hand or written by another version; make it again",
            )
        return spec

    def __str__(self) -> str:
        return (
            f"{self.backend}/{self.points}{' with gaze' if self.gaze else ''} "
            f"{self.size}px ×{self.margin}+{self.shift} ({self.hash})"
        )

    def require(self, other: FaceSpec, *, mine: str, theirs: str) -> None:
        """Raise SpecMismatch, naming both sides, unless the two specs are equal."""
        if self != other:
            raise SpecMismatch(
                f"{one_line(mine)} has faces as {self}, {one_line(theirs)} has faces as {other}",
                remedy="prepare both with the same --landmarks and --size"
                if self.of_crops != other.of_crops
                else "take runs and people that both draw irises (--gaze), or both none",
            )
