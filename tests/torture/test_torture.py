"""A short choice of the torture, and what it has found so far."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fsh.pipeline.ingest.journal import journal_files, read_journals
from fsh.pipeline.ingest.ledger import Ledger
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import CHECKPOINT_STATE
from fsh.schemas.shards.npy import read_npy
from fsh.trainer.checkpoint import FORMAT, Checkpoint, _digest

HERE = Path(__file__).parent
LONG = [f"--only={name}" for name in ("ingest", "shard", "train", "personalize", "forget")]


def part(name: str, *arguments: str) -> dict:
    """What one part of the torture reports."""
    command = [sys.executable, str(HERE / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["lists", "samples", "checkpoint", "consent", "manifest", "ledger", "tables"]
)
def test_random_bytes(target):
    found = part("fuzz.py", target, "--plain", "--runs", "1000")  # the same ones everywhere
    assert (found["findings"], found["runs"]) == ({}, 1000)


@pytest.mark.slow
def test_kills_at_random_moments():
    found = part("faults.py", "--tries", "1", *LONG)
    assert {name: one["faults"] for name, one in found.items()} == {name: [] for name in found}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["term", "interrupt"])
def test_being_asked_to_end_at_random_moments(how):
    found = part("faults.py", "--how", how, "--tries", "2", "--only", "inspect", "--only", "forget")
    assert {name: one["faults"] for name, one in found.items()} == {name: [] for name in found}


@pytest.mark.slow
def test_a_disk_that_runs_full():
    commands = ("--only", "ingest", "--only", "animate")
    found = part("full_disk.py", "--tries", "3", "--seconds", "1500", *commands)
    if "left out" in found:
        pytest.skip(found["left out"])
    assert {name: one["faults"] for name, one in found.items()} == {name: [] for name in found}
    assert all(one["full"] > 1 for one in found.values())


@pytest.mark.slow
def test_broken_media_beside_a_good_one():
    found = part("media.py", "--count", "60")
    assert found["faults"] == []
    assert found["inputs"] >= 50
    assert found["clips"]["kept"] > 1  # broken ones too


@pytest.mark.slow
def test_a_long_list_and_a_large_folder():
    found = part("load.py", "--lines", "200", "--files", "2000")
    assert found["faults"] == []
    assert (found["list"]["rows"], found["folder"]["files"]) == (200, 2000)


# What fuzzing has found, each with its input.


@pytest.mark.parametrize(
    "header", [b"{'descr': '<f4', (", b"{'''", b"\\\n", b"lambda: 0", b"[" * 99]
)
def test_array_headers_that_python_cannot_take_apart(header):
    data = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(118)
    with pytest.raises(ValueError):
        read_npy(data)


@pytest.mark.parametrize(
    "body",
    [
        {"format": FORMAT},
        {"format": FORMAT, "files": []},
        {"format": FORMAT, "files": {"g" * 300: "0"}},
        {"format": FORMAT, "files": {"../../g.safetensors": "0"}},
        {"format": FORMAT, "files": {"g.safetensors": 1}},
    ],
)
def test_checkpoints_whose_digest_fits_and_whose_files_do_not(tmp_path, body):
    (tmp_path / CHECKPOINT_STATE).write_text(json.dumps({**body, "digest": _digest(body)}))
    with pytest.raises(FshError, match="does not name its files"):
        Checkpoint.read(tmp_path)


def test_weights_that_are_none(tmp_path):
    (tmp_path / "g.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(FshError, match="cannot be read"):
        Checkpoint(tmp_path, {}).tensors("missing.safetensors")
    (tmp_path / "g.safetensors").write_bytes(b"no weights")
    with pytest.raises(FshError, match="cannot be read"):
        Checkpoint(tmp_path, {}).tensors("g.safetensors")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b'{"salt": "xx", "erased": [], "held": {}}', b'{"salt": "00"}'],
)
def test_a_damaged_record_of_erasures_is_an_error_and_never_forgotten(tmp_path, text):
    data = DataFolder(tmp_path)
    data.records.mkdir()
    data.tombstones.write_bytes(text)
    with pytest.raises(FshError, match="what was erased is damaged"):
        Tombstones.read(data)
    assert data.tombstones.read_bytes() == text


def test_a_url_of_hdtf_s_that_cannot_be_one_is_a_malformed_line(tmp_path):
    (tmp_path / "X_video_url.txt").write_bytes(
        b"Ann0 https://www.youtube.com/\x8cwatch?v=AAAAAAAAAAA\nBob https://h.org/b\n"
    )
    listing = read_lists([str(tmp_path / "X_video_url.txt")])
    assert (len(listing.requests), [bad.line for bad in listing.bad_lines]) == (1, [1])


@pytest.mark.parametrize(
    "line",
    [
        b"5",
        b"[]",
        b'{"outcome": 3}',
        b'{"requests": [], "outcome": {}}',
        b'{"requests": [{"url": 1}], "outcome": {"state": "stored"}}',
        b'{"requests": [{"url": "u", "line": 99999999999}], "outcome": {"state": "failed"}}',
        b'{"requests": [{"url": "u"}], "outcome": {"state": "lost"}}',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode(),
)
def test_a_line_of_a_journal_that_is_none_costs_no_other(tmp_path, line):
    data = DataFolder(tmp_path)
    data.journals.mkdir(parents=True)
    good = b'{"requests": [{"url": "https://h.org/a"}], "outcome": {"state": "failed"}}'
    (data.journals / "a.jsonl").write_bytes(line + b"\n" + good + b"\n")
    ledger = Ledger(data)
    ledger.compact(drop_journals=False)
    assert [source.url for source in ledger.sources.values()] == ["https://h.org/a"]
    assert len(list(read_journals(data))) == len(journal_files(data)) == 1
