"""How well the watermark holds: what it survives, what it costs, when it cries wolf.

    python tests/benchmarks/watermark.py [LIST] [--clips N] [--alarms N] [--side 256] [--only CRF]

LIST has one video per line, relative to its own folder; without it fsh's demo people are used.
Each clip's middle square is scaled to ``--side``, cut to 3 s (a shorter one runs to and fro until
then), marked, written as `fsh animate` writes it, and then treated as the table says. The table so
far is printed every 20 clips. No frame leaves the temporary folder.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from fsh.pipeline.media.encode import write_video
from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.provenance.watermark import Watermark
from fsh.pipeline.provenance.watermark_detection import WatermarkDetection, detect_watermark

RATE, SECONDS = 25, 3.0
X264 = "-c:v libx264 -preset medium"
BEYOND = ("H.264 CRF 33", "scaled to 50 %, CRF 23")  # more than the mark is made for
# name: video filter, encoder, container; or the ending of another format that fsh writes
TREATMENTS: dict[str, tuple[str, str, str] | str] = {
    "as written (H.264 CRF 16)": ".mp4",
    "as written, WebM (VP9 CRF 16)": ".webm",
    "as written, GIF": ".gif",
    "H.264 CRF 28": ("null", f"{X264} -crf 28", "mp4"),
    "H.264 CRF 33": ("null", f"{X264} -crf 33", "mp4"),
    "H.264 CRF 28, veryfast": ("null", "-c:v libx264 -preset veryfast -crf 28", "mp4"),
    "H.265 CRF 28": ("null", "-c:v libx265 -x265-params log-level=error -crf 28", "mp4"),
    "VP9 CRF 33": ("null", "-c:v libvpx-vp9 -crf 33 -b:v 0 -cpu-used 4", "webm"),
    "scaled to 50 % and back, CRF 23": (
        "scale=iw/2:ih/2:flags=bicubic,scale=iw*2:ih*2:flags=bicubic",
        f"{X264} -crf 23",
        "mp4",
    ),
    "scaled to 50 %, CRF 23": ("scale=iw/2:ih/2", f"{X264} -crf 23", "mp4"),
    "cropped by 10 %, CRF 23": ("crop=iw*0.9:ih*0.9:7:19", f"{X264} -crf 23", "mp4"),
    "cropped by 10 %, enlarged, CRF 28": (
        "crop=iw*0.9:ih*0.9:7:19,scale=trunc(iw/0.9/2)*2:-2",
        f"{X264} -crf 28",
        "mp4",
    ),
    "25 to 15 frames/s, CRF 23": ("fps=15", f"{X264} -crf 23", "mp4"),
    "25 to 60 frames/s, CRF 23": ("fps=60", f"{X264} -crf 23", "mp4"),
}


def decoded(path: Path, chain: str = "null") -> np.ndarray:
    """A video's frames; uint8 (N, H, W, 3) RGB."""
    words = [binary(), "-v", "error", "-i", str(path), "-t", str(SECONDS), "-vf", chain]
    words += ["-f", "nut", "-c:v", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(words, capture_output=True, check=True).stdout
    with av.open(io.BytesIO(done)) as file:
        return np.stack([f.to_ndarray(format="rgb24") for f in file.decode(video=0)])


def treated(source: Path, folder: Path, how: tuple[str, str, str]) -> np.ndarray:
    chain, encoder, container = how
    target = folder / f"treated.{container}"
    words = [binary(), "-v", "error", "-y", "-i", str(source), "-vf", chain]
    words += [*encoder.split(), "-threads", "1", "-pix_fmt", "yuv420p", str(target)]
    subprocess.run(words, check=True)
    return decoded(target)


def clips(source: Path | None, count: int, side: int) -> Iterator[np.ndarray]:
    """Up to ``count`` clips, spread over the list."""
    if source is None:
        from fsh.sample_clips import IDENTITIES, talking_frames

        for seed, look in enumerate(IDENTITIES[:count]):
            opening = np.abs(np.sin(np.arange(int(RATE * SECONDS)) / 2))
            yield np.stack(list(talking_frames(look, opening, seed=seed)))
        return
    lines = [line.strip() for line in source.read_text().splitlines() if line.strip()]
    square = f"fps={RATE},crop='min(iw,ih)':'min(iw,ih)',scale={side}:{side}:flags=area"
    chosen = np.unique(np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int))
    for at in np.random.default_rng(0).permutation(chosen):
        frames = decoded(source.parent / lines[at], square)
        count, turn = int(RATE * SECONDS), max(1, 2 * len(frames) - 2)
        to_and_fro = [min(i % turn, -i % turn) for i in range(count)]
        yield frames[to_and_fro]


def row(name: str, found: list[tuple[int, WatermarkDetection]]) -> str:
    right = sum(d.present and d.payload == payload for payload, d in found)
    scores = [d.score for _, d in found]
    return (
        f"| {name} | {right}/{len(found)} | {100 * right / len(found):.1f} % "
        f"| {min(scores):.1f} | {np.median(scores):.1f} |"
    )


def show(
    found: dict[str, list[tuple[int, WatermarkDetection]]], ratios: list[float], cost: float
) -> None:
    print("\n| treatment | payload right | share | lowest z | median z |\n|---|---|---|---|---|")
    print("\n".join(row(name, f) for name, f in found.items()))
    print(f"\nPSNR marked to unmarked: lowest {min(ratios):.2f} dB, mean {np.mean(ratios):.2f}")
    print(f"marking: {cost:.2f} ms per frame", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--alarms", type=int, default=180)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--only", default="", help="treatments whose name has this in it")
    parser.add_argument("--beyond", action="store_true", help="also what it is not made for")
    options = parser.parse_args()
    chosen = {
        name: how
        for name, how in TREATMENTS.items()
        if options.only in name and (options.beyond or name not in BEYOND)
    }
    found: dict[str, list[tuple[int, WatermarkDetection]]] = {name: [] for name in chosen}
    ratios, spent, frames = [], 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder, film = Path(name), Path(name) / "film.mp4"
        for number, clip in enumerate(clips(options.list, options.clips, options.side)):
            payload = (number * 0x9E3779B1 + 0x1234567) % 2**32
            watermark = Watermark(payload)
            watermark.mark(clip[0])
            begun = time.process_time()
            marked = np.stack([watermark.mark(frame) for frame in clip])
            spent += time.process_time() - begun
            frames += len(clip)
            ratios.append(-10 * np.log10(np.mean((marked / 255.0 - clip / 255.0) ** 2)))
            write_video(film, marked, np.arange(len(marked)) / RATE)
            for name, how in chosen.items():
                if isinstance(how, str):
                    written = folder / f"written{how}"
                    write_video(written, marked, np.arange(len(marked)) / RATE)
                    pictures = decoded(written)
                else:
                    pictures = treated(film, folder, how)
                found[name].append((payload, detect_watermark(pictures)))
                if not found[name][-1][1].present:
                    print(f"clip {number}: not found after {name}", flush=True)
            if number % 20 == 19:
                show(found, ratios, 1000 * spent / frames)
        if frames:
            show(found, ratios, 1000 * spent / frames)
    alarms = [detect_watermark(clip) for clip in clips(options.list, options.alarms, options.side)]
    if alarms:
        print(
            f"unmarked clips: {sum(a.present for a in alarms)} alarms of {len(alarms)}, "
            f"highest z {max(a.score for a in alarms):.2f}, "
            f"lowest p-value {min(a.p_value for a in alarms):.2g}"
        )


if __name__ == "__main__":
    main()
