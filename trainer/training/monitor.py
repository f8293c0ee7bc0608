"""A run's logs: ``metrics.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from fsh.schemas.layout import RunFolder
from fsh.schemas.temporary import replacing


class Monitor:
    """Appends to a run's logs. A resumed run cuts off what lies beyond its checkpoint.

    Args:
        start: the step of the checkpoint; 0 for a new run.
    """

    def __init__(self, run: RunFolder, start: int) -> None:
        run.root.mkdir(parents=True, exist_ok=True)
        _truncate(run.metrics, start)
        self.file = run.metrics.open("a", buffering=1)
        self.board = SummaryWriter(str(run.tensorboard), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """A step's numbers, by name."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def close(self) -> None:
        self.file.close()
        self.board.close()


def _truncate(path: Path, last: int) -> None:
    """Drop lines beyond step ``last`` and a half-written one at the end."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if json.loads(line)["step"] <= last:
                kept.append(line)
        except json.JSONDecodeError:
            break
    with replacing(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept))
