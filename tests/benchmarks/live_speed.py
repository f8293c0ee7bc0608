"""How fast `fsh live` is, how late, where the time goes, and whether memory stays flat.

    python tests/benchmarks/live_speed.py [--person people/me] [--driving talk.mp4] [--minutes 10]

A real headless Chromium takes a clip of 640×480 at 30 frames a second for its camera and shows what
comes back, as on a laptop: its decoding, encoding and showing share the machine with the drawing.
Latency is from a frame's time on the camera to its being shown, smoothing's lag included. Without
--person it is one of an untrained `nano`-sized generator, which takes as long to draw; without
--driving the clip is scikit-image's portrait, talking. The watermark's strength is that of 75
frames as the page shows them (8.9 is needed). Targets, two cores: 20 frames/s, p50 100 ms, p95
180 ms.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from browser import Page, browser
from live_people import copying_person, photo_of, talking, write_mjpeg
from live_server import LiveCommand

from fsh.pipeline.provenance.watermark_detection import detect_watermark
from fsh.trainer.presets import resolve

SIZE = (640, 480)
TARGETS = {"fps": (20, 1), "p50": (100, -1), "p95": (180, -1)}


def clip_frames(path: Path, most: int = 900) -> list[np.ndarray]:
    """A video's frames at 30 a second, covering 640×480 from the middle."""
    frames: list[np.ndarray] = []
    with av.open(str(path)) as video:
        for frame in video.decode(video=0):
            if frame.time is None or frame.time * 30 < len(frames):
                continue
            scale = max(SIZE[0] / frame.width, SIZE[1] / frame.height)
            large = cv2.resize(frame.to_ndarray(format="rgb24"), None, fx=scale, fy=scale)
            top, left = (large.shape[0] - SIZE[1]) // 2, (large.shape[1] - SIZE[0]) // 2
            frames.append(np.ascontiguousarray(large[top:, left:][: SIZE[1], : SIZE[0]]))
            if len(frames) == most:
                break
    return frames


def memory(pid: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def processor_time(pid: int) -> float:
    """Seconds that all cores have spent for a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shown_picture(page: Page) -> np.ndarray:
    url = page.run("document.getElementById('drawing').toDataURL('image/png')")
    content = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


def watermark_strength(page: Page, frames: int = 75) -> float:
    pictures = []
    while len(pictures) < frames:
        before = page.run("state.shown")
        page.wait(f"state.shown > {before}")
        pictures.append(shown_picture(page))
    return detect_watermark(pictures).score


def untrained_person(root: Path) -> Path:
    import live_people

    network = resolve("nano", "cpu").network
    live_people.NETWORK = network
    copying_person(photo_of(root)).save(root / "ada")
    return root / "ada"


def measure(page: Page, pid: int, seconds: float, every: float) -> list[dict]:
    rows: list[dict] = []
    begun, worked = time.monotonic(), processor_time(pid)
    drawn = page.run("state.speed.shown")
    while (at := time.monotonic() - begun) < seconds:
        time.sleep(every)
        row = page.run("state.speed") | {"at": at + every, "memory": memory(pid)}
        row["work"] = 1e3 * (processor_time(pid) - worked) / max(1, row["shown"] - drawn)
        rows.append(row)
        stages = " ".join(f"{k} {v:.1f}" for k, v in row["stages"].items() if v >= 0.05)
        print(
            f"{row['at']:6.0f} s  {row['fps']:4.1f} frames/s  p50 {row['p50']:4.0f}  "
            f"p95 {row['p95']:4.0f} ms  server {row['work']:3.0f} ms a frame  "
            f"{row['memory']:5.0f} MB  load {os.getloadavg()[0]:4.1f}  "
            f"| {stages} smoothing {row['smoothing']:.0f}",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--person", type=Path)
    parser.add_argument("--driving", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two lines")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        person = chosen.person or untrained_person(root)
        frames = clip_frames(chosen.driving) if chosen.driving else talking(4, photo_of(root))
        camera = write_mjpeg(root / "camera.mjpeg", frames)
        server = LiveCommand("--person", person.resolve(), cwd=root)
        (root / "profile").mkdir()
        try:
            with browser(root / "profile", camera) as chrome:
                page = chrome.tab(server.url)
                page.wait("state.shown > 30", 60)
                time.sleep(3)
                every = min(chosen.every, 60 * chosen.minutes)
                rows = measure(page, server.process.pid, 60 * chosen.minutes, every)
                strength = watermark_strength(page)
            server.stop()
        finally:
            server.process.kill()
    middle = {key: statistics.median(row[key] for row in rows) for key in TARGETS}
    for key, (target, sign) in TARGETS.items():
        met = "met" if sign * (middle[key] - target) >= 0 else "MISSED"
        print(f"{key}: median {middle[key]:.1f}, target {target}: {met}")
    print(f"the server's processor time: {rows[-1]['work']:.0f} ms a frame, all cores together")
    first = statistics.median(row["memory"] for row in rows[: max(1, len(rows) // 5)])
    last = statistics.median(row["memory"] for row in rows[-max(1, len(rows) // 5) :])
    print(f"memory: {first:.0f} MB in the first fifth, {last:.0f} MB in the last")
    print(f"watermark as shown, 75 frames: z {strength:.1f}")


if __name__ == "__main__":
    main()
