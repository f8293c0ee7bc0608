"""Whole or not there; tampered, truncated and foreign ones refused by name."""

import json
import shutil

import pytest
import torch
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import RunFolder
from fsh.trainer import checkpoint
from fsh.trainer.checkpoint import Checkpoint
from fsh.trainer.data.plan import plan_data
from fsh.trainer.training.loop import train
from fsh.trainer.training.session import Session

KIND = "test-1"


@pytest.fixture
def folder(tmp_path):
    files = {"a.safetensors": {"x": torch.arange(4.0), "y": torch.ones(2, 3, 2, 2)}}
    checkpoint.write_folder(tmp_path / "step-00000001", {"step": 1}, files, KIND)
    return tmp_path / "step-00000001"


def test_round_trip_and_no_leftovers(folder):
    state = checkpoint.read_state(folder, KIND)
    assert state["step"] == 1
    assert checkpoint.read_tensors(folder, state, "a.safetensors")["x"].tolist() == [0, 1, 2, 3]
    assert [p.name for p in folder.parent.iterdir()] == ["step-00000001"]
    assert sorted(p.suffix for p in folder.iterdir()) == [".json", ".safetensors"]


def test_channels_last_and_shared_memory_survive(tmp_path):
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    checkpoint.write_folder(tmp_path / "c", {}, {"a.safetensors": {"x": x, "z": x[:1]}}, KIND)
    state = checkpoint.read_state(tmp_path / "c", KIND)
    assert torch.equal(checkpoint.read_tensors(tmp_path / "c", state, "a.safetensors")["x"], x)


def test_flipped_byte(folder):
    path = folder / "a.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FshError, match=r"a\.safetensors.*SHA-256"):
        checkpoint.read_tensors(folder, checkpoint.read_state(folder, KIND), "a.safetensors")


def test_truncated(folder):
    path = folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FshError, match="cut short"):
        checkpoint.read_tensors(folder, checkpoint.read_state(folder, KIND), "a.safetensors")
    (folder / "state.json").write_text((folder / "state.json").read_text()[:-20])
    with pytest.raises(FshError, match=r"state\.json.*not JSON"):
        checkpoint.read_state(folder, KIND)


def test_edited_and_foreign_json(folder):
    path = folder / "state.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "step": 99}))
    with pytest.raises(FshError, match="digest"):
        checkpoint.read_state(folder, KIND)
    path.write_text(json.dumps({"epoch": 3}))
    with pytest.raises(FshError, match="format is None"):
        checkpoint.read_state(folder, KIND)
    path.write_text("[1]")
    with pytest.raises(FshError, match="format is 'list'"):
        checkpoint.read_state(folder, KIND)


def test_missing(folder):
    state = checkpoint.read_state(folder, KIND)
    (folder / "a.safetensors").unlink()
    with pytest.raises(FshError, match="missing"):
        checkpoint.read_tensors(folder, state, "a.safetensors")
    (folder / "state.json").unlink()
    with pytest.raises(FshError, match=r"not a checkpoint \(no state\.json\) → name one that"):
        checkpoint.read_state(folder, KIND)
    shutil.rmtree(folder)
    with pytest.raises(FshError, match="no such folder → run `fsh train` first"):
        checkpoint.read_state(folder, KIND)


def test_old_ones_go_but_the_last_good_one_stays(tmp_path):
    run = RunFolder(tmp_path)
    for step in range(1, 6):
        checkpoint.write_folder(run.checkpoint(step), {}, {}, KIND)
    (run.checkpoints / ".step-00000009.1.tmp").mkdir()
    checkpoint.prune(run, 2, good=2)
    assert [step for step, _ in checkpoint.list_checkpoints(run)] == [2, 4, 5]


def test_a_damaged_newest_is_named_and_passed_over(tmp_path):
    data, run = tiny_folder(tmp_path / "data"), RunFolder(tmp_path / "run")
    train(data, run.root, tiny_config(steps=2, checkpoint_every=1), Told())
    last = run.checkpoint(2) / "optimizers.safetensors"
    last.write_bytes(last.read_bytes()[:100])
    told = Told()
    found = checkpoint.newest_sound(run, Checkpoint.read, told)
    assert found.folder == run.checkpoint(1)
    assert any("optimizers.safetensors" in line for line in told.lines)


def test_w_grows_and_shrinks_with_the_data_set(tmp_path):
    config, run = tiny_config(steps=2), tmp_path / "run"
    train(tiny_folder(tmp_path / "small", people=2), run, config, Told())
    for people in (4, 1):
        plan = plan_data(tiny_folder(tmp_path / f"d{people}", people=people), workers=0)
        session = Session.new(config, plan, {})
        before = session.model.columns.weight.detach().clone()
        session.load(Checkpoint.read(RunFolder(run).checkpoint(2)))
        after = session.model.columns.weight.detach()
        known = min(2, people)
        assert not torch.equal(after[:known], before[:known])
        assert torch.equal(after[known:], before[known:])
        moments = session.discriminator_adam.state[session.model.columns.weight]["exp_avg_sq"]
        assert moments.shape == after.shape


def test_another_configuration_or_crop_is_refused(tmp_path):
    data, run = tiny_folder(tmp_path / "data"), tmp_path / "run"
    train(data, run, tiny_config(steps=1), Told())
    with pytest.raises(FshError, match="trained with seed = 0, now it is 1"):
        train(data, run, tiny_config(steps=2, seed=1), Told())
    from tiny_data import FaceSpec

    other = tiny_folder(tmp_path / "other", spec=FaceSpec(size=64, margin=2.5))
    with pytest.raises(FshError, match="the data set has faces as"):
        train(other, run, tiny_config(steps=2), Told())
