"""A run's logs: ``metrics.jsonl`` and TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.places.temporary import replacing


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


def mean_losses(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each loss over steps; empty if there are none."""
    return {name: sum(r[name] for r in rows) / len(rows) for name in rows[-1]} if rows else {}


def losses_in_words(losses: Mapping[str, float]) -> str:
    """The losses of a step as the line of progress shows them."""
    hidden = ("discriminator", "real", "fake", "painted")
    generator = sum(v for k, v in losses.items() if k not in hidden)
    return f"G {generator:.2f}  D {losses.get('discriminator', 0.0):.2f}"
