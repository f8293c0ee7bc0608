"""Whom an evaluation draws: people never trained on, the frames to learn from and those to draw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fsh.schemas.errors import FshError
from fsh.schemas.faces.clip import FaceClip
from fsh.schemas.faces.landmarks import POINTS, found
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import stable_hash, video_of
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.shards.sample import StoredSample
from fsh.trainer.data.decode import decode_jpeg
from fsh.trainer.data.plan import plan_data
from fsh.trainer.evaluation.recognition import PersonTraits, traits_of

#: Input frames and held-out frames of one identity, as in the paper.
FRAMES = 32


@dataclass(frozen=True)
class SubjectFrames:
    """A person's frames.

    Attributes:
        inputs: those to learn from.
        held_out: those to draw.
        consecutive: frames without gaps, to drive somebody else with; None if there are none.
    """

    inputs: FaceClip
    held_out: FaceClip
    consecutive: FaceClip | None


@dataclass(frozen=True)
class Subject:
    """One person, whose frames are still on disk.

    Attributes:
        source: the clip (or video) that the frames come from.
        fingerprint: changes when the choice of frames does.
        counts: input and held-out frames.
        load: reads the frames.
        traits: by what this person is recognised among those that a run was trained on.
        meshes: whether all frames have meshes.
        damaged: what of the person's frames could not be read, in one line; the others are used.
    """

    identity: str
    source: str
    fingerprint: str
    counts: tuple[int, int]
    load: Callable[[], SubjectFrames]
    traits: PersonTraits = field(default_factory=PersonTraits)
    meshes: bool = False
    damaged: str = ""


def choose_shots(identity: str, available: int, shots: int, seed: int) -> list[int]:
    """T of an identity's input frames, drawn uniformly; fewer if there are fewer.

    Fewer shots are always among more: what eight add to one is seven photos.
    """
    random = np.random.default_rng(stable_hash(identity, salt=f"shots-{seed}"))
    return sorted(random.permutation(available)[:shots].tolist())


def split_in_time(count: int, inputs: int, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers of inputs and of held-out frames: from a clip's first half and its second.

    Frames that lie between one another would be near copies; a cut in time keeps them apart.

    Args:
        count: frames of the clip.
        inputs, held_out: frames of each at most, spread evenly.
    """
    middle = count // 2
    return (
        np.linspace(0, middle - 1, min(inputs, middle)).round().astype(int),
        np.linspace(middle, count - 1, min(held_out, count - middle)).round().astype(int),
    )


def consecutive_frames(times: np.ndarray, wanted: int) -> np.ndarray:
    """Numbers of the first ``wanted`` consecutive frames of a clip's second half, or fewer.

    Args:
        times: (N,) seconds; a step above one and a half of the median is a gap.
    """
    if len(times) < 2:
        return np.arange(len(times))
    step = float(np.median(np.diff(times)))
    later = np.arange(len(times) // 2, len(times))
    gaps = np.flatnonzero(np.diff(times[later]) > 1.5 * step)
    return later[: gaps[0] + 1 if len(gaps) else None][:wanted]


def subjects_of_split(
    data: DataFolder,
    spec: FaceSpec,
    split: str = "test",
    *,
    inputs: int = FRAMES,
    held_out: int = FRAMES,
) -> list[Subject]:
    """The identities of a split, each with its longest clip.

    Args:
        spec: how the networks' faces were cropped.
        inputs, held_out: frames of each person at most.

    Raises:
        FshError: if the split is empty, or no clip has frames for both sides.
        SpecMismatch: if the data set's faces were cropped another way.
    """
    found = DatasetCard.read(data.card).spec
    spec.of_crops.require(found.of_crops, mine="the run", theirs=str(data.root))
    plan = plan_data(data, workers=0, split=split)
    traits = traits_of(plan.faces)
    clips: dict[str, dict[str, list[StoredSample]]] = {}
    for shard in plan.shards:
        for sample in plan.samples_of(shard):
            info = sample.info
            clips.setdefault(info.identity, {}).setdefault(info.clip_id, []).append(sample)
    subjects = []
    for identity, own in sorted(clips.items()):
        lengths = {clip: len(_frames_with_landmarks(samples)) for clip, samples in own.items()}
        clip = min(lengths, key=lambda name: (-lengths[name], name))
        if lengths[clip] < 2:
            continue
        known = traits.get(identity) or PersonTraits(videos=frozenset(map(video_of, own)))
        subjects.append(_subject(identity, clip, own[clip], spec, inputs, held_out, known))
    if not subjects:
        raise FshError(f"nobody to evaluate on in the {split} split", where=data.root)
    return subjects


def _frames_with_landmarks(samples: list[StoredSample]) -> list[tuple[int, int]]:
    """(sample, frame) of every frame with landmarks, in time order; sorts the samples."""
    samples.sort(key=lambda sample: sample.key)
    return [
        (s, int(i))
        for s, sample in enumerate(samples)
        for i in np.flatnonzero(found(sample.landmarks))
    ]


def _subject(
    identity: str,
    clip: str,
    samples: list[StoredSample],
    spec: FaceSpec,
    most_inputs: int,
    most_held_out: int,
    traits: PersonTraits,
) -> Subject:
    """The subject of a clip. Frames that cannot be decoded are left out, and said."""
    places = _frames_with_landmarks(samples)
    infos = [sample.info for sample in samples]

    def chosen_of(places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        times = np.array([infos[s].times[i] for s, i in places])
        inputs, held_out = split_in_time(len(places), most_inputs, most_held_out)
        return inputs, held_out, consecutive_frames(times, most_held_out)

    damaged = ""
    parts = chosen_of(places)
    if any(not _decodes(samples, places[n], spec.size) for n in np.concatenate(parts)):
        sound = [place for place in places if _decodes(samples, place, spec.size)]
        damaged = (
            f"{len(places) - len(sound)} of {len(places)} frames of clip {clip} cannot be decoded"
        )
        if len(sound) < 2:
            raise FshError(damaged, where=samples[0].path, remedy="run `fsh shard` again")
        places, parts = sound, chosen_of(sound)
    inputs, held_out, consecutive = parts
    times = np.array([infos[s].times[i] for s, i in places])

    def part(numbers: np.ndarray, what: str) -> FaceClip:
        pictures = np.empty((len(numbers), spec.size, spec.size, 3), np.uint8)
        points = np.empty((len(numbers), POINTS, 2), np.float32)
        meshes: list[np.ndarray] = []
        for row, number in enumerate(numbers):
            s, i = places[number]
            if not decode_jpeg(samples[s].frame(i), spec.size, pictures[row]):
                raise samples[s].damaged(f"frame {i}", "cannot be decoded")
            points[row] = samples[s].landmarks[i]
            if (mesh := samples[s].mesh) is not None:
                meshes.append(mesh[i].astype(np.float32))
        crops = np.array([infos[places[n][0]].crop for n in numbers], np.float32)
        known = [real for n in numbers if (real := infos[places[n][0]].real) is not None]
        return FaceClip(
            f"{identity} ({what})",
            pictures,
            points,
            times[numbers],
            crops,
            spec,
            mesh=np.stack(meshes) if meshes else None,
            real=np.array(known, np.float32) if len(known) == len(numbers) else None,
        )

    def load() -> SubjectFrames:
        return SubjectFrames(
            part(inputs, "inputs"),
            part(held_out, "held out"),
            part(consecutive, "consecutive") if len(consecutive) else None,
        )

    meshes = [samples[s].mesh is not None for s in sorted({s for s, _ in places})]
    chosen = json.dumps(
        [inputs.tolist(), held_out.tolist(), consecutive.tolist(), spec.hash, meshes]
    )
    digest = hashlib.sha256(chosen.encode()).hexdigest()[:12]
    counts = (len(inputs), len(held_out))
    return Subject(identity, clip, f"{clip} {digest}", counts, load, traits, all(meshes), damaged)


def _decodes(samples: list[StoredSample], place: tuple[int, int], size: int) -> bool:
    """Whether a frame decodes, at its whole size."""
    s, i = place
    return decode_jpeg(samples[s].frame(i), size, np.empty((size, size, 3), np.uint8))
