"""One of two training processes: its averaged gradients, the joined batch's, a run."""

import sys
from pathlib import Path

import torch
from tiny_run import Told, tiny_config

from fsh.schemas.places.layout import DataFolder
from fsh.trainer.distributed import join_processes
from fsh.trainer.training.loop import train
from fsh.trainer.training.losses import ContentLoss, Episodes
from fsh.trainer.training.objectives import MetaObjective
from fsh.trainer.training.phases import Loss
from fsh.trainer.training.state import Model

root = Path(sys.argv[1])
ranks = join_processes("cpu")
config = tiny_config(batch=4, steps=9)
half = config.batch // 2


def batch() -> Episodes:
    g = torch.Generator().manual_seed(0)
    shapes = [(4, 2, 3, 32, 32)] * 2 + [(4, 3, 32, 32)] * 2
    return Episodes(*(torch.rand(shape, generator=g) for shape in shapes), torch.arange(4) % 3)


def gradients(which: slice, average: bool) -> dict[str, torch.Tensor]:
    """Of both phases, for a part of the batch."""
    model = Model(config, ["a", "b", "c"])
    objective = MetaObjective(
        model.embedder,
        model.generator,
        model.discriminator,
        model.columns,
        ContentLoss(config.loss),
        config.loss,
    )
    whole = batch()
    parts = (getattr(whole, f) for f in Episodes.__dataclass_fields__)
    part = Episodes(*(part[which] for part in parts if part is not None))
    together = ranks.together if average else lambda loss: loss
    first = together(Loss(objective.generator, (model.embedder, model.generator)))
    made = first(part, None)
    made.total.backward()
    second = together(Loss(objective.discriminator, (model.discriminator, model.columns)))
    second(part, made).total.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


mine = slice(ranks.rank * half, (ranks.rank + 1) * half)
found = {"averaged": gradients(mine, True), "joined": gradients(slice(0, 4), False)}
report = train(DataFolder(root / "data"), root / "run", tiny_config(steps=9), Told())
torch.save({**found, "steps": report.steps}, root / "out" / f"{ranks.rank}.pt")
