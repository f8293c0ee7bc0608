"""People for live sessions, who need no training: an untrained generator copies their photo.

And what drives them: the portrait with its mouth opening and closing, as a video.
"""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from faces_helpers import face_landmarker
from tiny_run import TINY
from untrained import untrained
from videos import portrait

from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.landmarks import EYE_CORNERS
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.mesh_transfer import meshes_of_landmarks
from fsh.trainer.person.person import Person, fixed_for_drawing
from fsh.trainer.person.photo_references import PhotoReferences

SPEC = FaceSpec(backend="mediapipe")
NETWORK = dataclasses.replace(TINY, references=1, picture=64)
FPS = 25


def photo_of(folder: Path, mirrored: bool = False) -> FaceClip:
    """The portrait as a photo, cropped and landmarked; mirrored it is bluish too."""
    face_landmarker()  # skips where it is not installed
    picture = portrait(mirrored).copy()
    if mirrored:
        picture[..., 0] //= 2
    path = folder / ("bea.jpg" if mirrored else "ada.jpg")
    path.write_bytes(simplejpeg.encode_jpeg(picture, quality=95))
    backend = load_backend(SPEC.backend)
    return prepare_photos([path], SPEC, backend=backend, progress=Silent())[0]


def copying_person(clip: FaceClip, consent: dict | None = None) -> Person:
    """A person whose pictures are copied from a photo."""
    person = untrained(NETWORK, SPEC)
    person.landmarks, person.mesh = clip.landmarks, clip.mesh
    person.references = PhotoReferences.of(clip)
    # Nothing was learned: what the generator answers is its first guess alone, the photo.
    generator = person.generator
    with torch.no_grad():
        generator.last.weight.zero_()
    person.generator = fixed_for_drawing(generator)
    if consent is not None:
        person.about["consent"] = consent
    return person


def consent(days: int = 30, scope: tuple[str, ...] = ("personalize", "animate")) -> dict:
    until = (date.today() + timedelta(days=days)).isoformat()
    return {"who": "Ada", "by": "Ada", "scope": list(scope), "until": until}


def save_people(folder: Path) -> list[Path]:
    """``ada`` and ``bea``, below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, mirrored in (("ada", False), ("bea", True)):
        copying_person(photo_of(folder, mirrored), consent()).save(folder / name)
        made.append(folder / name)
    return made


def talking(seconds: float, clip: FaceClip) -> list[np.ndarray]:
    """Frames uint8 (480, 640, 3): the portrait's mouth opens once a second, its head sways."""
    person = copying_person(clip)
    closed, opened = clip.landmarks[0], expressions(clip.landmarks[0])[0].landmarks
    assert np.linalg.norm(closed[EYE_CORNERS[0]] - closed[EYE_CORNERS[1]]) > 20
    shapes = np.stack([closed + share * (opened - closed) for share in np.linspace(0, 0.9, 9)])
    assert clip.mesh is not None
    drawn = person.draw(meshes_of_landmarks(shapes.astype(np.float32), clip.mesh))
    frames = []
    for number in range(round(seconds * FPS)):
        at = number / FPS
        step = round((1 - np.cos(2 * np.pi * at)) / 2 * (len(drawn) - 1))
        large = cv2.resize(drawn[step], (400, 400), interpolation=cv2.INTER_CUBIC)
        shift = np.float32([[1, 0, 120 + 10 * np.sin(np.pi * at)], [0, 1, 40]])
        frames.append(cv2.warpAffine(large, shift, (640, 480), borderMode=cv2.BORDER_REPLICATE))
    return frames


def write_mjpeg(path: Path, frames: list[np.ndarray]) -> Path:
    """What Chromium takes for a camera, and repeats: JPEGs one after the other."""
    path.write_bytes(b"".join(simplejpeg.encode_jpeg(frame, quality=92) for frame in frames))
    return path
