"""Names on disk that are read by pattern are those that are written."""

from __future__ import annotations

from pathlib import Path

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import RunFolder, StudyFolder, checkpoint_step
from fsh.schemas.run_pictures import RunPictures


def test_shards_and_clips_are_found_by_their_names(tmp_path):
    data = DataFolder(tmp_path)
    shards = [data.shard(split, number) for split in ("test", "train") for number in range(2)]
    clip = "v-0_00000000_00"
    tars = [data.span("v-0", start, "abc").clip(clip) for start in (0.0, 60.0)]
    others = [data.span("v-0", 0.0, "abc").clip("v-0_00000000_01"), data.shards / "train" / "x.tar"]
    for path in [*shards, *tars, *others]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert data.all_shards() == shards
    assert data.clip_tars(clip) == tars


def test_the_step_of_a_checkpoint():
    run = RunFolder(Path("run"))
    assert checkpoint_step(run.checkpoint(12)) == 12
    assert checkpoint_step(run.root / ".step-00000012.1.tmp") is None


def test_the_files_of_a_run_are_known(tmp_path):
    study = StudyFolder(tmp_path)
    sheet = RunFolder(tmp_path).sample_sheet(5)
    written = [study.page, study.key, tmp_path / sheet.name]
    for path in [*written, tmp_path / "notes.txt"]:
        path.touch()
    assert RunPictures(tmp_path, tmp_path, None).files() == sorted(written)
