"""Opening a run: which checkpoint it is, what is known of it, and its networks."""

import json

import pytest
import torch
from tiny_data import SPEC
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError
from fsh.schemas.ids import file_sha256
from fsh.schemas.places.run_layout import AVERAGE, NETWORKS, RunFolder
from fsh.trainer.models.networks import Embedder, Generator
from fsh.trainer.runs import Run
from fsh.trainer.training.loop import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data set, and a run of two checkpoints."""
    root = tmp_path_factory.mktemp("runs")
    data = tiny_folder(root / "data")
    train(data, root / "tiny", tiny_config(steps=2, checkpoint_every=1), Told())
    return data, root / "tiny"


def test_a_run_is_its_newest_checkpoint(trained):
    data, path = trained
    run, folder = Run.read(path), RunFolder(path).checkpoint(2)
    assert (run.name, run.step, run.folder, run.spec) == ("tiny", 2, folder, SPEC)
    assert run.sha256 == file_sha256(folder / AVERAGE)
    assert run.made_from == {"model": run.sha256, "dataset": file_sha256(data.card)}
    assert len(run.videos) == 3 and run.require_personalizable() is run
    one = Run.read(RunFolder(path).checkpoint(1), device="cuda")
    assert (one.name, one.step, one.config.device) == ("step-00000001", 1, "cuda")


def test_networks_are_those_of_the_checkpoint(trained):
    run = Run.read(trained[1])
    networks = run.load_networks()
    assert isinstance(networks.embedder, Embedder) and isinstance(networks.generator, Generator)
    assert networks.run == run and not networks.training
    average, newest = (run.checkpoint.tensors(name) for name in (AVERAGE, NETWORKS))
    for name, tensors in (("embedder", average), ("generator", average), ("discriminator", newest)):
        for key, value in getattr(networks, name).state_dict().items():
            assert torch.equal(value, tensors[f"{name}.{key}"]), key


@pytest.mark.parametrize("file", [AVERAGE, NETWORKS, "state.json"])
def test_a_damaged_newest_is_named_and_passed_over(tmp_path, file):
    path = tmp_path / "run"
    train(tiny_folder(tmp_path / "data"), path, tiny_config(steps=2, checkpoint_every=1), Told())
    damaged, told = RunFolder(path).checkpoint(2), Told()
    (damaged / file).write_bytes((damaged / file).read_bytes()[:100])
    assert Run.read(path, told).step == 1
    assert len(told.lines) == 1 and file in told.lines[0]
    if file != "state.json":
        with pytest.raises(FshError, match=file):
            Run.read(damaged)


def test_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(FshError, match="no such folder → run `fsh train` first"):
        Run.read(str(tmp_path / "none"))
    with pytest.raises(FshError, match="no checkpoint here → run `fsh train` first"):
        Run.read(tmp_path)


def test_a_run_of_another_version_is_not_taken_for_none(tmp_path):
    path, told = tmp_path / "run", Told()
    train(tiny_folder(tmp_path / "data"), path, tiny_config(steps=1), Told())
    state = RunFolder(path).checkpoint(1) / "state.json"
    known = json.loads(state.read_text())
    known["config"]["loss"]["unheard_of"] = 1.0
    state.write_text(json.dumps(known))
    with pytest.raises(FshError, match="none of its checkpoints can be used"):
        Run.read(path, told)
    assert "refused" in told.lines[0]


def test_another_methods_run_makes_no_persons(tmp_path):
    path = tmp_path / "run"
    train(tiny_folder(tmp_path / "data"), path, tiny_config(steps=1, method="pix2pixhd"), Told())
    run = Run.read(path)
    assert run.load_networks().config.method == "pix2pixhd"
    with pytest.raises(FshError, match="pix2pixhd cannot be personalised"):
        run.require_personalizable()
