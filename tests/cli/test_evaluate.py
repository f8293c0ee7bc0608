"""``fsh evaluate``: its options, and the whole command with real detectors."""

from __future__ import annotations

import json

import pytest
from command import fsh
from tiny_data import write_data
from tiny_run import Told, tiny_config, tiny_folder
from typer.testing import CliRunner

from fsh.cli.commands import app
from fsh.cli.evaluate import shots_in
from fsh.evaluation.options import fine_tuning_steps
from fsh.schemas.errors import FshError
from fsh.trainer.evaluation.baselines import BASELINES
from fsh.trainer.training.loop import train


def test_photos_and_steps_are_numbers_or_words():
    assert shots_in("8, 1,8") == (1, 8) and fine_tuning_steps("authors")(1) == 125
    assert fine_tuning_steps("7")(32) == fine_tuning_steps(7)(32) == 7
    assert fine_tuning_steps("own")(1) is None
    for bad in ("0", "", "1,x"):
        with pytest.raises(FshError, match="not numbers of photos"):
            shots_in(bad)
    with pytest.raises(FshError, match="not a number of steps"):
        fine_tuning_steps("many")


def test_the_whole_command(tmp_path, monkeypatch):
    """Two methods trained, one identity each way, real detectors, every file; then again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path / "weights"))
    seen = tiny_folder(tmp_path / "seen")
    for method in ("fsth", "x2face"):
        train(seen, tmp_path / "runs" / method, tiny_config(steps=2, method=method), Told())
    write_data(tmp_path / "data", people=2, samples=1, frames=6, split="test", first=7)
    words = "evaluate --shots 1 --frames 3 --held 3 --steps 1 --json -q --user-study asked"
    command = [*words.split(), "--protocol", "fsth,modern", "--against", "runs/x2face"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    body = json.loads(result.stdout)
    systems = {row["system"] for row in body["results"]}
    assert systems == {"fsh FF", "fsh FT", "X2Face-like", *BASELINES[:3]}
    rows = [row for row in body["results"] if row["protocol"] == "fsth"]
    values = {row["metric"]: row["value"] for row in rows if row["system"] == "fsh FF"}
    assert values["fid"] is None and 0 < values["csim_dlib"] <= 1 and values["ssim"] < 1
    assert values["sharpness"] > 0
    assert {"runs", "frames", "crop", "seed"} <= set(body) and body["compared_at"] == "64 px"
    assert list(body["files"]) == ["fsth", "modern"]
    for key in ("json_file", "table", "page", "user_study"):
        assert (tmp_path / body["files"]["fsth"][key]).is_file()
    cells = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.npz")}
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(again.stdout)["results"] == body["results"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.npz")} == cells


def test_a_size_is_one_of_two(tmp_path):
    done = fsh("evaluate", "--size", "64", "--run", "a", cwd=tmp_path)
    assert done.returncode == 1 and "use crop or network" in done.stderr


def test_the_command_ends_in_one_line_without_a_run(tmp_path):
    done = fsh("evaluate", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "no training run here" in done.stderr


def test_answers_are_scored_without_a_run(tmp_path):
    asked = {"system": "fsh FT", "shots": 8, "fake": 1}
    triplets = [{**asked, "name": f"q{n}", "identity": f"id{n}"} for n in range(4)]
    (tmp_path / "key.json").write_text(json.dumps({"study": "s", "triplets": triplets}))
    answers = {"study": "s", "answers": {"q0": 1, "q1": 1, "q2": 1, "q3": 0}}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    done = fsh("evaluate", "--score", "answers.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fsh FT, T = 8: USER 0.75" in done.stdout and "n = 4" in done.stdout
    done = fsh("evaluate", "--score", "answers.json", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert result["participants"] == 1 and result["results"][0]["value"] == 0.75
