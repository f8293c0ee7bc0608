"""``fsh shard`` against the script one writes by hand, against two workers, and against the floor.

    python tests/benchmarks/shard_speed.py LIST [--count 12] [--seconds 8] [--rounds 2] [--small]

Both go over the same clips: ``count`` of the list, spread evenly over its sizes (``--small``: over
those no larger than 256 pixels on their shorter side), the first ``seconds`` of each. The script by
hand is one process that decodes every frame at full resolution with OpenCV, runs dlib's detector on
each, and landmarks, crops and JPEG-encodes the face of those that ``fsh`` would keep at its frame
rate. ``--gray`` lets it detect on luma, which is more than twice as fast as dlib's usual RGB.

The floor is the work that cannot be avoided, each part timed alone, in CPU seconds: one decode at
low resolution, one of the kept stretches at full resolution (``rgb``: with conversion), the
detector on whole low-resolution frames every 0.2 s, landmarks and JPEG of the kept frames.

One worker uses more than one core, since its ffmpeg decodes ahead; so two workers are compared
with one worker as it is, and with one worker and its ffmpeg on a single core.

Only Linux: orphaned workers are adopted so that their CPU time counts.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import dlib
import numpy as np

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.clip_storage import jpeg
from fsh.pipeline.dataset.spans.cropping import keep_evenly
from fsh.pipeline.faces.backends import load_backend
from fsh.pipeline.faces.crop import box_to_crop, crop_image, crop_window
from fsh.pipeline.faces.detection import FaceDetector
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.media.decode import proxy_size, read_proxy
from fsh.pipeline.media.ffmpeg import binary
from fsh.pipeline.media.probe import probe
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.recognizer import model_file
from fsh.schemas.shards.sample import read_samples
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_table

ANALYSIS = AnalysisConfig()


def choose(listing: str, count: int, *, small: bool) -> list[Path]:
    """``count`` files of the list, evenly over their numbers of pixels."""
    sizes = []
    for request in read_lists([listing]).requests:
        facts = probe(Path(request.url))
        if not small or min(facts.width, facts.height) <= 256:
            sizes.append((facts.width * facts.height, request.url))
    sizes.sort()
    places = [round((i + 0.5) * len(sizes) / count - 0.5) for i in range(count)]
    return [Path(sizes[place][1]) for place in places]


def shorten(path: Path, target: Path, seconds: float) -> Path:
    command = [binary(), "-v", "error", "-i", str(path), "-t", str(seconds), "-c", "copy"]
    subprocess.run([*command, "-map", "0:v:0", str(target)], check=True)
    return target


def by_hand(files: list[Path], *, gray: bool) -> int:
    """What one writes without fsh; returns the number of frames written."""
    cv2.setNumThreads(1)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(model_file("shape_predictor_68_face_landmarks.dat")))
    written = 0
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            video = cv2.VideoCapture(str(file))
            fps = video.get(cv2.CAP_PROP_FPS)
            kept = keep_evenly(np.arange(100_000) / fps, ANALYSIS.max_fps)
            number = -1
            while (read := video.read())[0]:
                number += 1
                frame = cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
                shown = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if gray else frame
                boxes = detector(shown, 0)
                if not boxes or not kept[number]:
                    continue
                box = max(boxes, key=lambda box: box.area())
                points = [(p.x, p.y) for p in predictor(frame, box).parts()]
                edges = np.array([box.left(), box.top(), box.right(), box.bottom()])
                crop = crop_image(frame, crop_window(edges, ANALYSIS.spec), ANALYSIS.spec.size)
                name = Path(folder) / f"{written:06d}"
                name.with_suffix(".jpg").write_bytes(jpeg(crop, ANALYSIS.jpeg_quality))
                np.save(name.with_suffix(".npy"), np.array(points, np.float32))
                written += 1
    return written


def run_fsh(
    command: str, *arguments: str, cores: set[int] | None = None
) -> tuple[dict, float, float]:
    """(result, seconds, CPU seconds) of a whole fsh command, kept to these cores."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
    others = child_pids()
    before, began = cpu_of_children(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "fsh.cli", command, *arguments, "--json", "--quiet"],
        check=True,
        stdout=subprocess.PIPE,
        env=environment,
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    seconds = time.perf_counter() - began
    while workers := child_pids() - others:  # they end when the command has
        os.waitpid(workers.pop(), 0)
    return json.loads(done.stdout), seconds, cpu_of_children() - before


def child_pids() -> set[int]:
    """This process's, the adopted too."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for one in lists for pid in one.read_text().split()}


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def decode(path: Path, *options: str) -> None:
    command = [binary(), "-v", "error", "-threads", "1", *options[:4], "-i", str(path)]
    command += ["-an", *options[4:], "-threads", "1", "-f", "rawvideo", "-y", os.devnull]
    subprocess.run(command, check=True)


def floor(files: list[Path], data: DataFolder) -> dict[str, float]:
    """CPU seconds of each part that cannot be avoided."""
    parts = dict.fromkeys(["low", "full", "full_rgb", "detector", "landmarks", "jpeg"], 0.0)
    detector, backend = FaceDetector(), load_backend("dlib")
    rows = read_table(data.clips, CLIPS).to_pylist()
    by_name = {path.resolve(): path for path in data.videos.iterdir()}
    for file in files:
        facts = probe(file)
        size = proxy_size(facts.width, facts.height, ANALYSIS.proxy)
        scale = f"scale={size[0]}:{size[1]}:flags=area,format=yuv420p"
        whole = ("-ss", "0", "-t", "1000000")
        parts["low"] += children(decode, file, *whole, "-filter_threads", "1", "-vf", scale)
        stored = by_name[file.resolve()]
        clips = [r for r in rows if r["video_id"] == stored.stem and r["samples"]]
        if clips:
            start, end = min(r["start"] for r in clips), max(r["end"] for r in clips)
            stretch = ("-ss", f"{start:.3f}", "-t", f"{end - start:.3f}")
            parts["full"] += children(decode, file, *stretch)
            parts["full_rgb"] += children(decode, file, *stretch, "-pix_fmt", "rgb24")
        following = 0.0
        for time_, pixels in read_proxy(file, size):
            if time_ >= following:
                following = time_ + ANALYSIS.look_every - 1e-3
                parts["detector"] += own(detector.detect, pixels[: size[1]])
    for sample in (one for shard in data.all_shards() for one in read_samples(shard)):
        pictures = [np.frombuffer(sample.frame(i), np.uint8) for i in range(sample.frames)]
        crops = np.array([cv2.imdecode(picture, 1)[:, :, ::-1] for picture in pictures])
        window = tuple(int(v) for v in sample.info.crop)
        boxes = box_to_crop(np.array(sample.info.boxes), window, len(crops[0]))  # type: ignore
        parts["landmarks"] += own(backend.landmarks, crops, boxes)
        parts["jpeg"] += own(lambda: [jpeg(c, ANALYSIS.jpeg_quality) for c in crops])  # noqa: B023
    return parts


def own(work, *arguments) -> float:
    began = time.process_time()
    work(*arguments)
    return time.process_time() - began


def children(work, *arguments) -> float:
    began = cpu_of_children()
    work(*arguments)
    return cpu_of_children() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--landmarks", default="dlib", help="fsh's; the script by hand keeps dlib")
    parser.add_argument("--without-script", action="store_true", help="not the script by hand")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        chosen = choose(arguments.list, arguments.count, small=arguments.small)
        files = [
            shorten(path, folder / f"{i:02d}{path.suffix}", arguments.seconds)
            for i, path in enumerate(chosen)
        ]
        listing = folder / "list.txt"
        listing.write_text("\n".join(map(str, files)))
        data = DataFolder(folder / "data")
        landmarks = ("--landmarks", arguments.landmarks)
        run_fsh("ingest", str(listing), "--data", str(data.root))
        began, cpu = time.perf_counter(), time.process_time()
        frames = 0 if arguments.without_script else by_hand(files, gray=arguments.gray)
        hand, hand_cpu = time.perf_counter() - began, time.process_time() - cpu
        inside: dict[int, list[float]] = {1: [], 2: []}
        outside: dict[int, list[float]] = {1: [], 2: []}
        used: list[float] = []
        on_one_core: list[float] = []
        core = min(os.sched_getaffinity(0))
        for _ in range(arguments.rounds):
            for workers, cores in ((1, None), (2, None), (1, {core})):
                shutil.rmtree(data.work, ignore_errors=True)
                at = ("--data", str(data.root), "--workers", str(workers))
                result, wall, spent = run_fsh("shard", *at, *landmarks, cores=cores)
                if cores:
                    on_one_core.append(result["seconds"])
                    continue
                inside[workers].append(result["seconds"])
                outside[workers].append(wall)
                if workers == 1:
                    used.append(spent)
        again = run_fsh("shard", "--data", str(data.root), *landmarks)[1:]
        parts = floor(files, data)
        one, two = (statistics.median(inside[w]) for w in (1, 2))
        least = sum(parts.values()) - parts["full_rgb"]
        with_rgb = sum(parts.values()) - parts["full"]
        spent = statistics.median(used)
        result = {
            "clips": len(files),
            "video_s": round(sum(probe(file).duration for file in files), 1),
            "frames_by_hand": frames,
            "frames_fsh": sum(
                row["frames"] or 0 for row in read_table(data.clips, CLIPS).to_pylist()
            ),
            "by_hand_s": round(hand, 2),
            "by_hand_cpu_s": round(hand_cpu, 2),
            "one_worker_s": inside[1],
            "two_workers_s": inside[2],
            "one_worker_command_s": [round(s, 2) for s in outside[1]],
            "two_workers_command_s": [round(s, 2) for s in outside[2]],
            "nothing_to_do_command_s": [round(s, 2) for s in again],
            "throughput_ratio": round(hand / one, 2),
            "throughput_ratio_command": round(hand / statistics.median(outside[1]), 2),
            "second_worker_ratio": round(one / two, 2),
            "one_worker_on_one_core_s": on_one_core,
            "second_worker_and_core_ratio": round(statistics.median(on_one_core) / two, 2),
            "cpu_s": [round(s, 2) for s in used],
            "floor_cpu_s": {name: round(s, 2) for name, s in parts.items()},
            "cpu_to_floor": round(spent / least, 2),
            "cpu_to_floor_rgb": round(spent / with_rgb, 2),
            "cpu_without_start_to_floor_rgb": round((spent - again[1]) / with_rgb, 2),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
