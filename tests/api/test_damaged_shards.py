"""Damaged shards, tables and cards: every reader names them in one line, none dies of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from command import fsh
from damage import DAMAGES, without_mesh, zero_frames
from erasable import contents, make
from tiny_data import SPEC, write_data
from tiny_run import Told, tiny_config

import fsh as api
from fsh.dataset_making import check_shards, plan_ingest
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.shards.sample import read_samples
from fsh.trainer.checkpoint import list_checkpoints
from fsh.trainer.evaluation.subjects import subjects_of_split
from fsh.trainer.training.loop import train


@pytest.fixture
def data(tmp_path) -> DataFolder:
    return write_data(tmp_path / "data", people=2, samples=2, frames=4, shards=1)


def damaged(data: DataFolder, kind: str) -> None:
    """Damage the only shard, and let the card agree with its size: what is in it shall be read."""
    shard = data.shard("train", 0)
    shard.write_bytes(DAMAGES[kind](shard.read_bytes()))
    text = data.card.read_text()
    known = DatasetCard.read(data.card).shards[0].bytes
    data.card.write_text(text.replace(f"{known} B", f"{shard.stat().st_size} B"))


def readers(data: DataFolder, tmp_path) -> dict:
    spec = DatasetCard.read(data.card).spec
    return {
        "train": lambda: train(data, tmp_path / "run", tiny_config(steps=2), Told()),
        "evaluate": lambda: subjects_of_split(data, spec, "train"),
        "open": lambda: [
            (s.info, s.landmarks, s.frames()) for s in api.open_dataset(data.root).samples()
        ],
    }


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_reader_names_the_shard(data, tmp_path, kind):
    damaged(data, kind)
    for name, read in readers(data, tmp_path).items():
        with pytest.raises(FshError) as caught:
            read()
        line = str(caught.value)
        assert "fsh-train-000000.tar" in line and "fsh shard" in line, (name, line)
        assert "\n" not in line
    report = check_shards(data.root)
    assert not report.sound and "fsh-train-000000.tar" in {
        fault.where.rpartition("/")[2] for fault in report.faults
    }


@pytest.mark.parametrize("kind", ["cut in half", "empty", "missing", "longer"])
def test_size_is_compared_before_any_work(data, tmp_path, kind):
    shard = data.shard("train", 0)
    if kind == "missing":
        shard.unlink()
    elif kind == "longer":
        shard.write_bytes(shard.read_bytes() + bytes(512))
    else:
        shard.write_bytes(DAMAGES[kind](shard.read_bytes()))
    for read in readers(data, tmp_path).values():
        with pytest.raises(FshError, match=r"fsh-train-000000\.tar: this shard (is missing|has)"):
            read()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"distribution": [{}]}', b"[" * 100_000]
)
def test_a_damaged_card_is_one_line(data, content):
    data.card.write_bytes(content)
    with pytest.raises(FshError, match=r"dataset\.json: not a data set card") as caught:
        api.open_dataset(data.root)
    assert "run `fsh shard` again" in str(caught.value)


def test_paths_of_a_card_stay_in_the_folder(data):
    text = data.card.read_text()
    data.card.write_text(text.replace("shards/train/fsh-train-000000.tar", "/etc/passwd"))
    with pytest.raises(FshError, match="not a shard"):
        DatasetCard.read(data.card)


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[:-100], lambda c: bytes(len(c))])
def test_a_damaged_table_is_one_line(data, tmp_path, damage):
    data.clips.write_bytes(damage(data.clips.read_bytes()))
    for read in (readers(data, tmp_path)["train"], api.open_dataset(data.root).clips):
        with pytest.raises(FshError, match=r"clips\.parquet: not a readable Parquet.*fsh shard"):
            read()
    data.clips.unlink()
    with pytest.raises(FshError, match=r"clips\.parquet: no clips here"):
        readers(data, tmp_path)["train"]()


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[:300], lambda c: bytes(len(c))])
def test_a_damaged_table_of_sources_is_one_line_in_every_command_that_reads_it(tmp_path, damage):
    data = make(tmp_path / "data", ["ann", "bob"])
    data.sources.write_bytes(damage(data.sources.read_bytes()))
    listing = tmp_path / "list.txt"
    listing.write_text("https://host.example/a.mp4")
    for read in (
        lambda: api.open_dataset(data.root).sources(),
        lambda: api.shard(data.root, landmarks="dlib"),
        lambda: api.forget("ann", data.root),
        lambda: plan_ingest(listing, data.root),
        lambda: api.ingest(listing, data.root),
    ):
        with pytest.raises(
            FshError, match=r"sources\.parquet: not a readable .*fsh ingest"
        ) as told:
            read()
        assert "\n" not in str(told.value)


def test_frames_that_cannot_be_decoded_are_named(data):
    key = next(read_samples(data.shard("train", 0))).key
    zero_frames(data.shard("train", 0), only=key)
    sample = next(api.open_dataset(data.root).samples())
    with pytest.raises(FshError, match=rf"000000\.tar: sample {key}: frame 0 cannot be decoded"):
        sample.frames()


def test_a_person_with_damaged_frames_is_drawn_from_the_others(data):
    spec = DatasetCard.read(data.card).spec
    before = subjects_of_split(data, spec, "train")
    key = next(read_samples(data.shard("train", 0))).key
    zero_frames(data.shard("train", 0), only=key, frame=0)
    after = subjects_of_split(data, spec, "train")
    assert [s.damaged for s in before] == ["", ""]
    assert after[0].damaged.startswith("1 of 8 frames of clip") and after[1].damaged == ""
    assert after[1].fingerprint == before[1].fingerprint
    after[0].load()
    zero_frames(data.shard("train", 0))
    with pytest.raises(FshError, match=r"000000\.tar: 8 of 8 frames"):
        subjects_of_split(data, spec, "train")


def test_training_counts_damage_once_and_aloud(tmp_path):
    data = write_data(tmp_path / "data", people=6, samples=2, frames=4, shards=2)
    key = next(read_samples(data.shard("train", 1))).key
    zero_frames(data.shard("train", 1), only=key)
    told = Told()
    report = train(data, tmp_path / "run", tiny_config(steps=12), told)
    lines = [line for line in told.lines if "decoded" in line]
    assert len(lines) == 2 and all("fsh-train-000001.tar" in line for line in lines)
    assert report.skipped == 2 and list(report.damaged.values()) == [1]
    assert f"{report.skipped} of 24 episodes" in lines[1] and "(1 samples)" in lines[1]
    assert json.loads(json.dumps(report.to_json()))["skipped"] == report.skipped


def test_training_refuses_what_is_mostly_damaged(tmp_path):
    data = write_data(tmp_path / "data", people=2, samples=4, frames=4, shards=2)
    zero_frames(data.shard("train", 1))
    with pytest.raises(FshError, match=r"damaged|decoded") as caught:
        train(data, tmp_path / "run", tiny_config(steps=60, batch=4), Told())
    assert "fsh-train-000001.tar" in str(caught.value)


def test_check_says_what_is_wrong_and_leaves_with_one(tmp_path):
    made = make(tmp_path / "data", ["ann", "bob", "cyd", "dan"])
    before = contents(made)
    sound = fsh("shard", "--check-frames", "--json", "-q", cwd=tmp_path)
    result = json.loads(sound.stdout)
    assert (sound.returncode, sound.stderr) == (0, "") and result["sound"]
    assert (result["samples"], result["frames"], result["frames_decoded"]) == (3, 18, True)
    shard = made.root / DatasetCard.read(made.card).shards[0].path
    zero_frames(shard)
    damaged = fsh("shard", "--check", "--json", "-q", cwd=tmp_path)
    assert damaged.returncode == 1 and "SHA-256 differs" in damaged.stderr
    assert "internal error" not in damaged.stderr
    faults = json.loads(damaged.stdout)["faults"]
    assert any("no whole JPEG" in fault["what"] for fault in faults)
    assert {fault["where"] for fault in faults} == {str(shard.relative_to(made.root))}
    assert before.keys() == contents(made).keys(), "a check writes nothing"


def test_check_finds_a_frame_that_only_looks_whole(tmp_path):
    made = make(tmp_path / "data", ["ann", "bob"])
    (info,) = DatasetCard.read(made.card).shards
    shard = made.root / info.path
    sample = next(read_samples(shard))
    start, size = sample.frame_places[2].tolist()
    content = bytearray(shard.read_bytes())
    content[start + size // 2 : start + size - 2] = bytes(size - size // 2 - 2)
    shard.write_bytes(content)
    quick, whole = (check_shards(made.root, frames=frames) for frames in (False, True))
    assert [fault.what.split(":")[0] for fault in quick.faults] == [
        "SHA-256 differs from the card's"
    ]
    assert any("1 of 6 frames cannot be decoded" in fault.what for fault in whole.faults)


def test_check_finds_a_sample_that_lacks_what_others_have(tmp_path):
    made = write_data(tmp_path, people=2, spec=replace(SPEC, backend="mediapipe"), frames=3)
    assert not any("mesh" in fault.what for fault in check_shards(made.root).faults)
    shard = made.shard("train", 1)
    shard.write_bytes(without_mesh(shard.read_bytes()))
    faults = [fault for fault in check_shards(made.root).faults if "mesh" in fault.what]
    assert [(f.where, "lacks a mesh, unlike others" in f.what) for f in faults] == [
        (str(shard.relative_to(made.root)), True)
    ]


def test_inspect_shows_what_can_be_read_and_counts_the_rest(tmp_path):
    made = make(tmp_path / "data", ["ann", "bob", "cyd", "dan"])
    first, second, *_ = DatasetCard.read(made.card).shards
    cut = made.root / first.path
    cut.write_bytes(cut.read_bytes()[: first.bytes // 2])
    zero_frames(made.root / second.path)
    done = fsh("inspect", "--json", cwd=tmp_path)
    assert done.returncode == 0 and "internal error" not in done.stderr, done.stderr
    damaged = json.loads(done.stdout)["damaged"]
    assert damaged["shards"] == sorted([first.path, second.path])
    assert damaged["clips"] == 1 and damaged["frames"] >= 2
    page = made.inspect_page.read_text()
    for name in (cut.name, (made.root / second.path).name):
        assert name in done.stderr and name in page
    assert "Cannot be read" in page and '"strips":{"v-' in page
    made.card.write_text("{")
    again = fsh("inspect", "--json", cwd=tmp_path)
    assert again.returncode == 0 and "not a data set card" in again.stderr


def test_an_undamaged_page_says_nothing_of_damage(tmp_path):
    made = make(tmp_path / "data", ["ann", "bob"])
    counts = api.inspect(made.root)
    assert counts["damaged"] == {"shards": [], "clips": 0, "frames": 0}
    assert "Cannot be read" not in made.inspect_page.read_text()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_breaks_while_training_goes_on_costs_no_step(data, tmp_path, workers):
    run, sound = RunFolder(tmp_path / "run"), data.shard("train", 0).read_bytes()

    class Breaking(Told):
        """Cuts the shard in half when the third step is done."""

        steps = 0

        def advance(self, steps=1, note=""):
            self.steps += steps
            if self.steps >= 3:
                data.shard("train", 0).write_bytes(sound[: len(sound) // 2])

    told = Breaking()
    config = tiny_config(steps=100_000, checkpoint_every=10**6, workers=workers)
    with pytest.raises(FshError, match=r"000000\.tar: .*; training stopped at step \d+, which is"):
        train(data, run.root, config, told)
    ((step, _),) = list_checkpoints(run)
    assert step == told.steps >= 3
    data.shard("train", 0).write_bytes(sound)
    told = Told()
    train(data, run.root, tiny_config(steps=step + 1, checkpoint_every=10**6), told)
    assert any(f"going on from step {step}" in line for line in told.lines)


def test_too_much_damage_is_told_with_what_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("fsh.trainer.training.damage.JUDGED_AFTER", 8)
    data = write_data(tmp_path / "data", people=4, samples=2, frames=4, shards=2)
    zero_frames(data.shard("train", 1))
    run = RunFolder(tmp_path / "run")
    with pytest.raises(FshError, match=r"too much is damaged.*stopped at step \d+, which is saved"):
        train(data, run.root, tiny_config(steps=100_000, checkpoint_every=10**6), Told())
    assert list_checkpoints(run)
