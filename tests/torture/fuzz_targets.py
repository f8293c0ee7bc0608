"""What is fuzzed: for each target a function that takes bytes, and whole files as seeds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE.parents[1] / ".typecheck", HERE.parent / "helpers"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

Target = Callable[[bytes], None]


def _lists(folder: Path) -> tuple[Target, list[bytes]]:
    from fsh.pipeline.ingest.journal import FetchOutcome
    from fsh.pipeline.ingest.ledger import source_of
    from fsh.pipeline.ingest.lists import reading
    from fsh.pipeline.ingest.lists.reading import read_list_file
    from fsh.pipeline.ingest.lists.requests import unique
    from fsh.schemas.tables.columns import SOURCES
    from fsh.schemas.tables.parquet import to_table
    from fsh.schemas.tables.records import ErrorClass, SourceState

    outcome = FetchOutcome(SourceState.FAILED, ErrorClass.TRANSIENT, last_tried="now")
    reading.media_files = lambda place: []  # a line may name the root of the file system
    names = ["list.txt", "WDA_video_url.txt", "list.json", "list", "WDA_annotion_time.txt"]

    def one(data: bytes) -> None:
        path = folder / names[data[0] % len(names) if data else 0]
        for other in folder.iterdir():
            other.unlink()
        path.write_bytes(data[1:])
        listing = read_list_file(path, str(path), folder)
        rows = [source_of(request, outcome).to_row() for request in unique(listing.requests)]
        to_table(rows, SOURCES)  # whatever a list says, the ledger can hold it
        assert all(str(bad) for bad in listing.bad_lines)

    seeds = [
        b"\0https://h.org/a.mp4 1:02 70.5\nclips/a b.mp4\n# c\nyoutu.be/dQw4w9WgXcQ\n",
        b"\0url,start,end,bbox,width,height,identity\nhttps://h/a,1,2,0 0 5 5,64,64,Ann\n",
        b"\0PmD-LzPS2rg,282.5,285.5,0.37,0.42\n",
        b"\1Ann0 https://www.youtube.com/watch?v=AAAAAAAAAAA\n",
        b"\4Ann0.mp4 00:05-01:35\n",
        b'\2[{"id": "x", "start-time": 0.1, "end-time": 5.1, "fps": 24, "info": {"Video Link": '
        b'"https://www.youtube.com/watch?v=Tr6MMsoWAog", "Language": "English"}}]',
        b'\2{"meta_info": {"appearance_mapping": ["a", "b"]}, "clips": {"M2Ohb0FAaJU_1": {"ytb_id":'
        b' "M2Ohb0FAaJU", "duration": {"start_sec": 1, "end_sec": 2}, "bbox": {"top": 0.0, '
        b'"bottom": 0.8, "left": 0.1, "right": 0.6}, "attributes": {"appearance": [0, 1]}}}}',
        b'\3{"url": "https://h.org/a.mp4"}\n"https://h.org/b.mp4"\n',
        b"\0Identity  : \tid1\nReference : \t1zcIwhmdeo4\n\nFRAME \tX \tY \tW \tH \n"
        b"000400 \t0.279 \t0.114 \t0.262 \t0.466 \n",
        b"\3\xff\xfeu\0r\0l\0\n\0",
        b"\0video_id,start,end,bbox,fps,width,height\nWMh3ye5tBsE,36,39,6-4-10-55,25,128,72\n",
    ]
    return one, seeds


def _samples(folder: Path) -> tuple[Target, list[bytes]]:
    from tiny_data import write_data

    from fsh.schemas.shards.sample import samples_in

    shards = write_data(folder / "data", people=1, samples=1, frames=2, shards=1).shards

    def one(data: bytes) -> None:
        for sample in samples_in(data, "shard.tar", closed=bool(len(data) % 2)):
            sample.check()
            assert sample.video_id == sample.info.video_id
            assert sample.landmarks.shape[1:] == (68, 2)
            assert sample.extent[1] - sample.extent[0] > 0
            _ = sample.mesh, sample.real

    return one, [path.read_bytes() for path in shards.rglob("*.tar")]


def _checkpoint(folder: Path) -> tuple[Target, list[bytes]]:
    import torch

    from fsh.schemas.places.run_layout import CHECKPOINT_STATE
    from fsh.trainer.checkpoint import FORMAT, Checkpoint, _digest, write_folder

    made = folder / "step-1"
    write_folder(made, {"step": 1, "config": {}}, {"g.safetensors": {"w": torch.ones(2)}}, FORMAT)
    state, tensors = (made / CHECKPOINT_STATE), (made / "g.safetensors")
    good = tensors.read_bytes()

    def one(data: bytes) -> None:
        first, _, second = data.partition(b"\n\xff\n")
        tensors.write_bytes(second or good)
        with contextlib.suppress(ValueError, RecursionError):  # one whose digest fits
            body = json.loads(first)
            if isinstance(body, dict):
                body["digest"] = _digest(body)
                first = json.dumps(body).encode()
        state.write_bytes(first)
        read = Checkpoint.read(made)
        for name in read.state["files"]:
            read.tensors(name)

    text = state.read_bytes()
    wanted = {"files": {"g.safetensors": hashlib.sha256(good[:-1]).hexdigest()}, "format": FORMAT}
    return one, [
        text,
        text + b"\n\xff\n" + good,
        json.dumps(wanted).encode() + b"\n\xff\n" + good[:-1],
        b'{"format": "x"}',
    ]


def _consent(folder: Path) -> tuple[Target, list[bytes]]:
    from datetime import date

    from fsh.schemas.consent import parse_consent, read_consent

    path = folder / "consent"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        statement = read_consent(path)
        assert parse_consent(json.loads(json.dumps(statement.to_json()))) == statement
        statement.require("animate", date(2027, 1, 1))

    return one, [
        b'who = "Ann"\nby = "Ann"\nscope = ["any"]\nuntil = 2027-12-31\ngiven = 2026-01-01\n',
        b'{"who": "Ann", "by": "Bob", "scope": "animate", "until": "revoked", "note": "x"}',
    ]


def _manifest(folder: Path) -> tuple[Target, list[bytes]]:
    import numpy as np
    from PIL import Image

    from fsh.pipeline.provenance.manifest import Claims, read_manifest, sign_file
    from fsh.pipeline.provenance.signing import installation_signer

    seeds = []
    for suffix in (".png", ".jpg"):
        path = folder / f"seed{suffix}"
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
        seeds.append(path.read_bytes())
        sign_file(path, Claims({"model": "0" * 64}, watermark=7), installation_signer())
        seeds.append(path.read_bytes())

    def one(data: bytes) -> None:
        path = folder / ("a.png" if data[:1] == b"\x89" else "a.jpg")
        path.write_bytes(data)
        read_manifest(path)

    return one, seeds


def _ledger(folder: Path) -> tuple[Target, list[bytes]]:
    from fsh.pipeline.ingest.journal import FetchOutcome, Job, Journal
    from fsh.pipeline.ingest.ledger import Ledger
    from fsh.pipeline.ingest.lists.requests import Request
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.tables.records import SourceState

    data_folder = DataFolder(folder / "data")
    request = Request("https://h.org/a", "l", 3, 1.0, 2.0, "Ann", (0.0, 0.0, 1.0, 1.0), 1, 1)
    journal = Journal(data_folder)
    outcome = FetchOutcome(SourceState.STORED, video_id="v-0", path="videos/a.mp4", bytes=3)
    journal.append(Job(request.key, (request,)), outcome)
    journal.close()
    line = journal.path.read_bytes()
    Ledger(data_folder).compact(drop_journals=False)
    table = data_folder.sources.read_bytes()

    def one(data: bytes) -> None:
        if data[:1] == b"P":
            data_folder.sources.write_bytes(data)
            journal.path.write_bytes(line)
            Ledger(data_folder)
            return
        data_folder.sources.unlink(missing_ok=True)
        journal.path.write_bytes(data + b"\n" + line)
        Ledger(data_folder).compact(drop_journals=False)
        assert request.request_id in Ledger(data_folder).sources  # no line costs another

    return one, [line, line + line, b'{"note": "x"}\n' + line, table]


def _tables(folder: Path) -> tuple[Target, list[bytes]]:
    from tiny_data import write_data

    from fsh.pipeline.tombstones import Tombstones
    from fsh.schemas.places.layout import DataFolder
    from fsh.schemas.shards.card import DatasetCard
    from fsh.schemas.tables.parquet import read_clips

    made = write_data(folder / "data", people=1, samples=1, frames=2, shards=1)
    place = DataFolder(folder / "odd")
    for path in (place.clips, place.card, place.tombstones):
        path.parent.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        kind, body = data[:1], data[1:]
        if kind == b"C":
            place.clips.write_bytes(body)
            read_clips(place.clips)
        elif kind == b"T":
            place.tombstones.write_bytes(body)
            Tombstones.read(place).covers(identity="Ann")
        else:
            place.card.write_bytes(body)
            DatasetCard.read(place.card)

    erased = Tombstones().adding(identity="Ann")
    erased.write(made)
    return one, [
        b"C" + made.clips.read_bytes(),
        b"D" + made.card.read_bytes(),
        b"T" + made.tombstones.read_bytes(),
    ]


TARGETS: dict[str, Callable[[Path], tuple[Target, list[bytes]]]] = {
    "lists": _lists,
    "samples": _samples,
    "checkpoint": _checkpoint,
    "consent": _consent,
    "manifest": _manifest,
    "ledger": _ledger,
    "tables": _tables,
}
