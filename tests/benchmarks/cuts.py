"""How well cuts, cross-fades and flashes are told apart: real clips joined at known places.

    python tests/benchmarks/cuts.py LIST [--seed 0] [--sheet FOLDER]

From the first seconds of every clip of the list, brought to 25 frames/s and one size:

- hard: all of them in a random order, each 24 to 60 frames long, joined by hard cuts;
- fades: all of them, joined by linear cross-fades of 6 to 50 frames;
- flashes: each alone, with a flash of 1 to 4 frames that dies away; any transition is wrong;
- plain: each alone; any transition is a jump in the clip itself, or wrong.

A transition found within one frame of a true one is right. Transitions found in a clip alone are
listed with their place and told apart from the errors of the reel that they turn up in: look at
them (``--sheet`` writes the frames around each as PNG) before you call them jumps.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.media.decode import read_proxy
from fsh.pipeline.media.shots import Shot, ShotDetector

SIZE = (320, 240)
FPS = 25.0
LENGTHS = (6, 9, 12, 18, 25, 37, 50)

Range = tuple[int, int]


def load(path: Path, seconds: float) -> np.ndarray:
    """uint8 (n, H · 3 / 2, W): the first seconds at 25 frames/s, the nearest frame each time."""
    frames = list(read_proxy(path, SIZE, 0.0, seconds))
    times = np.array([frame.time for frame in frames])
    clock = np.arange(times[0], times[-1] + 1e-6, 1 / FPS)
    nearest = np.abs(times[None] - clock[:, None]).argmin(axis=1)
    return np.stack([frames[i].pixels for i in nearest])


def transitions(shots: list[Shot], count: int) -> list[Range]:
    """Half-open ranges between the shots; (c, c) is a hard cut."""
    edges = [Shot(0, 0), *shots, Shot(count, count)]
    ranges = [(a.last, b.first) for a, b in pairwise(edges)]
    return [r for r in ranges if 0 < r[0] < count or r[1] > r[0]]


def found_in(frames) -> list[Range]:
    analysis = AnalysisConfig()
    finder = ShotDetector(analysis.cut_ratio, analysis.cut_change)
    count = 0
    for frame in frames:
        finder.add_frame(count / FPS, frame)
        count += 1
    return transitions(finder.shots(), count)


def touches(a: Range, b: Range) -> bool:
    """Whether two transitions are the same, within one frame."""
    return a[0] <= b[1] + 1 and b[0] <= a[1] + 1


def score(true: list[Range], found: list[Range], excused: list[Range]) -> dict[str, object]:
    """Precision, recall and F1; found transitions on an excused place count neither way."""
    right = [t for t in true if any(touches(t, f) for f in found)]
    wrong = [f for f in found if not any(touches(f, t) for t in true)]
    excuses = [f for f in wrong if any(touches(f, e) for e in excused)]

    def f1(false: int) -> float:
        return round(2 * len(right) / (len(true) + len(right) + false), 4)

    return {
        "true": len(true),
        "found": len(right),
        "false": len(wrong),
        "false_that_the_clip_has_alone": len(excuses),
        "recall": round(len(right) / len(true), 4),
        "precision": round(len(right) / (len(right) + len(wrong)), 4),
        "f1": f1(len(wrong)),
        "f1_without_those": f1(len(wrong) - len(excuses)),
        "missed_at": [t for t in true if t not in right],
        "false_at": wrong,
    }


def hard_reel(clips: list[np.ndarray], alone: list[list[Range]], rng: np.random.Generator):
    """(frames, true cuts, places of what the clips have alone, number of each piece's clip)."""
    frames: list[np.ndarray] = []
    true: list[Range] = []
    excused: list[Range] = []
    for number in rng.permutation(len(clips)):
        if frames:
            true.append((len(frames), len(frames)))
        excused += [(a + len(frames), b + len(frames)) for a, b in alone[number]]
        frames += list(clips[number][: rng.integers(24, 61)])
    return frames, true, excused


def fade_reel(clips: list[np.ndarray], alone: list[list[Range]], rng: np.random.Generator):
    frames: list[np.ndarray] = []
    true: list[Range] = []
    excused: list[Range] = []
    for number in rng.permutation(len(clips)):
        clip, length = clips[number], int(rng.choice(LENGTHS))
        if not frames or len(clip) < length + 15 or len(frames) - _end(true) < length + 15:
            length = 0
        start = len(frames) - length
        excused += [(a + start, b + start) for a, b in alone[number]]
        for k in range(length):
            share = (k + 1) / (length + 1)
            frames[start + k] = cv2.addWeighted(frames[start + k], 1 - share, clip[k], share, 0)
        if frames:
            true.append((start, start + length))
        frames += list(clip[length:])
    return frames, true, excused


def _end(true: list[Range]) -> int:
    return true[-1][1] if true else 0


def flash(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The clip with a flash in its middle that dies away within 1 to 4 frames."""
    lit = clip.copy()
    height = clip.shape[1] * 2 // 3
    strength = float(rng.uniform(70, 180))
    for k in range(int(rng.integers(1, 5))):
        frame = lit[len(clip) // 2 + k, :height]
        frame[:] = np.clip(frame + strength * 0.55**k, 0, 255).astype(np.uint8)
    return lit


def sheet(path: Path, clip: np.ndarray, place: Range) -> None:
    """The frames around a transition, side by side."""
    chosen = range(max(0, place[0] - 3), min(len(clip), place[1] + 3))
    rows = [cv2.cvtColor(clip[i], cv2.COLOR_YUV2BGR_I420) for i in chosen]
    cv2.imwrite(str(path), np.hstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    paths = [Path(request.url) for request in read_lists([arguments.list]).requests]
    clips = [load(path, 2.9) for path in paths]
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    rng = np.random.default_rng(arguments.seed)
    alone = [found_in(clip) for clip in clips]
    jumps = [(name, place) for name, places in zip(names, alone, strict=True) for place in places]
    for number, (place, i) in enumerate((p, i) for i, ps in enumerate(alone) for p in ps):
        if arguments.sheet:
            arguments.sheet.mkdir(parents=True, exist_ok=True)
            sheet(arguments.sheet / f"alone-{number}.png", clips[i], place)
    result: dict[str, object] = {"clips": len(clips), "transitions_in_clips_alone": jumps}
    for name, reel in (("hard", hard_reel), ("fades", fade_reel)):
        frames, true, excused = reel(clips, alone, rng)
        result[name] = score(true, found_in(frames), excused)
        if arguments.sheet:
            wrong = result[name]["missed_at"] + result[name]["false_at"]  # type: ignore[index]
            for place in wrong:
                sheet(arguments.sheet / f"{name}-{place[0]}.png", np.stack(frames), place)
    long = [i for i, clip in enumerate(clips) if len(clip) >= 20]
    split = [names[i] for i in long if len(found_in(flash(clips[i], rng))) > len(alone[i])]
    result["flashes"] = {"clips": len(long), "split": split}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
