"""Fuzz the readers of what strangers send: any bytes give a value or an FshError, nothing else.

    python tests/torture/fuzz.py TARGET --seconds 600 [--runs N] [--out FOLDER]

With atheris (``pip install fsh[torture]``) the mutations are guided by what they reach in fsh;
without, or with ``--plain``, they are random, from a fixed seed. Prints one JSON object: runs and
findings. Each finding's input is kept in ``--out``, one per place that raised it.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
from fuzz_targets import TARGETS, Target

HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


class Fuzzing:
    """Runs a target on one input after another, and keeps what raised anything but FshError."""

    def __init__(self, target: Target, out: Path | None, notes: dict[str, str]) -> None:
        self._target, self._out, self._notes = target, out, notes
        self.runs, self.findings = 0, {}  # type: ignore[var-annotated]

    def one(self, data: bytes) -> None:
        from fsh.schemas.errors import FshError

        self.runs += 1
        try:
            self._target(data)
        except FshError:
            pass
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [f for f in frames if "/fsh/" in f.filename] or frames
            where = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
            if where not in self.findings:
                self.findings[where] = str(error)[:200]
                if self._out:
                    self._out.mkdir(parents=True, exist_ok=True)
                    name = hashlib.sha256(data).hexdigest()[:12]
                    (self._out / name).write_bytes(data)

    def report(self) -> str:
        return json.dumps({"runs": self.runs, "findings": self.findings, **self._notes})


def mutated(data: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    """A few random changes: bytes and numbers replaced, parts cut, doubled, moved, spliced."""
    body = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        if not body:
            body = bytearray(rng.randbytes(8))
        start = rng.randrange(len(body))
        stop = min(len(body), start + rng.choice([1, 1, 2, 4, 16, 64, 512]))
        part = bytes(body[start:stop])
        change = rng.randrange(8)
        if change == 0:
            body[start] = rng.randrange(256)
        elif change == 1:
            body[start] ^= 1 << rng.randrange(8)
        elif change == 2:
            del body[start:stop]
        elif change == 3:
            body[start:start] = part
        elif change == 4:
            body[start:stop] = rng.choice(_TOKENS)
        elif change == 5:
            del body[start:]
        elif change == 6:
            other = rng.choice(seeds)
            at = rng.randrange(len(other) + 1)
            body[start:stop] = other[at : at + rng.choice([4, 32, 256])]
        else:
            body[start:stop] = rng.randbytes(stop - start)
    return bytes(body)


_TOKENS = [
    *(b"-1", b"0", b"1e400", b"NaN", b"null", b"[]", b"{}", b'""', b"999999999999999999999"),
    *(b"\0", b"\n", b"\r\n", b"\xff", b"\xed\xa0\x80", b'"\\ud800"', b",", b"\t", b'"', b"#", b"-"),
    *(b"[" * 3000, b"inf", b"true", b"9" * 5000, b"..", b"/", b"https://", b"\xef\xbb\xbf", b"="),
]


def plain(fuzzing: Fuzzing, seeds: list[bytes], seconds: float, runs: int) -> None:
    rng = random.Random(0)
    until = time.monotonic() + seconds
    for seed in seeds:
        fuzzing.one(seed)
    while time.monotonic() < until and fuzzing.runs < runs:
        fuzzing.one(mutated(rng.choice(seeds), seeds, rng))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--runs", type=int, default=10**9)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plain", action="store_true")
    chosen = parser.parse_args()
    guidance = {}
    try:
        import atheris
    except ImportError:
        if not chosen.plain:
            guidance = {"left out": "guidance of the mutations: wants atheris"}
        atheris, chosen.plain = None, True
    with tempfile.TemporaryDirectory(prefix="fsh-fuzz-") as name:
        folder = Path(name, "work")
        folder.mkdir()
        instrumented = (
            contextlib.nullcontext() if chosen.plain else atheris.instrument_imports(["fsh"])
        )
        said = sys.stdout
        with instrumented, contextlib.redirect_stderr(io.StringIO()):
            target, seeds = TARGETS[chosen.target](folder)
        fuzzing = Fuzzing(target, chosen.out, guidance)
        if chosen.plain:
            plain(fuzzing, seeds, chosen.seconds, chosen.runs)
            print(fuzzing.report(), file=said)
            return
        corpus = Path(name, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        until = time.monotonic() + chosen.seconds

        def one(data: bytes) -> None:
            fuzzing.one(data)
            if time.monotonic() > until or fuzzing.runs >= chosen.runs:  # libFuzzer ends by _exit
                print(fuzzing.report(), file=said, flush=True)
                shutil.rmtree(name)
                os._exit(0)

        kept = Path(name, "kept") if chosen.out is None else chosen.out  # what hangs, or crashes
        kept.mkdir(parents=True, exist_ok=True)
        largest = max(65536, *map(len, seeds))
        options = [f"-max_len={largest}", "-rss_limit_mb=8192", "-timeout=60", "-verbosity=0"]
        options.append(f"-artifact_prefix={kept}/")
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
