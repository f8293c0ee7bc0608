"""A data set of many small clips, kept and rejected, to be browsed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tiny_data import clip_of, jpeg

from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import clip_id, file_sha256, sample_key
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard, ShardInfo
from fsh.schemas.shards.sample import sample_members
from fsh.schemas.shards.sample_info import SampleInfo
from fsh.schemas.shards.tar import write_members
from fsh.schemas.tables.parquet import write_clips
from fsh.schemas.tables.records import Clip, RejectReason

SPEC = FaceSpec(size=64)
FRAMES = 4


def write_clips_of(root: Path, count: int, *, sound: bytes = b"") -> DataFolder:
    """``count`` clips of ``count / 5`` people: every tenth is blurred, one is a span without face.

    ``sync_confidence`` goes from 0 to 10 over the clips, ``face_px`` from 64 to 300.
    """
    data, face = DataFolder(root), clip_of(0, FRAMES, spec=SPEC)
    shard = data.shard("train", 0)
    shard.parent.mkdir(parents=True)
    random, clips = np.random.default_rng(0), []
    with shard.open("wb") as file:
        for number in range(count):
            video = f"v-{number:016x}"
            name, shade = clip_id(video, 0.0, 0), 0.5 + 0.5 * (number % 7) / 7
            pictures = [cv2.convertScaleAbs(frame, alpha=shade) for frame in face.frames]
            info = SampleInfo(
                *(name, video, f"person {number // 5}", 25.0),
                times=face.times.tolist(),
                boxes=[[16.0, 16.0, 48.0, 48.0]] * FRAMES,
                crop=[0.0, 0.0, 64.0],
                spec=SPEC,
            )
            place = file.tell()
            members = sample_members(
                sample_key(name, 0), info, face.landmarks, map(jpeg, pictures), sound
            )
            blurred = number % 10 == 9
            if not blurred:
                write_members(file, members, end=False)
            clip = Clip(
                clip_id=name,
                video_id=video,
                identity=f"person {number // 5}",
                start=0.0,
                end=2.0,
                fps=25.0,
                frames=50,
                frames_failed=0,
                samples=1,
                width=2000,
                height=2000,
                crop_left=900.0,
                crop_top=900.0,
                crop_side=240.0,
                face_px=64 + 236 * number / count,
                detected=1.0,
                sharpness=2.0 if blurred else 600.0,
                brightness=0.5,
                contrast=0.2,
                yaw=float(random.uniform(-40, 40)),
                frame_difference=0.01,
                mouth_motion=0.1,
                identity_consistency=0.95,
                speech=0.8,
                sync_confidence=10 * number / count,
                sync_offset=0.02,
                embedding=np.random.default_rng(number // 5).normal(0, 0.08, 128),
                kept=True,
                split=("train", "val")[number // 5 % 2],
            )
            if blurred:
                clip = replace(clip, kept=False, reason=RejectReason.BLURRED, split=None)
            else:
                size = file.tell() - place
                path = str(shard.relative_to(root))
                clip = replace(clip, shard=path, offset=place, bytes=size)
            clips.append(clip)
        write_members(file, [], end=True)
    clips.append(Clip(video_id="v-f", start=0.0, end=5.0, reason=RejectReason.NO_FACE))
    write_clips(clips, data.clips)
    stored = count - count // 10
    size = shard.stat().st_size
    info = ShardInfo(
        str(shard.relative_to(root)), "train", stored, stored * FRAMES, size, file_sha256(shard)
    )
    DatasetCard(SPEC, (info,), {"clips": stored}, {"fsh": "test"}).write(data.card)
    return data
