"""A person's photos as a clip: a photo is a one-frame clip, prepared as a video's frames are.

A short video among them gives some of its frames (:mod:`fsh.pipeline.inputs.video_stills`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.faces.detection import CnnDetector, Face, FaceDetector
from fsh.pipeline.faces.embedding import embed_face
from fsh.pipeline.faces.landmarks import LandmarkBackend, face_box
from fsh.pipeline.inputs.photo_choice import choose_faces, require_one_person
from fsh.pipeline.inputs.photo_faces import FaceCandidate, crop_faces, find_faces
from fsh.pipeline.inputs.photo_folder import RejectedPhoto, in_words
from fsh.pipeline.inputs.video_stills import VideoStill, pick_stills
from fsh.pipeline.media.animated_pictures import is_moving
from fsh.pipeline.media.pictures import read_photo
from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Progress
from fsh.schemas.text import shown


def prepare_photos(
    paths: Sequence[Path],
    spec: FaceSpec,
    *,
    backend: LandmarkBackend,
    face: int | None = None,
    embed: bool = True,
    mixed_ok: bool = False,
    distinct: bool = False,
    at_most: int | None = None,
    large: int | None = None,
    progress: Progress,
) -> tuple[FaceClip, list[RejectedPhoto]]:
    """One person's photos as a clip with one frame per photo.

    Args:
        paths: the photos, in the order of the frames; short videos may be among them.
        spec: how to crop and landmark them; its backend must be the one handed in.
        face: which face where a photo has several, from the left, from 0; None: the recurring one.
            Of a video it is the one that is largest for longest; a photo's only face is taken.
        embed: whether to compute identities (0.2 s a face), which choosing the recurring face and
            noticing a stranger's photo need.
        mixed_ok: accept photos that seem to show different people, and only report it.
        distinct: leave out photos whose pixels are those of an earlier one.
        at_most: so many frames, spread evenly; None: all.
        large: side of the larger crops that the clip shall have too; None: none.

    Returns:
        The clip, and the photos left out: unreadable, without a face, repeated or too many. Videos
        come after the photos.

    Raises:
        FshError: no photo is left, or they show several people.
        ValueError: if the backend is not the spec's.
    """
    if backend.name != spec.backend:
        raise ValueError(f"spec wants {spec.backend} landmarks, the backend is {backend.name}")
    if not paths:
        raise FshError("no photos", remedy="give 1 to 32 photos of one person")
    photos, rejected = _find_candidates(paths, spec, backend, embed, distinct, large, progress)
    chosen, without = _chosen(photos, face)
    rejected += without
    if not chosen:
        raise _no_face(paths, photos, rejected, face)
    if len(paths) == 1 and face is None and (count := len(photos.get(paths[0], []))) > 1:
        name = shown(paths[0].name)
        progress.say(f"{name}: {count} faces, took the largest; --face 0 is the leftmost")
    known = [c.embedding for c in chosen.values() if c.embedding is not None]
    if embed:
        require_one_person(list(chosen), np.stack(known), mixed_ok, progress)
    first = next(iter(chosen))
    if at_most is not None and len(chosen) > at_most:
        chosen, too_many = _thinned(chosen, at_most)
        rejected += too_many
    meshes = [c.mesh for c in chosen.values() if c.mesh is not None]
    clip = FaceClip(
        name=paths[0].name if len(paths) == 1 else first.parent.name,
        frames=np.stack([c.frame for c in chosen.values()]),
        landmarks=np.stack([c.points for c in chosen.values()]),
        times=np.arange(len(chosen), dtype=np.float64),
        crops=np.array([c.window for c in chosen.values()], np.float32),
        spec=spec,
        embedding=np.mean(known, axis=0).astype(np.float32) if known else None,
        mesh=np.stack(meshes) if meshes else None,
        real=np.stack([c.real for c in chosen.values()]),
        large=None if large is None else np.stack([_large(c, large) for c in chosen.values()]),
    )
    return clip, rejected


def _chosen(
    photos: Mapping[Path, Sequence[FaceCandidate]], face: int | None
) -> tuple[dict[Path, FaceCandidate], list[RejectedPhoto]]:
    """The person's face in each photo, and the photos that have no face of that number."""
    choices = choose_faces(list(photos.values()), face) if photos else []
    chosen: dict[Path, FaceCandidate] = {}
    rejected = []
    for (path, faces), choice in zip(photos.items(), choices, strict=True):
        if faces[0].tracked:
            chosen[path] = faces[0]
        elif choice < 0:
            only = f"no face number {face}: it has {len(faces)}, 0 to {len(faces) - 1}"
            rejected.append(RejectedPhoto(path, only))
        else:
            chosen[path] = faces[choice]
    return chosen, rejected


def _no_face(
    paths: Sequence[Path],
    photos: Mapping[Path, Sequence[FaceCandidate]],
    rejected: Sequence[RejectedPhoto],
    face: int | None,
) -> FshError:
    """Why there is nothing to work with."""
    remedy = "use photos in which the face is upright, lit and at least 80 pixels wide"
    if photos and face is not None:
        most = max(map(len, photos.values())) - 1
        remedy = f"give --face 0 to {most}, from the left, or leave it out"
    return FshError(
        f"no face to work with: {in_words(rejected)}",
        where=paths[0] if len(paths) == 1 else paths[0].parent,
        remedy=remedy,
    )


def _thinned(
    chosen: Mapping[Path, FaceCandidate], most: int
) -> tuple[dict[Path, FaceCandidate], list[RejectedPhoto]]:
    """So many photos, spread evenly, and the others."""
    kept = set(np.linspace(0, len(chosen) - 1, most).round().astype(int).tolist())
    parts: tuple[dict[Path, FaceCandidate], list[RejectedPhoto]] = ({}, [])
    for i, (path, candidate) in enumerate(chosen.items()):
        if i in kept:
            parts[0][path] = candidate
        else:
            reason = f"{len(chosen)} photos, and {most} are used, spread evenly"
            parts[1].append(RejectedPhoto(path, reason))
    return parts


def _find_candidates(
    paths: Sequence[Path],
    spec: FaceSpec,
    backend: LandmarkBackend,
    embed: bool,
    distinct: bool,
    large: int | None,
    progress: Progress,
) -> tuple[dict[Path, list[FaceCandidate]], list[RejectedPhoto]]:
    """The faces of each photo that has any, and the photos left out."""
    detector, fallback = FaceDetector(), CnnDetector()
    photos: dict[Path, list[FaceCandidate]] = {}
    rejected = []
    progress.start("looking for the face", len(paths), "photos")
    videos = {path for path in paths if is_moving(path)}
    pictures: dict[bytes, Path] = {}
    for path in paths:
        if path in videos:
            continue
        try:
            image = read_photo(path, say=progress.say)
        except FshError as error:
            rejected.append(RejectedPhoto(path, _reason(error)))
        else:
            content = hashlib.sha256(image.tobytes()).digest()
            same = pictures.setdefault(content, path) if distinct else path
            found = find_faces(image, detector, fallback) if same is path else []
            if same is not path:
                rejected.append(RejectedPhoto(path, f"the same picture as {shown(same.name)}"))
            elif faces := crop_faces(image, found, spec, backend, embed=embed, large=large):
                photos[path] = faces
            else:
                rejected.append(RejectedPhoto(path, "no face found"))
        progress.advance(note=path.name)
    progress.stop()
    for path in filter(videos.__contains__, paths):
        try:
            stills = pick_stills(path, spec, backend, progress)
        except FshError as error:
            rejected.append(RejectedPhoto(path, _reason(error)))
            continue
        progress.say(f"{shown(path.name)}: took {len(stills)} frames as photos")
        for still in stills:
            # Each is named in messages as a photo of its own.
            name = path.with_name(f"{path.name} at {still.time:.2f} s")
            photos[name] = [_candidate_of_still(still, embed)]
    return photos, rejected


def _reason(error: FshError) -> str:
    return f"{error.what} ({error.remedy})" if error.remedy else error.what


def _candidate_of_still(still: VideoStill, embed: bool) -> FaceCandidate:
    """A video's frame as a photo's face."""
    embedding = embed_face(still.crop, still.points) if embed else None
    face = Face(face_box(still.points), 1.0)
    return FaceCandidate(
        face,
        still.window,
        still.crop,
        still.real,
        still.points,
        embedding,
        tracked=True,
        mesh=still.mesh,
    )


def _large(face: FaceCandidate, side: int) -> np.ndarray:
    """Its larger crop; a video's frames have none, so theirs are enlarged."""
    if face.large is not None:
        return face.large
    return cv2.resize(face.frame, (side, side), interpolation=cv2.INTER_CUBIC)
