"""People to evaluate on as folders of PNGs, in the layout of a published evaluation subset."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import file_sha256
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.text import shown
from fsh.trainer.evaluation.recognition import PersonTraits
from fsh.trainer.evaluation.subjects import Subject, SubjectFrames

#: A split whose name says that its frames are held out; any other's are inputs.
_HELD_OUT_NAME = re.compile(r"test|hold|val|query|target", re.IGNORECASE)
#: Frames from which a person is recognised among those trained on.
_EMBEDDED = 4
_SHAPE = "SPLIT/IDENTITY/VIDEO/combined/00000_rgb.png"


def from_frames(
    root: Path, spec: FaceSpec, inputs: int, held: int, progress: Progress
) -> list[Subject]:
    """The identities of ``<split>/<identity>/<video>/combined/00000_rgb.png``.

    Where a video stands under two splits, one of them named like a test set, that one's frames
    are held out and the other's are inputs; else the first half of its frames are inputs and the
    second half is held out. Faces are found, cropped and landmarked as photos are.

    Raises:
        FshError: if nothing here has that shape.
    """
    videos: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for folder in sorted(root.glob("*/*/*/combined")):
        split, identity, video = folder.relative_to(root).parts[:3]
        pictures = sorted(folder.glob("*_rgb.png"))
        if pictures:
            videos.setdefault((identity, video), {})[split] = pictures
    if not videos:
        raise FshError(f"no {_SHAPE} here", where=root, remedy="name the folder above the splits")
    found: dict[str, Subject] = {}
    for (identity, video), splits in videos.items():
        own, others = split_pictures(splits, inputs, held)
        if identity not in found and own and others:
            found[identity] = _subject(identity, video, own, others, spec, progress)
    if not found:
        raise FshError("no video has frames for both sides", where=root)
    return list(found.values())


def split_pictures(
    splits: dict[str, list[Path]], inputs: int, held: int
) -> tuple[list[Path], list[Path]]:
    """Input and hold-out pictures of a video, at most so many of each, evenly spread."""
    held_out = [p for split, own in splits.items() if _HELD_OUT_NAME.search(split) for p in own]
    shown = [p for split, own in splits.items() if not _HELD_OUT_NAME.search(split) for p in own]
    if not (shown and held_out):
        together = shown or held_out
        shown, held_out = together[: len(together) // 2], together[len(together) // 2 :]
    return _spread(shown, inputs), _spread(held_out, held)


def _spread(paths: list[Path], wanted: int) -> list[Path]:
    if len(paths) <= wanted:
        return paths
    return [paths[i] for i in np.linspace(0, len(paths) - 1, wanted).round().astype(int)]


def _subject(
    identity: str,
    video: str,
    inputs: list[Path],
    held: list[Path],
    spec: FaceSpec,
    progress: Progress,
) -> Subject:
    fingerprint = "-".join(file_sha256(side[0])[:8] for side in (inputs, held))
    fingerprint = f"{video} {fingerprint} {len(inputs)}+{len(held)} {spec.hash}"

    def load() -> SubjectFrames:
        backend = load_backend(spec.backend)
        parts = []
        for paths in (inputs, held):
            clip, rejected = prepare_photos(
                paths, spec, backend=backend, embed=False, progress=progress
            )
            for photo in rejected:
                progress.say(f"left out {shown(photo.path)}: {photo.reason}")
            parts.append(clip)
        first, second = parts
        return SubjectFrames(first, second, None)

    def embed() -> np.ndarray | None:
        try:
            some = _spread(inputs, _EMBEDDED)
            clip, _ = prepare_photos(
                some, spec, backend=load_backend(spec.backend), mixed_ok=True, progress=Silent()
            )
        except FshError:  # whoever loads the frames says what is wrong with them
            return None
        return clip.embedding

    # Published subsets name folders by the ids of YouTube's videos.
    videos = frozenset({video, f"yt-{video}"})
    traits = PersonTraits(videos=videos, label=identity, embed=embed)
    counts, meshes = (len(inputs), len(held)), spec.backend == "mediapipe"
    return Subject(identity, video, fingerprint, counts, load, traits, meshes)
