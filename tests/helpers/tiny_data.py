"""A tiny data set for the trainer's tests: warped portraits whose landmarks move along.

No detector: the portrait's 68 points were placed once, by hand, on scikit-image's public-domain
astronaut; every frame is an affine warp of the crop, and its landmarks the same warp of theirs.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.data import astronaut

from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.mesh import MEAN_RIGID, MESH_POINTS, PLACES, RIGID_MESH
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import clip_id, file_sha256, sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.parquet import write_clips
from fsh.schemas.tables.records import Clip

SPEC = FaceSpec(size=64)


def template() -> np.ndarray:
    """68 points (68, 2) of a plain frontal face in a 1×1 crop."""
    jaw = [(-np.cos(a) * 0.26 + 0.5, 0.45 + np.sin(a) * 0.33) for a in np.linspace(0, np.pi, 17)]
    brows = [(x, 0.38 - 0.02 * np.sin(t * np.pi)) for x, t in _spread(0.30, 0.45, 5)]
    brows += [(x, 0.38 - 0.02 * np.sin(t * np.pi)) for x, t in _spread(0.55, 0.70, 5)]
    nose = [(0.5, y) for y, _ in _spread(0.44, 0.55, 4)] + [
        (x, 0.58 + 0.01 * np.sin(t * np.pi)) for x, t in _spread(0.45, 0.55, 5)
    ]
    eyes = _ring(0.39, 0.44, 0.04, 0.018, 6) + _ring(0.61, 0.44, 0.04, 0.018, 6)
    mouth = _ring(0.5, 0.67, 0.09, 0.035, 12) + _ring(0.5, 0.67, 0.06, 0.012, 8)
    return np.array([*jaw, *brows, *nose, *eyes, *mouth], np.float32)


def template_mesh() -> np.ndarray:
    """478 points (478, 3) of that face; those that are none of the 68 lie anywhere on it."""
    x, y = np.random.default_rng(0).uniform(-0.2, 0.2, (2, MESH_POINTS))
    mesh = np.stack([x + 0.5, y + 0.5, np.zeros(MESH_POINTS)], axis=1)
    mesh[RIGID_MESH] = MEAN_RIGID * 0.3 + (0.5, 0.44, 0)
    mesh[PLACES, :2] = template()
    mesh[:, 2] += 0.3 * (mesh[:, 0] - 0.5) ** 2
    return mesh.astype(np.float32)


def _spread(start: float, stop: float, count: int):
    return list(zip(np.linspace(start, stop, count), np.linspace(0, 1, count), strict=True))


def _ring(x: float, y: float, width: float, height: float, count: int):
    angles = np.pi + np.arange(count) * 2 * np.pi / count
    return [(x + width * np.cos(a), y + height * np.sin(a)) for a in angles]


def clip_of(person: int, frames: int, seed: int = 0, spec: FaceSpec = SPEC) -> FaceClip:
    """A moving head: colour and shape depend on ``person``, motion on ``seed``.

    It has a mesh if the spec's backend is ``mediapipe``.
    """
    size = spec.size
    portrait = cv2.resize(astronaut()[20:220, 120:320], (size, size), interpolation=cv2.INTER_AREA)
    look, motion = np.random.default_rng(person), np.random.default_rng([person, seed])
    tint = look.uniform(0.5, 1.0, 3)
    face = np.clip(portrait * tint, 0, 255).astype(np.uint8)
    points, solid = template() * size, template_mesh() * size
    phase, images, landmarks, meshes = motion.uniform(0, 6, 3), [], [], []
    for i in range(frames):
        angle, scale = 0.15 * np.sin(i / 3 + phase[0]), 1 + 0.06 * np.sin(i / 4 + phase[1])
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[c, -s], [s, c]], np.float32)
        centre = np.full(2, size / 2, np.float32)
        shift = centre - turn @ centre + 0.04 * size * np.sin(i / 5 + phase[2])
        matrix = np.column_stack([turn, shift]).astype(np.float32)
        images.append(cv2.warpAffine(face, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE))
        landmarks.append(points @ turn.T + shift)
        flat, depth = solid[:, :2] @ turn.T + shift, solid[:, 2:] * scale
        meshes.append(np.concatenate([flat, depth], axis=1))
    return FaceClip(
        name=f"person{person}",
        frames=np.stack(images),
        landmarks=np.stack(landmarks).astype(np.float32),
        times=np.arange(frames) / 25,
        crops=np.tile(np.array([0, 0, size], np.float32), (frames, 1)),
        spec=spec,
        mesh=np.stack(meshes).astype(np.float32) if spec.backend == "mediapipe" else None,
    )


def jpeg(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=92)
    return buffer.getvalue()


def write_data(
    root: Path,
    *,
    people: int = 4,
    samples: int = 2,
    frames: int = 12,
    shards: int = 2,
    split: str = "train",
    spec: FaceSpec = SPEC,
    first: int = 0,
    real: list[float] | None = None,
    clips_each: int = 1,
) -> DataFolder:
    """A data set of one split, ``samples`` runs per person, spread over ``shards`` tars.

    Args:
        first: number of the first person; each has a face and a video of their own.
        real: the part of the crops that is said to be real.
        clips_each: of how many clips a person's samples are.
    """
    data = DataFolder(root)
    members: list[list] = [[] for _ in range(shards)]
    clips, count = [], 0
    for person in range(first, first + people):
        video = f"v-{person:016d}"
        for index in range(samples):
            name = clip_id(video, float(index % clips_each), 0)
            clip = clip_of(person, frames, seed=index, spec=spec)
            info = SampleInfo(
                clip_id=name,
                video_id=video,
                identity=f"id{person}",
                fps=25.0,
                times=clip.times.tolist(),
                boxes=[[16.0, 16.0, 48.0, 48.0]] * frames,
                crop=[0.0, 0.0, float(spec.size)],
                spec=spec,
                real=real,
            )
            key = sample_key(name, index // clips_each)
            jpegs = map(jpeg, clip.frames)
            members[count % shards] += sample_members(
                key, info, clip.landmarks, jpegs, mesh=clip.mesh
            )
            count += 1
            if index < clips_each:
                clips.append(Clip(clip_id=name, video_id=video, kept=True, split=split))
    infos = []
    for index, content in enumerate(members):
        path = data.shard(split, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_members(file, content, end=True)
        number = sum(name.endswith(".json") for name, _ in content)
        infos.append(
            ShardInfo(
                path=str(path.relative_to(root)),
                split=split,
                samples=number,
                frames=number * frames,
                bytes=path.stat().st_size,
                sha256=file_sha256(path),
            )
        )
    write_clips(clips, data.clips)
    DatasetCard(spec, tuple(infos), {"videos": people}, {"config_hash": "test"}).write(data.card)
    return data
