"""Photos to a clip: a photo is a one-frame clip, cropped and landmarked as a video's frames are.

A short video among them gives some of its frames (:mod:`fsh.pipeline.inputs.video_stills`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.crop import Window, box_to_crop, cut, window_of
from fsh.pipeline.faces.detection import SAME_PERSON, CnnDetector, Face, FaceDetector
from fsh.pipeline.faces.detection import embed as embed_face
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.faces.tracking import overlaps
from fsh.pipeline.inputs.video_stills import Still, stills_of
from fsh.pipeline.media.footage import VIDEO_SUFFIXES
from fsh.pipeline.media.pictures import read_photo
from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.spec import FaceSpec

#: Longer sides, in pixels, of the copies of a photo that are searched.
_LOOKS = (480, 1000, 2000)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A photo that gave no face, and why, in a few words."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Candidate:
    """A face in a photo, ready to be a frame; whether it is the person's is not decided yet.

    Attributes:
        face: as detected, pixels of the photo.
        window: the crop window in the photo.
        frame: uint8 (S, S, 3) RGB crop.
        points: float32 (68, 2) landmarks found on the crop, crop pixels.
        embedding: float32 (128,), or None if it was not asked for.
        followed: whether it was followed through a video, where no other face is in question.
    """

    face: Face
    window: Window
    frame: np.ndarray
    points: np.ndarray
    embedding: np.ndarray | None
    followed: bool = False


def find_faces(image: np.ndarray, detector: FaceDetector, fallback: CnnDetector) -> list[Face]:
    """Every face in a photo, with growing effort until there is one; best score first.

    Args:
        image: uint8 (H, W, 3) RGB of any size.

    Returns:
        Boxes in pixels of the image; overlapping finds are one. Doubtful finds are left out where
        there is a clear one.
    """
    longest = max(image.shape[:2])
    # Large faces show in a small copy, small ones in a large one; enlarging adds no detail.
    sides = [side for side in _LOOKS if side <= max(2 * longest, _LOOKS[0])]
    found = [face for side in sides for face in detector.detect_scaled(image, side)]
    if not found:  # faces that fill the frame, and drawn or turned ones
        margin = longest // 3
        padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        shift = np.float32(margin)
        found = (
            detector.detect_scaled(padded, 640)
            or fallback.detect_scaled(padded, 640)
            or detector.detect_scaled(padded, 640, threshold=-0.4)[:1]
        )
        found = [Face(face.box - shift, face.score) for face in found]
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: -face.score):
        doubtful = bool(kept) and face.score < min(0.3, kept[0].score / 3)
        if not doubtful and all(
            overlaps(face.box[None], other.box[None])[0, 0] < 0.3 for other in kept
        ):
            kept.append(face)
    return kept


def choose_faces(photos: Sequence[Sequence[Candidate]], face: int | None) -> list[int]:
    """Which face of each photo is the person's.

    Args:
        photos: the faces of each photo, at least one each.
        face: this one in every photo, counted from the left from 0; None: the person who recurs
            over the photos (by embedding), or the largest face where there is only one photo or
            no embeddings.

    Returns:
        An index into each photo's faces; -1 where a photo has no face of that number.
    """
    if face is not None:
        orders = [np.argsort([c.face.box[0] for c in faces], kind="stable") for faces in photos]
        return [int(order[face]) if face < len(order) else -1 for order in orders]
    known = [[c.embedding for c in faces if c.embedding is not None] for faces in photos]
    if len(photos) == 1 or not all(len(k) == len(f) for k, f in zip(known, photos, strict=True)):
        return [int(np.argmax([c.face.side for c in faces])) for faces in photos]
    groups = [np.stack(vectors) for vectors in known]
    # The recurring person is the face that, summed over the photos, has the nearest kin.
    everyone = np.concatenate(groups)
    nearest = [
        _distances(everyone, group).min(axis=1).clip(max=2 * SAME_PERSON) for group in groups
    ]
    hero = everyone[np.sum(nearest, axis=0).argmin()]
    return [int(_distances(hero[None], group)[0].argmin()) for group in groups]


def odd_ones(embeddings: np.ndarray) -> list[int]:
    """Photos that show somebody else: those further than 0.6 from the median of the rest.

    Of two photos that differ neither is the odd one: both are returned.

    Args:
        embeddings: float32 (N, 128).
    """
    if len(embeddings) < 2:
        return []
    rest = [np.median(np.delete(embeddings, i, axis=0), axis=0) for i in range(len(embeddings))]
    return np.flatnonzero(np.linalg.norm(embeddings - rest, axis=1) > SAME_PERSON).tolist()


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=2)


def candidates(
    image: np.ndarray,
    faces: Sequence[Face],
    spec: FaceSpec,
    backend: LandmarkBackend,
    embedded: bool,
) -> list[Candidate]:
    """The faces of a photo cut out as the spec says; those without landmarks are left out."""
    found = []
    for face in faces:
        there = backend.landmarks(image[None], face.box[None])[0]
        if not np.isfinite(there).all():
            continue
        window = window_of(face_box(there), spec)
        frame = cut(image, window, spec.size)
        # Once more on the crop: videos have their landmarks from there.
        box = box_to_crop(face.box, window, spec.size)
        points = backend.landmarks(frame[None], box[None])[0]
        if np.isfinite(points).all():
            identity = embed_face(image, there) if embedded else None
            found.append(Candidate(face, window, frame, points, identity))
    return found


def find_place(
    path: Path, image: np.ndarray, spec: FaceSpec, backend: LandmarkBackend
) -> tuple[Window, np.ndarray]:
    """The crop window of a picture's largest face, and its landmarks (68, 2) in crop pixels.

    Raises:
        FshError: if there is none.
    """
    found = find_faces(image, FaceDetector(), CnnDetector())
    faces = candidates(image, found, spec, backend, embedded=False)
    if not faces:
        raise FshError("no face found", where=path, remedy="give a picture that shows a face")
    largest = max(faces, key=lambda candidate: candidate.face.side)
    return largest.window, largest.points


def prepare_photos(
    paths: Sequence[Path],
    spec: FaceSpec,
    *,
    backend: LandmarkBackend,
    face: int | None = None,
    embed: bool = True,
    mixed_ok: bool = False,
    progress: Progress,
) -> tuple[FaceClip, list[Rejected]]:
    """One person's photos as a clip with one frame per photo.

    Args:
        paths: the photos, in the order of the frames; short videos may be among them.
        spec: how to crop and landmark them; its backend must be the one handed in.
        face: which face where a photo has several, from the left, from 0; None: the recurring one.
            Of a video it is the one that is largest for longest.
        embed: whether to compute identities (0.2 s a face), which choosing the recurring face and
            noticing a stranger's photo need.
        mixed_ok: take photos that seem to show different people, and only say so.

    Returns:
        The clip, whose ``extra["photos"]`` lists the file of each frame, and the photos left out:
        unreadable or without a face.

    Raises:
        FshError: no photo is left, or they show several people.
    """
    if backend.name != spec.backend:
        raise ValueError(f"spec wants {spec.backend} landmarks, the backend is {backend.name}")
    if not paths:
        raise FshError("no photos", remedy="give 1 to 32 photos of one person")
    photos, rejected = _look_through(paths, spec, backend, embed, progress)
    picks = choose_faces(list(photos.values()), face) if photos else []
    chosen: dict[Path, Candidate] = {}
    for (path, faces), pick in zip(photos.items(), picks, strict=True):
        if faces[0].followed:
            chosen[path] = faces[0]
        elif pick < 0:
            rejected.append(Rejected(path, f"no face number {face}: it has {len(faces)}"))
        else:
            chosen[path] = faces[pick]
    if not chosen:
        raise FshError(
            "no face to work with: " + "; ".join(f"{r.path.name}: {r.reason}" for r in rejected),
            where=paths[0] if len(paths) == 1 else paths[0].parent,
            remedy="use photos in which the face is upright, lit and at least 80 pixels wide",
        )
    if len(paths) == 1 and face is None and (count := len(photos.get(paths[0], []))) > 1:
        progress.say(f"{paths[0].name}: {count} faces, took the largest; --face 0 is the leftmost")
    known = [c.embedding for c in chosen.values() if c.embedding is not None]
    if embed:
        refuse_strangers(list(chosen), np.stack(known), mixed_ok, progress)
    first = next(iter(chosen))
    clip = FaceClip(
        name=paths[0].name if len(paths) == 1 else first.parent.name,
        frames=np.stack([c.frame for c in chosen.values()]),
        landmarks=np.stack([c.points for c in chosen.values()]),
        times=np.arange(len(chosen), dtype=np.float64),
        crops=np.array([c.window for c in chosen.values()], np.float32),
        spec=spec,
        embedding=np.mean(known, axis=0).astype(np.float32) if known else None,
        extra={"photos": list(chosen)},
    )
    return clip, rejected


def _look_through(
    paths: Sequence[Path],
    spec: FaceSpec,
    backend: LandmarkBackend,
    embedded: bool,
    progress: Progress,
) -> tuple[dict[Path, list[Candidate]], list[Rejected]]:
    """The faces of each photo that has any, and the photos left out."""
    detector, fallback = FaceDetector(), CnnDetector()
    photos: dict[Path, list[Candidate]] = {}
    rejected = []
    progress.start("looking for the face", len(paths), "photos")
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    for path in paths:
        if path in videos:
            continue
        try:
            image = read_photo(path)
        except FshError as error:
            rejected.append(Rejected(path, f"{error.what} ({error.remedy})"))
        else:
            found = find_faces(image, detector, fallback)
            if faces := candidates(image, found, spec, backend, embedded):
                photos[path] = faces
            else:
                rejected.append(Rejected(path, "no face found"))
        progress.advance(note=path.name)
    progress.stop()
    for path in videos:
        try:
            stills = stills_of(path, spec, backend, progress)
        except FshError as error:
            rejected.append(Rejected(path, f"{error.what} ({error.remedy})"))
            continue
        progress.say(f"{path.name}: took {len(stills)} frames as photos")
        for still in stills:
            # Named in messages like a photo of its own.
            name = path.with_name(f"{path.name} at {still.time:.2f} s")
            photos[name] = [followed(still, embedded)]
    return photos, rejected


def followed(still: Still, embedded: bool) -> Candidate:
    """A video's frame as a photo's face."""
    identity = embed_face(still.crop, still.points) if embedded else None
    face = Face(face_box(still.points), 1.0)
    return Candidate(face, still.window, still.crop, still.points, identity, followed=True)


def refuse_strangers(
    names: Sequence[Path], embeddings: np.ndarray, mixed_ok: bool, progress: Progress
) -> None:
    """Raise FshError, naming the odd photos, if they do not all show one person.

    With ``mixed_ok`` it is only said.
    """
    odd = odd_ones(embeddings)
    if not odd:
        return
    listed = ", ".join(names[i].name for i in odd)
    what = (
        f"the photos seem to show different people: {listed}"
        if len(odd) * 2 > len(names)
        else f"not the person of the other photos, it seems: {listed}"
    )
    if mixed_ok:
        progress.say(f"{what}; taken all the same")
        return
    raise FshError(
        what,
        where=names[odd[0]].parent,
        remedy="remove them, or add --mixed-ok if they are all one person",
    )
