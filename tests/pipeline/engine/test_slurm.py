"""The array job of docs/scale.md, on a real Slurm."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from erasable import contents, span_tables
from places import ROOT
from slurm import slurm

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.parquet import read_sources
from fsh.schemas.tables.records import SourceState


def documented(command: str) -> str:
    """The sbatch file of the page that shows it, with this many tasks and this Python's fsh."""
    page = (ROOT / "docs" / "scale.md").read_text()
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", page, re.DOTALL)
    assert "--array=1-40" in script and "/40" in script
    script = re.sub(r"#SBATCH --(time|mem|cpus-per-task)=.*\n", "", script)
    fsh = f"{shlex.quote(sys.executable)} -m fsh.cli"
    script = script.replace("--array=1-40", "--array=1-2").replace("/40", "/2")
    shown = "srun fsh shard --data /shared/set"
    assert shown in script
    return script.replace(shown, f"srun {fsh} {command}")


@pytest.mark.slow
def test_an_array_job_and_then_a_plain_run(videos, local, tmp_path):
    """Two tasks of ``fsh ingest``, two of ``fsh shard``, and what makes the data set of it."""
    folder, data = Path(tmp_path, "slurm"), DataFolder(tmp_path / "data")
    listing = tmp_path / "list.csv"
    rows = [f"{path},{name}" for path, name in videos.items() if name != "nobody"]
    listing.write_text("\n".join(["url,identity", *rows]) + "\n")
    chosen = f"--data {data.root} --quiet"
    with slurm(folder) as environment:
        for command in (
            f"ingest {listing} --copy {chosen}",
            f"shard --landmarks dlib --workers 1 {chosen}",
        ):
            script = tmp_path / "job.sh"
            script.write_text(documented(command))
            done = subprocess.run(
                ["sbatch", "--wait", script], env=environment, cwd=tmp_path, capture_output=True
            )
            logs = "".join(path.read_text() for path in tmp_path.glob("*.out"))
            assert done.returncode == 0, (done.stderr, logs)
    assert [s.state for s in read_sources(data.sources)] == [SourceState.STORED] * len(rows)
    assert len(span_tables(data)) == len(rows)
    assert not data.clips.exists()
    fsh = [sys.executable, "-m", "fsh.cli", "shard", "--landmarks", "dlib", "--data", data.root]
    subprocess.run([*fsh, "--quiet"], env=environment, check=True, stdout=subprocess.DEVNULL)
    made = contents(data)
    assert {name for name in made if name.endswith(".tar")} <= local.keys()
