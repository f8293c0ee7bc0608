"""``fsh evaluate`` draws people never trained on: whoever a run saw is left out, or labelled."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import fsh
from tiny_data import write_data
from tiny_run import Told, tiny_config, tiny_folder

from fsh.evaluation.options import EvaluationOptions
from fsh.evaluation.report import html_page, markdown
from fsh.evaluation.unseen_people import check_subjects, record_shown
from fsh.pipeline.erasure.derived import find_faces_in_runs, remove_faces
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.schemas.tables.records import IdentityOrigin
from fsh.schemas.trained_on import TrainedOn
from fsh.trainer.evaluation.subjects import subjects_of_split
from fsh.trainer.runs import Run
from fsh.trainer.training.loop import train


def named(data: DataFolder, labels: dict[str, tuple[str, int]], split: str) -> None:
    """Give the clips of a tiny data set labels and embeddings, by video."""
    clips = []
    for clip in read_clips(data.clips):
        name, number = labels.get(clip.video_id, ("", 90))
        vector = np.zeros(128, np.float32)
        vector[number] = 1.0
        origin = IdentityOrigin.LABEL if name else None
        named = replace(clip, identity=name or None, identity_from=origin, embedding=vector)
        clips.append(replace(named, split=split))
    write_clips(clips, data.clips)


def options(data: DataFolder, runs, **changes) -> EvaluationOptions:
    chosen = EvaluationOptions(
        data=data.root,
        run=runs[0],
        against=tuple(runs[1:]),
        protocols=("fsth",),
        shots=(1,),
        identities=None,
        frames=3,
        held=3,
        split="test",
        frames_folder=None,
        steps=1,
        size="crop",
        seed=0,
        output=data.root,
        user_study=None,
        device="cpu",
    )
    return replace(chosen, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two runs, of persons 0 to 2 and 3 to 5; a test split of persons 1 to 7."""
    root = tmp_path_factory.mktemp("world")
    runs = []
    for number in (0, 1):
        seen = tiny_folder(root / f"seen{number}", first=3 * number)
        videos = [f"v-{p:016d}" for p in range(3 * number, 3 * number + 3)]
        named(seen, {v: (f"p{v[-1]}", int(v[-1])) for v in videos}, "train")
        train(seen, root / "runs" / str(number), tiny_config(steps=1), Told())
        runs.append(root / "runs" / str(number))
    test = write_data(root / "test", people=7, samples=1, frames=6, split="test", first=1)
    return test, runs


def checked(data, runs, **changes):
    chosen = options(data, runs, **changes)
    spec = DatasetCard.read(data.card).spec
    opened = {path: Run.read(path) for path in runs}
    told = Told()
    found = check_subjects(subjects_of_split(data, spec, chosen.split), opened, chosen, told)
    return found, told.lines


def test_videos_of_any_run_are_left_out(world):
    data, runs = world
    found, lines = checked(data, runs[:1])
    assert set(found.left_out) == {"id1", "id2"} and found.people == "never trained on"
    assert [s.identity for s in found.subjects] == ["id3", "id4", "id5", "id6", "id7"]
    assert sum("left out, video" in line for line in lines) == 2
    found, _ = checked(data, runs, identities=1)
    assert [s.identity for s in found.subjects] == ["id6"]
    assert str(runs[1]) in found.left_out["id5"]


def test_faces_and_labels_of_other_videos_are_left_out(world, tmp_path):
    _, runs = world
    data = write_data(tmp_path, people=3, samples=1, frames=6, split="test", first=7)
    labels = {"v-0000000000000007": ("id7", 1), "v-0000000000000009": ("id9", 40)}
    named(data, labels | {"v-0000000000000008": ("id8", 41)}, "test")
    found, _ = checked(data, runs)
    assert list(found.left_out) == ["id7"]
    assert "the face is that of 'p1'" in found.left_out["id7"]
    assert "distance 0.00" in found.left_out["id7"]


def test_a_run_anywhere_or_one_checkpoint_of_it_brings_its_own_record(world, tmp_path, monkeypatch):
    """Moved away from ``runs``, and named by whatever path leads there."""
    _, runs = world
    data = write_data(tmp_path / "data", people=2, samples=1, frames=6, split="test", first=7)
    named(data, {"v-0000000000000007": ("id7", 1), "v-0000000000000008": ("id8", 41)}, "test")
    moved = shutil.copytree(runs[0], tmp_path / "backup disk" / "old run")
    (tmp_path / "link").symlink_to(moved)
    (step,) = (moved / "checkpoints").iterdir()
    monkeypatch.chdir(step.parent)
    for path in (moved, tmp_path / "link", step, Path(step.name), step / ".." / step.name):
        found, _ = checked(data, [path])
        assert list(found.left_out) == ["id7"], path
        assert found.people == "never trained on"
        assert RunFolder.of(path).root.resolve() in (moved, (tmp_path / "link").resolve())


def test_nobody_left_is_an_error_with_a_remedy(tmp_path, world):
    _, runs = world
    data = write_data(tmp_path, people=2, samples=1, frames=6, split="test")
    with pytest.raises(FshError, match=r"all 2 people were trained on \(id0: video.*--split train"):
        checked(data, runs)


def test_the_training_split_is_labelled(tmp_path, world):
    _, runs = world
    data = write_data(tmp_path, people=4, samples=1, frames=6, split="train")
    found, lines = checked(data, runs[:1], split="train")
    assert len(found.subjects) == 4 and not found.left_out
    assert set(found.trained_on) == {"id0", "id1", "id2"}
    assert found.people == "3 of 4 people trained on" and found.people in lines[-1]
    found, _ = checked(data, runs, split="train")
    about = {"protocol": "fsth", "runs": {}, **found.to_json()}
    assert about["people"] == "people trained on"
    assert markdown([], about).startswith("# Evaluation of people trained on, protocol")
    assert "<h1>Evaluation of people trained on, protocol fsth" in html_page([], about, [], [])
    plain = {**about, "trained_on": {}, "people": "never trained on"}
    assert markdown([], plain).startswith("# Evaluation, protocol")


def test_an_old_run_is_checked_by_its_videos_and_says_so(world):
    data, runs = world
    record = RunFolder(runs[0]).trained_on
    content = record.read_bytes()
    try:
        record.unlink()
        found, lines = checked(data, runs[:1])
        assert set(found.left_out) == {"id1", "id2"}
        assert "as far as is known" in found.people
        assert any("videos only" in line for line in lines)
        record.write_bytes(content[:-30])
        with pytest.raises(FshError, match=r"trained_on\.parquet"):
            checked(data, runs[:1])
    finally:
        record.write_bytes(content)


def test_the_record_of_a_run_grows_and_what_is_erased_goes(tmp_path):
    first = tiny_folder(tmp_path / "one")
    named(first, {"v-0000000000000001": ("bob", 1)}, "train")
    run = tmp_path / "runs" / "a"
    train(first, run, tiny_config(steps=1), Told())
    more = tiny_folder(tmp_path / "two", first=2)
    train(more, run, tiny_config(steps=2), Told())
    known = TrainedOn.read(RunFolder(run).trained_on)
    assert [face.video_id[-1] for face in known.faces] == ["0", "1", "2", "3", "4"]
    assert known.datasets == Run.read(run).datasets and len(known.datasets) == 2
    for erased in (
        Tombstones().adding(video="v-0000000000000003"),
        Tombstones().adding(identity="bob"),
    ):
        assert [place.where for place in find_faces_in_runs(run.parent, [], erased)] == [
            str(RunFolder(run).trained_on)
        ]
        (run / ".trained_on-x.tmp").write_bytes(b"half")
        remove_faces(run, erased)
        assert find_faces_in_runs(run.parent, [], erased) == []
        assert not (run / ".trained_on-x.tmp").exists()
    assert len(TrainedOn.read(RunFolder(run).trained_on).faces) == 3


def test_a_run_that_is_done_says_so(tmp_path, monkeypatch):
    data = tiny_folder(tmp_path / "data")
    run = tmp_path / "runs" / "nano"
    train(data, run, tiny_config(steps=3), Told())
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    told = Told()
    report = train(data, run, tiny_config(steps=2), told)
    assert any("is at step 3 and 2 are asked for: nothing to do" in line for line in told.lines)
    assert (report.steps, report.planned, report.finished, report.resumed_from) == (3, 2, True, 3)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_command_labels_and_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tiny_folder(tmp_path / "data")
    train(data, tmp_path / "runs" / "a", tiny_config(steps=1), Told())
    options = ["--shots", "1", "--frames", "2", "--held", "2", "--steps", "1", "--json"]
    done = fsh("evaluate", "--split", "train", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["people"] == "people trained on" and len(result["trained_on"]) == 3
    text = (tmp_path / result["files"]["fsth"]["table"]).read_text()
    assert text.startswith("# Evaluation of people trained on")
    write_data(tmp_path / "other", people=3, samples=1, frames=6, split="test")
    done = fsh("evaluate", "--data", "other", *options, cwd=tmp_path)
    assert done.returncode == 1 and "all 3 people were trained on" in done.stderr


def test_an_evaluation_elsewhere_needs_no_run_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = tiny_folder(tmp_path / "data")
    run = tmp_path / "run"
    train(data, run, tiny_config(steps=1), Told())
    words = "--split train --run run --shots 1 --frames 2 --held 2 --steps 0 --json"
    shutil.rmtree(run / "shown")
    (run / "shown").write_text("nothing can be written here, whoever asks")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = fsh("evaluate", *words.split(), "-o", "elsewhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere" / "fsth.md").is_file()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    told = Told()
    record_shown(RunFolder(run), Path("elsewhere"), ["v-1"], told)
    assert "`fsh forget` will not know whom the pictures in elsewhere show" in told.lines[0]
    with pytest.raises(FshError, match="shown: cannot be written"):
        record_shown(RunFolder(run), run / "evaluation", ["v-1"], told)
