"""A run that another version of fsh began goes on as what it was, or says what it cannot have."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import RunFolder
from fsh.trainer import presets
from fsh.trainer.checkpoint import read_state, rewrite_state
from fsh.trainer.config import LossConfig, NetworkConfig, TrainConfig
from fsh.trainer.presets import resolve
from fsh.trainer.training.loop import train
from fsh.trainer.training.resuming import config_to_go_on

#: What the configuration of the first runs had; every other field came later.
FIRST = {
    "": "preset loss_preset variant network loss frames batch steps minutes epochs lr_generator "
    "lr_discriminator betas epsilon discriminator_steps ema perceptual perceptual_width precision "
    "device seed checkpoint_every checkpoint_minutes keep workers",
    "network": "size generator embedder discriminator max_channels embedding downs residuals "
    "attention",
    "loss": "vgg19 vggface pixel adversarial feature_matching match lab",
}
OFF = (0, 0.0, False, "off")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def begun(data, tmp_path):
    """A run of one step, and a way to change what its checkpoint says of its configuration."""
    folder = tmp_path / "run"
    train(data, folder, tiny_config(steps=1), Told())

    def change(changed):
        place = RunFolder(folder).checkpoint(1)
        state = read_state(place, "fsh-checkpoint-1")
        changed(state["config"])
        rewrite_state(place, state)

    return folder, change


def test_what_was_added_since_is_off_where_it_is_not_said():
    for kind, name in ((TrainConfig, ""), (NetworkConfig, "network"), (LossConfig, "loss")):
        later = [f for f in dataclasses.fields(kind) if f.name not in FIRST[name].split()]
        assert later or not name
        assert {f.name: f.default for f in later if f.default not in (*OFF, "fsth")} == {}


def test_a_run_without_a_later_field_goes_on_without_it(data, begun):
    folder, change = begun
    for name in ("other_clips", "gaze", "augment", "compile"):
        change(lambda config, name=name: config.pop(name))
    told = Told()
    config = replace(tiny_config(steps=2), other_clips=0.25)
    config = config_to_go_on(folder, config, {"gaze", "seed"}, told)
    assert (config.other_clips, config.augment, config.steps) == (0.0, False, 2)
    assert "goes on as it was begun, with other_clips = 0.0 (and 1 more)" in told.lines[0]
    assert "a new run would have 0.25" in told.lines[0]
    assert train(data, folder, config, told).resumed_from == 1


@pytest.mark.parametrize("name", ["lr_generator", "network.residuals", "loss.pixel"])
def test_a_preset_that_changed_since_changes_no_run(begun, name):
    folder, _ = begun
    config = tiny_config(steps=2)
    part, _, field = name.rpartition(".")
    of = getattr(config, part) if part else config
    other = replace(of, **{field: getattr(of, field) * 2})
    changed = replace(config, **{part: other}) if part else other
    assert changed != config
    assert config_to_go_on(folder, changed, (), Told()) == config


def test_what_is_asked_for_and_differs_is_what_is_refused(data, begun):
    folder, change = begun
    change(lambda config: config.pop("other_clips"))
    asked = replace(tiny_config(steps=2), other_clips=0.25, batch=3)
    config = config_to_go_on(folder, asked, {"batch"}, Told())
    with pytest.raises(FshError, match="trained with batch = 2, now it is 3 →") as refused:
        train(data, folder, config, Told())
    assert "more differ" not in str(refused.value)


def test_references_are_refused_where_there_were_none_and_kept_where_there_were_others(begun):
    folder, change = begun
    asked = replace(tiny_config(steps=2), network=replace(tiny_config().network, references=3))
    kept = config_to_go_on(folder, asked, {"network.references"}, Told())
    assert kept.network.references == 3  # which the loop refuses
    change(lambda config: config["network"].update(references=2))
    kept = config_to_go_on(folder, asked, {"network.references"}, Told())
    assert kept.network.references == 2


def test_another_preset_or_no_run_leaves_the_configuration_as_it_is(begun, tmp_path):
    folder, _ = begun
    other = replace(tiny_config(steps=2), preset="small", other_clips=0.5)
    assert config_to_go_on(folder, other, (), Told()) == other
    assert config_to_go_on(tmp_path / "new", other, (), Told()) == other


def test_a_field_that_is_gone_may_only_have_been_off():
    known = json.loads(json.dumps(resolve("nano", "cpu").to_json()))
    known["loss"]["mesh"] = 0.0
    known["rollback"] = "off"
    assert TrainConfig.from_json(known) == resolve("nano", "cpu")
    known["loss"]["mesh"] = 0.5
    with pytest.raises(FshError, match=r"this version of fsh has no mesh, which is 0\.5"):
        TrainConfig.from_json(known)


def test_the_command_itself_goes_on_with_an_older_run(data, begun, monkeypatch):
    from fsh.training import run as training

    folder, change = begun
    change(lambda config: config.pop("other_clips"))
    before = presets.resolve

    def of_today(*_, **options):
        config = tiny_config(steps=options.get("steps"), seed=options["seed"])
        assert before("nano", "cpu").preset == config.preset
        return replace(config, other_clips=0.25)

    monkeypatch.setattr(training, "resolve", of_today)
    assert training.train(data.root, folder, steps=2).resumed_from == 1
    assert training.plan_training(data.root, folder, steps=2, seed=0).to_json()
