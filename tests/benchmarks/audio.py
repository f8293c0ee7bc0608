"""Whether ``fsh shard --audio`` stores the sound that belongs to the frames.

    python tests/benchmarks/audio.py LIST [--count 20]

The sound of every sample is laid over the sound of its source, decoded as a whole by another
library and placed by its own time stamps; the best lag is where the two correlate most.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import av
import numpy as np
from scipy.signal import correlate

from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.media.probe import probe
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.shards.sample_info import SampleInfo

RATE = 16000
#: Lags up to this many seconds are tried.
REACH = 0.5


def whole(path: Path) -> np.ndarray:
    """The sound of a file as float32 mono on the container's clock, from 0."""
    track = np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        begin = (container.start_time or 0) / av.time_base
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            at = round((float(frame.pts * frame.time_base) - begin) * RATE)
            for part in resampler.resample(frame):
                values = part.to_ndarray()[0]
                end = max(0, at) + len(values)
                track = np.pad(track, (0, max(0, end - len(track))))
                track[max(0, at) : end] = values
                at += len(values)
    return track


def lag(sound: np.ndarray, source: np.ndarray, start: float) -> tuple[float, float]:
    """(milliseconds by which the sound is late, correlation there)."""
    reach = round(REACH * RATE)
    first = round(start * RATE)
    padded = np.pad(source, (reach, reach + len(sound)))
    near = padded[first : first + len(sound) + 2 * reach]
    scores = correlate(near, sound, mode="valid")
    best = int(scores.argmax())
    part = near[best : best + len(sound)]
    norm = float(np.linalg.norm(part) * np.linalg.norm(sound))
    return (reach - best) / RATE * 1000, float(scores[best]) / max(norm, 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    paths = [Path(request.url) for request in read_lists([arguments.list]).requests]
    sounding = [path for path in paths if probe(path).audio_codec]
    chosen = sounding[:: max(1, len(sounding) // arguments.count)][: arguments.count]
    lags, weak, silent, missing = [], [], 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        listing = Path(scratch) / "list.txt"
        listing.write_text("\n".join(map(str, chosen)))
        data = DataFolder(Path(scratch) / "data")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
        fsh = [sys.executable, "-m", "fsh.cli"]
        quiet = ["--data", str(data.root), "--quiet", "--json"]
        for command in (["ingest", str(listing)], ["shard", "--audio", "--landmarks", "dlib"]):
            subprocess.run(
                [*fsh, *command, *quiet], check=True, env=environment, stdout=subprocess.DEVNULL
            )
        sources = {
            path.stem: whole(path) for path in sorted(data.videos.iterdir()) if path.is_file()
        }
        for shard in sorted(data.shards.glob("*/*.tar")):
            with tarfile.open(shard) as archive:
                members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore
            for name in [name for name in members if name.endswith(".json")]:
                info = SampleInfo.from_json(members[name])
                flac = members.get(name[:-5] + ".flac", b"")
                missing += not flac
                if not flac:
                    continue
                stored = Path(scratch) / "sound.flac"
                stored.write_bytes(flac)
                sound = whole(stored)
                if sound.std() < 1e-3:
                    silent += 1
                    continue
                late, likeness = lag(sound, sources[info.video_id], info.times[0])
                (lags if likeness > 0.9 else weak).append(round(late, 2))
    result = {
        "videos": len(chosen),
        "samples_with_sound": len(lags) + len(weak) + silent,
        "silent": silent,
        "without_sound": missing,
        "unlike_their_source": weak,
        "median_lag_ms": round(float(np.median(lags)), 2),
        "largest_lag_ms": max(map(abs, lags)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
