"""`fsh train` in several processes, through the real command: gradients over gloo on a CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from clusters import free_port
from command import fsh
from tiny_run import tiny_folder

from fsh.schemas.errors import FshError
from fsh.training.processes import cause_of
from fsh.training.run import plan_training

#: Seconds that anything may take before a test gives up on it; gloo's own patience is 30 minutes.
PATIENCE = 300
TRAIN = ("train", "--preset", "nano", "--batch", 1, "--perceptual", "off", "--device", "cpu")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a data set, whose shards are of unequal length."""
    tiny_folder(tmp_path / "data", people=4, samples=3, shards=3)
    return tmp_path


def started(place: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fsh.cli", *map(str, (*TRAIN, *arguments))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=place, start_new_session=True, **pipes)


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until it is so, while the process is alive."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)


def steps(place: Path) -> int:
    log = place / "run" / "metrics.jsonl"
    return len(log.read_text().splitlines()) if log.exists() else 0


def children(launcher: int) -> list[int]:
    """The training processes, by their rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == launcher:
                lines = (folder / "environ").read_bytes().split(b"\0")
                ranks = [int(line[5:]) for line in lines if line.startswith(b"RANK=")]
                found |= {rank: int(folder.name) for rank in ranks}
        except (OSError, ValueError):
            continue
    return [found[rank] for rank in sorted(found)]


def test_two_processes_make_one_run(place):
    done = fsh(*TRAIN, "--run", "run", "--steps", 3, "--devices", 2, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["steps"] == 3 and report["finished"] and steps(place) == 3
    state = json.loads((place / "run/checkpoints/step-00000003/state.json").read_text())
    assert state["world"] == 2 and state["position"] == 3
    assert done.stderr.startswith("train  data=data  run=run  preset=nano")


def test_what_cannot_be_is_one_line_before_any_process_starts(place):
    for options, words in {
        ("--devices", 4): "3 train shards for 4 processes",
        ("--nodes", 2): "several machines need --nodes and --rendezvous",
        ("--rendezvous", "here:1"): "several machines need --nodes and --rendezvous",
    }.items():
        done = fsh(*TRAIN, "--run", "run", "--steps", 3, *options, cwd=place)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (place / "run").exists()
    with pytest.raises(FshError, match="3 train shards for 4 processes"):
        plan_training(place / "data", place / "run", preset="nano", devices=4)
    plan = plan_training(place / "data", place / "run", preset="nano", devices=2)
    assert plan.data["processes"] == 2


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_stops_the_others_with_one_line(place, rank):
    process = started(place, "--run", "run", "--steps", 100_000, "--devices", 2, "--quiet")
    try:
        wait_for(lambda: steps(place), process)
        processes = children(process.pid)
        os.kill(processes[rank], signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1 and not out
    (line,) = err.splitlines()
    assert f"process {rank + 1} of 2 was killed (SIGKILL), the others were stopped →" in line
    assert not any(Path(f"/proc/{one}/exe").exists() for one in processes)


@pytest.mark.slow
def test_a_stopped_run_saves_and_goes_on_with_the_same_losses(place):
    whole = fsh(*TRAIN, "--run", "whole", "--steps", 12, "--devices", 2, cwd=place)
    assert whole.returncode == 0, whole.stderr
    process = started(place, "--run", "run", "--steps", 100_000, "--devices", 2)
    try:
        wait_for(lambda: steps(place) >= 2, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0 and "stopping: finishing this step and saving" in err
    made = steps(place)
    assert f"stopped at step {made} and saved" in err
    if made < 12:
        again = fsh(*TRAIN, "--run", "run", "--steps", 12, "--devices", 2, cwd=place)
        assert again.returncode == 0 and f"going on from step {made}" in again.stderr
    logs = [(place / run / "metrics.jsonl").read_text().splitlines() for run in ("whole", "run")]
    assert logs[0][:12] == logs[1][:12]


@pytest.mark.slow
def test_a_process_outlives_no_launcher(place):
    process = started(place, "--run", "run", "--steps", 100_000, "--devices", 2, "--quiet")
    try:
        wait_for(lambda: steps(place), process)
        processes = children(process.pid)
    finally:
        process.kill()
    process.communicate()
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{one}/exe").exists() for one in processes):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert steps(place) == int(next((place / "run/checkpoints").glob("step-*")).name[5:])


@pytest.mark.slow
def test_data_that_gives_out_is_told_once(place):
    """One process has nothing but a damaged shard; the other is stopped."""
    for shard in sorted((place / "data/shards/train").glob("*.tar"))[:1]:
        content = bytearray(shard.read_bytes())
        content[600:] = bytes(len(content) - 600)
        shard.write_bytes(content)
    done = fsh(*TRAIN, "--run", "run", "--steps", 50, "--devices", 2, "--quiet", cwd=place)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "run `fsh shard` again" in line and "gone" not in line


@pytest.mark.slow
def test_two_launchers_meet_and_one_killed_process_stops_both(place):
    address = f"localhost:{free_port()}"
    options = ("--run", "run", "--nodes", 2, "--rendezvous", address, "--quiet")
    launchers = [started(place, *options, "--steps", 100_000) for _ in range(2)]
    try:
        wait_for(lambda: steps(place), launchers[0])
        os.kill(children(launchers[1].pid)[0], signal.SIGKILL)
        told = [process.communicate(timeout=PATIENCE)[1] for process in launchers]
    finally:
        for process in launchers:
            process.kill()
    assert [process.returncode for process in launchers] == [1, 1]
    assert [len(err.splitlines()) for err in told] == [1, 1], told
    assert "is gone" in told[0] and "was killed (SIGKILL)" in told[1]


def failure(exitcode: int, timestamp: int, **told: object) -> SimpleNamespace:
    data = {"failure": {"at": float(timestamp), **told}} if told else {}
    return SimpleNamespace(exitcode=exitcode, timestamp=timestamp, error_file_data=data)


def test_the_first_failure_is_told_and_not_what_followed():
    lost = {"expected": True, "what": "it is gone", "where": "", "remedy": ""}
    full = {"expected": True, "what": "disk full", "where": "run", "remedy": "make room"}
    wrong = {"expected": False, "what": "no key", "where": "KeyError", "remedy": ""}
    for failures, words in (
        ({0: failure(1, 10, **lost), 1: failure(-9, 10)}, "process 2 of 2 was killed (SIGKILL)"),
        ({0: failure(1, 10, **full), 1: failure(-15, 11)}, "run: disk full → make room"),
        ({0: failure(1, 10, **full), 1: failure(-9, 41)}, "run: disk full → make room"),
        ({0: failure(1, 11, **lost), 1: failure(1, 10, **wrong)}, "process 2 of 2: KeyError: no"),
        ({0: failure(-11, 10), 1: failure(-15, 10)}, "process 1 of 2 was killed (SIGSEGV)"),
        ({1: failure(3, 10)}, "process 2 of 2 ended with exit status 3"),
    ):
        assert words in str(cause_of(failures, 2))
    out = {"expected": False, "what": "", "where": "MemoryError", "remedy": ""}
    assert isinstance(cause_of({0: failure(1, 1, **out)}, 2), MemoryError)
