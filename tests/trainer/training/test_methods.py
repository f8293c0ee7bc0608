"""The alternatives train in the same loop, from the same shards, to runs of their own."""

from __future__ import annotations

import pytest
import torch
from tiny_run import TINY, Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError
from fsh.trainer.config import METHOD_NAMES as NAMES
from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.networks import parameter_count
from fsh.trainer.models.x2face import DrivingNetwork, FaceEmbedder, level_channels, warp
from fsh.trainer.presets import resolve
from fsh.trainer.runs import Run
from fsh.trainer.training.dry_run import plan_training
from fsh.trainer.training.loop import train
from fsh.trainer.training.methods import METHODS


def test_every_method_has_a_name_for_the_command_line():
    assert tuple(METHODS) == NAMES
    with pytest.raises(FshError, match="unknown method 'gan'"):
        resolve("nano", "cpu", method="gan")


@pytest.mark.parametrize("method", NAMES)
def test_every_method_trains_resumes_and_plans(tmp_path, method):
    data, run = tiny_folder(tmp_path / "data"), tmp_path / "run"
    first = train(data, run, tiny_config(steps=2, method=method), Told())
    again = train(data, run, tiny_config(steps=4, method=method), Told())
    assert (first.steps, again.resumed_from, again.steps) == (2, 2, 4)
    assert all(torch.isfinite(torch.tensor(v)) for v in again.losses.values())
    assert ("discriminator" in again.losses) == METHODS[method].adversarial
    planned = plan_training(data, tmp_path / "other", tiny_config(steps=2, method=method))
    assert planned.parameters == again.parameters and planned.memory["activations"] > 0
    assert (run / "samples" / "step-00000004.png").is_file()
    other = "fsth" if method != "fsth" else "x2face"
    with pytest.raises(FshError, match=f"trained with method = {method}"):
        train(data, run, tiny_config(steps=6, method=other), Told())
    if method != "fsth":
        with pytest.raises(FshError, match=f"{method} cannot be personalised"):
            Run.read(run).require_personalizable()


@pytest.mark.parametrize("name", NAMES)
def test_a_method_learns_a_pair(name):
    """One person, one target: fifty steps bring the pixel error well down."""
    torch.manual_seed(0)
    from fsh.trainer.config import LossConfig
    from fsh.trainer.training.losses import ContentLoss, Episodes

    method, weights = METHODS[name], LossConfig(vgg19=0, vggface=0, pixel=10, adversarial=0.1)
    parts = torch.nn.ModuleDict(
        {
            "embedder": method.embedder(TINY),
            "generator": method.generator(TINY),
            "discriminator": method.discriminator(TINY),
            "columns": torch.nn.Embedding(1, TINY.embedding),
        }
    )
    objective = method.objective(*parts.values(), ContentLoss(weights), weights)
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 4, 4) * 2 - 1, size=32, mode="bicubic"
    )
    target = torch.roll(smooth, 3, dims=3)
    lines = torch.rand(1, 3, 32, 32).round()
    episodes = Episodes(
        smooth[:, None], lines[:, None], target, torch.roll(lines, 3, 3), torch.tensor([0])
    )
    adam = torch.optim.Adam(
        [*parts["embedder"].parameters(), *parts["generator"].parameters()], 3e-3
    )
    errors = []
    for _ in range(50):
        terms = objective.generator(episodes)
        adam.zero_grad()
        terms.total.backward()
        adam.step()
        errors.append(float((terms.fake - target).abs().mean()))
    assert errors[-1] < 0.6 * errors[0]


def test_a_warp_starts_as_the_average_of_the_photos():
    photos, lines = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    faces = FaceEmbedder(TINY)(photos, lines)
    drawn = DrivingNetwork(TINY)(lines[:1], faces.mean(0, keepdim=True))
    torch.testing.assert_close(drawn[0], photos.mean(0), rtol=0, atol=1e-4)


def test_a_flow_of_one_is_half_a_side():
    picture = torch.arange(8.0).expand(1, 1, 8, 8)
    moved = warp(picture, torch.tensor([0.25, 0.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8))
    torch.testing.assert_close(moved[0, 0, 0], torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 7]))


def test_sizes_follow_the_preset():
    nano = resolve("nano", "cpu").network
    assert level_channels(nano) == [16, 32, 64, 128, 128]
    assert level_channels(NetworkConfig())[-1] == 512
    counts = {n: parameter_count(METHODS[n].generator(nano)) for n in NAMES}
    assert all(4e5 < count < 4e6 for count in counts.values()), counts
