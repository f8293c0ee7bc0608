"""Throughput of ``fsh ingest`` on local files against ``sha256sum`` + ``ffprobe``, side by side.

    python tests/benchmarks/ingest_local.py LIST [--rounds 3] [--workers 0]

Both go over the same files in turn, so the page cache and the machine's other load are shared.
Where there is no ffprobe, ``ffmpeg -i`` does its work. Ingest is timed as a user meets it: the
whole command, with the imports, the runner's start, the children, the journal and the table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.media import ffmpeg


def by_hand(files: list[str]) -> float:
    """Seconds for one ``sha256sum`` over all files and one probe of each."""
    prober = shutil.which("ffprobe")
    show = ["-v", "error", "-show_format", "-show_streams", "-of", "json"]
    command = [prober, *show] if prober else [ffmpeg.binary(), "-hide_banner", "-i"]
    began = time.perf_counter()
    subprocess.run(["sha256sum", *files], stdout=subprocess.DEVNULL, check=True)
    for file in files:
        subprocess.run([*command, file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def by_fsh(listing: str, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fsh.cli", "ingest", listing, "--data", folder]
        command += ["--workers", str(workers), "--max-failures", "1", "--json"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    files = [request.url for request in read_lists([arguments.list]).requests]
    megabytes = sum(Path(file).stat().st_size for file in files) / 1e6
    by_hand(files[:3])
    hand, fsh = [], []
    for _ in range(arguments.rounds):
        hand.append(by_hand(files))
        fsh.append(by_fsh(arguments.list, arguments.workers))
    result = {
        "files": len(files),
        "megabytes": round(megabytes, 1),
        "by_hand_s": [round(seconds, 2) for seconds in hand],
        "fsh_s": [round(seconds, 2) for seconds in fsh],
        "throughput_ratio": round(statistics.median(hand) / statistics.median(fsh), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
