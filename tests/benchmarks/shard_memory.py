"""Peak memory of ``fsh shard`` on an hour of 1080p and on 4K, made here of a public portrait.

    python tests/benchmarks/shard_memory.py [--hours 1 | 0] [--fps 5] [--workers 2]

The hour has few frames/s; of every minute, ten seconds show a swaying portrait and the rest a
drifting texture. The 4K video has 25 frames/s, two portraits at once and ten seconds. A minute is
encoded once and repeated without re-encoding. Peaks are the kernel's own (VmHWM); a worker's is
its process and the largest ffmpeg that it started, added up. Only Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.media.probe import probe


def portraits(width: int, height: int, across: int, count: int):
    """RGB frames of ``across`` swaying portraits side by side, as high as the frame."""
    side = min(height, width // across)
    face = cv2.resize(astronaut()[:320, 60:380], (side, side), interpolation=cv2.INTER_CUBIC)
    frame = np.full((height, width, 3), 60, np.uint8)
    for i in range(count):
        shift = np.float32([[1, 0, side / 40 * np.sin(i / 6)], [0, 1, side / 80 * np.cos(i / 6)]])
        moved = cv2.warpAffine(face, shift, (side, side), borderMode=cv2.BORDER_REPLICATE)
        for k in range(across):
            frame[:side, k * side : (k + 1) * side] = moved if k % 2 else moved[:, ::-1]
        yield frame


def texture(width: int, height: int, count: int):
    rough = np.random.default_rng(0).integers(0, 255, (height // 40, width // 30, 3), np.uint8)
    wide = cv2.resize(rough, (width + count, height), interpolation=cv2.INTER_CUBIC)
    for i in range(count):
        yield wide[:, i : i + width]


def encode(path: Path, frames, size: tuple[int, int], fps: int) -> None:
    command = [binary(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", str(fps), "-i", "-", "-c:v", "libx264"]
    command += ["-preset", "ultrafast", "-g", str(fps * 10), "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        for frame in frames:
            process.stdin.write(np.ascontiguousarray(frame).tobytes())
        process.stdin.close()


def hour(folder: Path, hours: float, fps: int) -> Path:
    size = (1920, 1080)
    minute = folder / "minute.mp4"
    frames = [*portraits(*size, 1, 10 * fps), *texture(*size, 50 * fps)]
    encode(minute, frames, size, fps)
    listing = folder / "concat.txt"
    listing.write_text(f"file '{minute}'\n" * round(60 * hours))
    target = folder / "hour.mp4"
    command = [binary(), "-v", "error", "-f", "concat", "-safe", "0", "-i", str(listing)]
    subprocess.run([*command, "-c", "copy", str(target)], check=True)
    return target


def four_k(folder: Path) -> Path:
    target = folder / "4k.mp4"
    encode(target, portraits(3840, 2160, 2, 250), (3840, 2160), 25)
    return target


def watch(process: subprocess.Popen) -> dict[int, tuple[int, str, int]]:
    """Process number to (parent, name, peak in kB) of a command and all that it starts."""
    seen: dict[int, tuple[int, str, int]] = {}
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                lines = (folder / "status").read_text().splitlines()
            except OSError:  # it has just ended
                continue
            facts = dict(line.split(":", 1) for line in lines)
            pid, parent = int(facts["Pid"]), int(facts["PPid"])
            if pid == process.pid or parent in seen:
                peak = int(facts.get("VmHWM", "0 kB").split()[0])
                seen[pid] = parent, facts["Name"].strip(), max(peak, seen.get(pid, (0, "", 0))[2])
        time.sleep(0.1)
    return seen


def measure(video: Path, folder: Path, workers: int) -> dict[str, object]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
    fsh = [sys.executable, "-m", "fsh.cli"]
    data = ["--data", str(folder / f"data-{video.stem}"), "--json", "--quiet"]
    quiet = {"env": environment, "stdout": subprocess.PIPE}
    subprocess.run([*fsh, "ingest", str(video), *data], check=True, **quiet)  # type: ignore
    command = [*fsh, "shard", *data, "--landmarks", "dlib", "--workers", str(workers)]
    process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
    seen = watch(process)
    result = json.loads(process.stdout.read())
    children = [(pid, peak) for pid, (parent, _, peak) in seen.items() if parent == process.pid]
    # A forked child that has not yet become ffmpeg has its parent's peak.
    ffmpegs = [(parent, peak) for parent, name, peak in seen.values() if name.startswith("ffmpeg")]
    facts = probe(video)
    return {
        "size": [facts.width, facts.height],
        "seconds_of_video": round(facts.duration, 1),
        "seconds": result["seconds"],
        "clips": result["clips_kept"],
        "rejected": result["clips_rejected"],
        "main_mb": round(seen[process.pid][2] / 1024),
        "worker_mb": [round(peak / 1024) for _, peak in children],
        "its_ffmpeg_mb": [
            round(max((peak for parent, peak in ffmpegs if parent == pid), default=0) / 1024)
            for pid, _ in children
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--fps", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        videos = [four_k(folder)]
        if arguments.hours:
            videos.append(hour(folder, arguments.hours, arguments.fps))
        for video in videos:
            print(json.dumps(measure(video, folder, arguments.workers)), flush=True)


if __name__ == "__main__":
    main()
