"""Who is drawn in an evaluation: unseen people, the frames to learn from and those held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fsh.schemas.card import DatasetCard
from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.layout import DataFolder
from fsh.schemas.sample import StoredSample, read_npy, read_samples
from fsh.schemas.spec import FaceSpec
from fsh.trainer.data.decode import decode_jpeg
from fsh.trainer.data.plan import plan_data

#: Input frames and hold-out frames of one identity, as in the paper.
FRAMES = 32


@dataclass(frozen=True)
class Frames:
    """A person's frames.

    Attributes:
        inputs: those to learn from. held: those to draw.
        run: consecutive frames, to drive somebody else with; None if there are none.
    """

    inputs: FaceClip
    held: FaceClip
    run: FaceClip | None


@dataclass(frozen=True)
class Subject:
    """One identity, its frames still on disk.

    Attributes:
        source: the clip the frames come from.
        made_of: changes when the choice of frames does.
        counts: input and hold-out frames.
    """

    identity: str
    source: str
    made_of: str
    counts: tuple[int, int]
    load: Callable[[], Frames]


def shots_of(identity: str, available: int, shots: int, seed: int) -> list[int]:
    """T of an identity's input frames, drawn uniformly; fewer if there are fewer.

    Fewer shots are always among more: what eight add to one is seven photos.
    """
    random = np.random.default_rng(stable_hash(identity, salt=f"shots-{seed}"))
    return sorted(random.permutation(available)[:shots].tolist())


def halves(count: int, inputs: int, held: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers of inputs and hold-outs: spread over a clip's first half and its second.

    Frames that lie between one another would be near copies; a cut in time keeps them apart.
    """
    middle = count // 2
    return (
        np.linspace(0, middle - 1, min(inputs, middle)).round().astype(int),
        np.linspace(middle, count - 1, min(held, count - middle)).round().astype(int),
    )


def run_of(times: np.ndarray, wanted: int) -> np.ndarray:
    """Numbers of the first ``wanted`` consecutive frames of a clip's second half, or fewer."""
    if len(times) < 2:
        return np.arange(len(times))
    step = float(np.median(np.diff(times)))
    later = np.arange(len(times) // 2, len(times))
    gaps = np.flatnonzero(np.diff(times[later]) > 1.5 * step)
    return later[: gaps[0] + 1 if len(gaps) else None][:wanted]


def from_data(
    data: DataFolder,
    spec: FaceSpec,
    *,
    split: str = "test",
    inputs: int = FRAMES,
    held: int = FRAMES,
) -> list[Subject]:
    """The identities of a split, each with its longest clip.

    Args:
        spec: how the networks' faces were cropped.
        inputs, held: frames of each person at most.

    Raises:
        FshError: if the split is empty, or no clip has frames for both sides.
        SpecMismatch: if the data set's faces were cropped another way.
    """
    spec.require(DatasetCard.read(data.card).spec, mine="the run", theirs=str(data.root))
    plan = plan_data(data, workers=0, split=split)
    clips: dict[str, dict[str, list[StoredSample]]] = {}
    for shard in plan.shards:
        for sample in read_samples(shard):
            info = json.loads(sample["json"])
            person = clips.setdefault(info["identity"], {})
            person.setdefault(info["clip_id"], []).append(sample)
    found = []
    for identity, own in sorted(clips.items()):
        lengths = {clip: len(_places(samples)) for clip, samples in own.items()}
        clip = min(lengths, key=lambda name: (-lengths[name], name))
        if lengths[clip] < 2:
            continue
        found.append(_subject(identity, clip, own[clip], spec, inputs, held))
    if not found:
        raise FshError(f"nobody to evaluate on in the {split} split", where=data.root)
    return found


def _places(samples: list[StoredSample]) -> list[tuple[int, int]]:
    """(sample, frame) of every frame with landmarks, in time order."""
    samples.sort(key=lambda sample: sample.key)
    return [
        (s, int(i))
        for s, sample in enumerate(samples)
        for i in np.flatnonzero(np.isfinite(read_npy(sample["landmarks.npy"])).all(axis=(1, 2)))
    ]


def _subject(
    identity: str, clip: str, samples: list[StoredSample], spec: FaceSpec, wanted: int, spared: int
) -> Subject:
    places = _places(samples)
    infos = [json.loads(sample["json"]) for sample in samples]
    times = np.array([infos[s]["times"][i] for s, i in places])
    inputs, held = halves(len(places), wanted, spared)
    run = run_of(times, spared)

    def part(numbers: np.ndarray, what: str) -> FaceClip:
        pictures = np.empty((len(numbers), spec.size, spec.size, 3), np.uint8)
        points = np.empty((len(numbers), 68, 2), np.float32)
        for row, number in enumerate(numbers):
            s, i = places[number]
            if not decode_jpeg(samples[s][f"{i:03d}.jpg"], spec.size, pictures[row]):
                raise FshError(
                    "this frame cannot be decoded", where=f"{samples[s].key}.{i:03d}.jpg"
                )
            points[row] = read_npy(samples[s]["landmarks.npy"])[i]
        crops = np.array([infos[places[n][0]]["crop"] for n in numbers], np.float32)
        return FaceClip(f"{identity} ({what})", pictures, points, times[numbers], crops, spec)

    def load() -> Frames:
        return Frames(
            part(inputs, "inputs"), part(held, "held out"), part(run, "run") if len(run) else None
        )

    chosen = json.dumps([inputs.tolist(), held.tolist(), run.tolist()])
    digest = hashlib.sha256(chosen.encode()).hexdigest()[:12]
    return Subject(identity, clip, f"{clip} {digest}", (len(inputs), len(held)), load)
