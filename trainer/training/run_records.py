"""What a training run writes down at its start: its configuration, and whom it sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.progress import Progress
from fsh.schemas.trained_on import TrainedOn
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.plan import DataPlan
from fsh.trainer.training.session import Session


def record_training(run: RunFolder, plan: DataPlan, *, resumed: bool, progress: Progress) -> None:
    """Record, before the first step, whom the run sees, beside those it saw before.

    Args:
        resumed: whether the run has been trained before; else what is recorded is of another run.
    """
    now = TrainedOn(plan.faces, (plan.card.sha256,))
    try:
        before = TrainedOn.read(run.trained_on) if resumed else None
    except FshError as error:
        progress.say(f"{error.where}: {error.what}: begun anew with this data set")
        before = None
    (before.joined(now) if before else now).write(run.trained_on)


def write_config(run: RunFolder, config: TrainConfig) -> None:
    """``config.json``: for people, and the sign that this folder is a run."""
    with replacing(run.config) as temporary:
        temporary.write_text(json.dumps(config.to_json(), indent=1) + "\n")


def report_differences(saved: Mapping[str, Any], session: Session, progress: Progress) -> None:
    """Say what is not as it was when the checkpoint was written."""
    if saved["features"] != session.features:
        progress.say(f"content features were {saved['features']}, are {session.features} now")
    if (saved["world"], saved["workers"]) != (session.world, session.config.workers):
        progress.say("other processes or loaders than before: the data order differs")
