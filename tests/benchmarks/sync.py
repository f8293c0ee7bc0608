"""Speech and synchrony scores against planted faults: silence, noise, shifted sound, dubbing.

    python tests/benchmarks/sync.py DATA

DATA was sharded by this version. Of every kept clip with a voice in 40 % of it or more:

- as it is;
- dubbed: with the sound of another video's clip, three times;
- shifted: with its own sound 0.2 s later, and 0.2 s earlier.

``speech`` is also measured with its sound replaced by noise, a hum, and nothing. Prints precision
and recall at several thresholds, errors of the offset, and the cost per clip.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from fsh.pipeline.dataset.settling.filters import SURE
from fsh.pipeline.faces.sync import FAR, Synchrony, synchrony
from fsh.pipeline.media.voice import RATE, read_samples, speech_probabilities, voice_loudness
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample import samples_in
from fsh.schemas.tables.parquet import read_clips

SHIFT = 0.2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    data = DataFolder(parser.parse_args().data)
    clips = [clip for clip in read_clips(data.clips) if clip.kept and (clip.speech or 0) >= 0.4]
    faces, sounds, costs = [], [], []
    for clip in clips:
        (tar, *_) = data.clip_tars(clip.clip_id or "")
        samples = list(samples_in(tar.read_bytes(), tar, closed=False))
        points = np.concatenate([sample.landmarks for sample in samples])
        times = np.concatenate([np.array(sample.info.times) for sample in samples])
        (video,) = data.videos.glob(f"{clip.video_id}.*")
        began = time.process_time()
        margin = FAR + SHIFT
        sound = read_samples(video, times[0] - margin, times[-1] + margin)
        if sound is None:
            continue
        speech_probabilities(sound)
        synchrony(points, times, loudness(sound, 0.0))
        costs.append(time.process_time() - began)
        faces.append((points, times, clip.video_id))
        sounds.append(sound)
    random = np.random.default_rng(0)
    right, dubbed, shifted = [], [], []
    for number, (points, times, video) in enumerate(faces):
        own = synchrony(points, times, loudness(sounds[number], 0.0))
        if own is None:
            continue
        right.append(own)
        for shift in (-SHIFT, SHIFT):
            moved = synchrony(points, times, loudness(sounds[number], shift))
            shifted.append((own, moved, shift))
        others = [n for n, face in enumerate(faces) if face[2] != video]
        longer = [n for n in others if len(sounds[n]) >= 0.9 * len(sounds[number])] or others
        for other in random.choice(longer, 3):
            found = synchrony(points, times, loudness(sounds[other], 0.0))
            dubbed.append(found or Synchrony(0.0, 0.0))
    print(f"{len(right)} clips with a voice, {len(dubbed)} dubbings")
    print(f"cost: {1e3 * np.mean(costs):.0f} ms of CPU time per clip, the decoder's not counted")
    told("dubbed", [-r.confidence for r in right], [-d.confidence for d in dubbed], (2, 2.5, 3))
    # A shift moves the offset by itself: what the clip has of its own is taken off.
    sure = [(a, b, shift) for a, b, shift in shifted if min(a.confidence, b.confidence) >= SURE]
    errors = np.array([abs(b.offset - a.offset - shift) for a, b, shift in sure])
    print(f"shifted by {SHIFT} s, both sure: {len(sure)} of {len(shifted)}; ", end="")
    print(f"error {np.median(errors):.3f} s median, {(errors < 0.05).mean():.0%} below 0.05 s")
    known = [own for own in right if own.confidence >= SURE]
    moved = [abs(b.offset) for a, b, _ in sure if abs(a.offset) <= 0.1]
    told("shifted", [abs(k.offset) for k in known], moved, (-0.1, -0.15))
    noises = {
        "silence": lambda n: np.zeros(n),
        "noise": lambda n: random.normal(0, 2000, n),
        "a hum": lambda n: 6000 * np.sin(np.arange(n) * 2 * np.pi * 110 / RATE),
        "clicks": lambda n: 2e4 * (random.random(n) < 2e-4),
    }
    voiced = [float((speech_probabilities(sound) >= 0.5).mean()) for sound in sounds]
    for name, make in noises.items():
        heard = []
        for sound in sounds:
            made = np.asarray(make(len(sound))).clip(-32000, 32000).astype(np.int16)
            heard.append(float((speech_probabilities(made) >= 0.5).mean()))
        told(f"speech, {name}", [-v for v in voiced], [-h for h in heard], (0.1, 0.2))


def loudness(sound: np.ndarray, shift: float) -> np.ndarray:
    """Of the sound around a clip, which comes ``shift`` seconds later than it did."""
    spare = round(SHIFT * RATE)
    first = spare - round(shift * RATE)
    return voice_loudness(sound[first : len(sound) - 2 * spare + first])


def told(name: str, good: list[float], bad: list[float], thresholds: tuple[float, ...]) -> None:
    """Precision and recall of "the value is above minus the threshold" as a finder of the bad.

    Both kinds count as if there were equally many of each.
    """
    for threshold in thresholds:
        wrong = np.mean(np.array(good) > -threshold)
        recall = np.mean(np.array(bad) > -threshold)
        precision = recall / max(recall + wrong, 1e-9)
        print(
            f"{name}, threshold {abs(threshold)}: precision {precision:.2f}, recall {recall:.2f}, "
            f"takes {wrong:.0%} of the good"
        )


if __name__ == "__main__":
    main()
