"""The loop: trains, stops, resumes to the bit, rolls back, and says what it did."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clusters import free_port
from PIL import Image
from places import ROOT
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.run_pictures import recorded_pictures
from fsh.trainer.checkpoint import list_checkpoints
from fsh.trainer.config import TrainConfig
from fsh.trainer.presets import resolve
from fsh.trainer.training import loop
from fsh.trainer.training.budget import Budget, BudgetSettings
from fsh.trainer.training.dry_run import plan_training
from fsh.trainer.training.loop import LoopSettings, train
from fsh.trainer.training.signals import stop_on_signals
from fsh.trainer.training.watchdog import Watchdog, WatchdogLimits, image_statistics


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_everything_to_look_at(tmp_path):
    data, told = tiny_folder(tmp_path / "data"), Told()
    report = train(data, tmp_path / "run", tiny_config(steps=4, checkpoint_every=2), told)
    shown = report.to_json()
    assert shown["steps"] == 4 and shown["finished"] and shown["preset"] == "nano"
    assert set(shown["parameters"]) == {"embedder", "generator", "discriminator", "columns"}
    assert shown["episodes_per_second"] > 0 and "pixel" in shown["losses"]
    assert [row["step"] for row in metrics(tmp_path / "run")] == [1, 2, 3, 4]
    sheet = Image.open(tmp_path / "run/samples/step-00000004.png")
    (pictures,) = recorded_pictures(tmp_path / "run")
    assert pictures.videos and tmp_path / "run/samples/step-00000004.png" in pictures.files()
    assert sheet.size == (4 * 32, 6 * 32)
    assert any((tmp_path / "run/tensorboard").iterdir())
    assert not list((tmp_path / "run").rglob("*.pkl")) and told.steps == 4
    json.dumps(shown)


def test_resume_is_exact_to_the_bit(tmp_path):
    data = tiny_folder(tmp_path / "data")
    train(data, tmp_path / "whole", tiny_config(steps=8), Told())
    for steps in (2, 4):  # six samples in batches of two: in the middle of two epochs
        train(data, tmp_path / "parts", tiny_config(steps=steps), Told())
    report = train(data, tmp_path / "parts", tiny_config(steps=8), Told())
    assert report.resumed_from == 4
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    files = ("networks", "average", "columns", "optimizers")
    for name in files:
        a, b = (
            (tmp_path / run / f"checkpoints/step-00000008/{name}.safetensors").read_bytes()
            for run in ("whole", "parts")
        )
        assert a == b, name


@pytest.mark.slow
def test_resume_is_exact_with_loader_processes(tmp_path):
    """Six samples in batches of two: stopped within an epoch, at its end and in the next one."""
    data = tiny_folder(tmp_path / "data")
    for name, stops in (("whole", [8]), ("parts", [2, 3, 7, 8])):
        for steps in stops:
            train(data, tmp_path / name, tiny_config(steps=steps, workers=2), Told())
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_kill_9_loses_nothing_that_was_saved(tmp_path):
    """10 steps, killed without warning, then on to 14: the same losses as 14 in one go."""
    data = tiny_folder(tmp_path / "data")
    script = f"""
import os, sys
from pathlib import Path
from tiny_run import Told, tiny_config
from fsh.schemas.places.layout import DataFolder
from fsh.trainer.training.loop import train
done = 0
def stop():
    global done
    done += 1
    if done == 10:
        os.kill(os.getpid(), 9)
    return False
data = DataFolder(Path({str(tmp_path / "data")!r}))
train(data, Path({str(tmp_path / "run")!r}), tiny_config(steps=14, checkpoint_every=7), Told(),
      stop=stop)
"""
    assert _run(script).returncode == -signal.SIGKILL
    assert [step for step, _ in list_checkpoints(RunFolder(tmp_path / "run"))] == [7]
    assert len(metrics(tmp_path / "run")) >= 9
    train(data, tmp_path / "run", tiny_config(steps=14, checkpoint_every=7), Told())
    train(data, tmp_path / "whole", tiny_config(steps=14, checkpoint_every=7), Told())
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_stop_saves_and_the_next_call_finishes(tmp_path):
    data, run = tiny_folder(tmp_path / "data"), tmp_path / "run"
    report = train(data, run, tiny_config(steps=5), Told(), stop=lambda: True)
    assert (report.steps, report.finished) == (1, False)
    assert train(data, run, tiny_config(steps=5), Told()).steps == 5
    again = train(data, run, tiny_config(steps=5), Told())
    assert again.steps == 5 and again.finished and again.resumed_from == 5


def test_the_first_ctrl_c_asks_to_stop_and_the_second_interrupts():
    told, before = Told(), signal.getsignal(signal.SIGINT)
    with stop_on_signals(told) as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop() and "saving" in told.lines[0]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def measuring(*seconds: float, overrun: float = 1e9) -> LoopSettings:
    """Settings that measure the speed after so many seconds; a busy machine is no failure."""
    return LoopSettings(budget=BudgetSettings(measure_at=seconds, overrun=overrun))


def test_without_steps_the_budget_decides(tmp_path):
    data, told = tiny_folder(tmp_path / "data"), Told()
    config = tiny_config(steps=None, minutes=0.02)
    report = train(data, tmp_path / "run", config, told, settings=measuring(0.0, 0.3))
    assert report.finished and report.planned == report.steps >= 4
    assert any("fit into 0.02 minutes" in line for line in told.lines)


def test_a_resumed_budget_keeps_its_plan_unless_another_is_asked_for(tmp_path, monkeypatch):
    data, run = tiny_folder(tmp_path / "data"), tmp_path / "run"
    asked = []

    def call(minutes: float, settings: LoopSettings, stop=lambda: True):
        config = tiny_config(steps=None, minutes=minutes)
        return train(data, run, config, Told(), stop=stop, settings=settings)

    def stop_at_6() -> bool:
        asked.append(None)
        return len(asked) == 6

    first = call(1, measuring(0.0), stop_at_6)
    assert first.steps == 6 and not first.finished and first.planned > 6
    # The clock must not be read again, however slow the machine has become.
    with monkeypatch.context() as patch:
        patch.setattr(Budget, "_due", None)
        second = call(1, measuring(0.0, overrun=0.0))
    assert (second.steps, second.planned) == (7, first.planned)
    other = call(0.001, measuring(0.0, overrun=1.1), lambda: False)
    assert other.finished and other.planned != first.planned
    longer = call(10, measuring(0.0, overrun=1.1))
    assert longer.steps == other.steps + 1


def test_nan_rolls_back_to_the_last_good_checkpoint(tmp_path, monkeypatch):
    data, told, seen = tiny_folder(tmp_path / "data"), Told(), []
    real = Watchdog.check

    def check(self, step, losses, images):
        seen.append(step)
        if len(seen) == 5:
            losses = losses | {"pixel": float("nan")}
        return real(self, step, losses, images)

    monkeypatch.setattr(Watchdog, "check", check)
    report = train(data, tmp_path / "run", tiny_config(steps=6, checkpoint_every=2), told)
    assert seen == [1, 2, 3, 4, 5, 5, 6] and report.rollbacks == 1 and report.steps == 6
    assert any("pixel is not a number at step 5: back to step 4" in line for line in told.lines)


def test_bf16_losses_are_close_to_fp32s(tmp_path):
    """For four steps; from then on rounding has grown into another training."""
    data = tiny_folder(tmp_path / "data")
    for precision in ("fp32", "bf16"):
        train(data, tmp_path / precision, tiny_config(steps=4, precision=precision), Told())
    pairs = zip(metrics(tmp_path / "fp32"), metrics(tmp_path / "bf16"), strict=True)
    for full, half in pairs:
        for name in ("pixel", "feature_matching", "match", "discriminator"):
            assert half[name] == pytest.approx(full[name], rel=0.05, abs=0.01), name


def test_steps_read_together_are_logged_alike_and_no_nan_is_saved(tmp_path, monkeypatch):
    """As on a GPU: several steps' losses are read together, all of them before a checkpoint."""
    data = tiny_folder(tmp_path / "data")
    config = tiny_config(steps=10, checkpoint_every=6)
    train(data, tmp_path / "each", config, Told())
    together = LoopSettings(read_every=4)
    train(data, tmp_path / "late", config, Told(), settings=together)
    assert metrics(tmp_path / "each") == metrics(tmp_path / "late")
    told, broken = Told(), []

    def broken_statistics(fake, images):
        broken.append(None)
        found = image_statistics(fake, images)
        # Step 9 of 12: it is not read there by itself, and a checkpoint comes three steps later.
        return (
            found | {"deviation": found["deviation"] * float("nan")} if len(broken) == 9 else found
        )

    monkeypatch.setattr(loop, "image_statistics", broken_statistics)
    monkeypatch.setattr(
        Watchdog,
        "check",
        lambda self, step, losses, images: (
            "" if images["deviation"] == images["deviation"] else f"NaN at step {step}"
        ),
    )
    config = replace(config, steps=12)
    report = train(data, tmp_path / "ill", config, told, settings=together)
    assert report.rollbacks == 1 and report.steps == 12
    assert any("NaN at step 9: back to step 6" in line for line in told.lines)


def test_training_that_keeps_dying_is_an_error(tmp_path, monkeypatch):
    data = tiny_folder(tmp_path / "data")
    monkeypatch.setattr(Watchdog, "check", lambda self, step, *_: "it died" if step > 1 else "")
    with pytest.raises(FshError, match="training failed: it died"):
        train(data, tmp_path / "run", tiny_config(steps=6, checkpoint_every=1), Told())


def test_watchdog_sees_collapse_and_a_winning_discriminator():
    limits = WatchdogLimits(warmup=0, collapse_steps=3, won_steps=3)
    real = torch.rand(2, 3, 8, 8)
    black = {k: float(v) for k, v in image_statistics(torch.full((2, 3, 8, 8), -1.0), real).items()}
    red = torch.full((2, 3, 8, 8), -0.9)
    red[:, 0] = 0.9
    red_seen = {k: float(v) for k, v in image_statistics(red, real).items()}
    fine = {k: float(v) for k, v in image_statistics(real, real).items()}
    for images, word in ((black, "black"), (red_seen, "red")):
        dog = Watchdog(limits)
        answers = [dog.check(i, {"discriminator": 1.0}, images) for i in range(1, 4)]
        assert answers[:2] == ["", ""] and word in answers[2] and not dog.healthy
    dog = Watchdog(limits)
    answers = [dog.check(i, {"discriminator": 0.0}, fine) for i in (1, 2, 3)]
    assert "discriminator has won" in answers[2]
    assert Watchdog(limits).check(1, {"discriminator": 1.0}, fine) == ""
    limits = WatchdogLimits(warmup=0, copying_steps=3)
    for painted, word in ((0.99, "copied"), (0.0, "painted"), (0.01, "")):
        dog = Watchdog(limits)
        said = [dog.check(step, {"painted": painted}, fine) for step in (1, 2, 3)]
        assert said[:2] == ["", ""] and (word in said[2] if word else said[2] == "")


def test_plan_says_everything_and_touches_nothing(tmp_path):
    data = tiny_folder(tmp_path / "data")
    found = plan_training(data, tmp_path / "run", tiny_config(steps=9)).to_json()
    assert found["steps"] == 9 and found["checkpoint"] is None
    assert found["data"]["videos"] == 3 and found["memory"]["activations"] > 0
    assert found["parameters"]["columns"] == 3 * 8
    assert not (tmp_path / "run").exists()
    json.dumps(found)
    copying = resolve("nano", "cpu", steps=9)  # the default on a CPU, which copies from photos
    assert copying.network.references
    both = [plan_training(data, tmp_path / "run", c) for c in (copying, _without(copying))]
    assert both[0].memory["activations"] > both[1].memory["activations"]


def _without(config: TrainConfig) -> TrainConfig:
    """The same without references."""
    return replace(config, network=replace(config.network, references=0))


def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(tmp_path):
    tiny_folder(tmp_path / "data", people=4, samples=3, shards=3)  # shards of unequal length
    (tmp_path / "out").mkdir()
    port = free_port()
    ranks = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "helpers" / "two_ranks.py"), str(tmp_path)],
            env=_environment()
            | {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=900) for process in ranks] == [0, 0]
    both = [torch.load(tmp_path / "out" / f"{r}.pt", weights_only=True) for r in range(2)]
    for name, value in both[0]["averaged"].items():
        assert torch.equal(value, both[1]["averaged"][name])
        torch.testing.assert_close(value, both[0]["joined"][name], rtol=1e-5, atol=1e-5)
    assert both[0]["steps"] == both[1]["steps"] == 9


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / ".typecheck"), str(ROOT / "tests" / "helpers")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def _run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", script], env=_environment(), timeout=900)
