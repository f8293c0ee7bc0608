"""The sample sheet of a checkpoint: source, landmarks, target, output, one row per person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fsh.schemas.layout import DataFolder, RunFolder
from fsh.schemas.run_pictures import record_pictures
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.plan import plan_data
from fsh.trainer.training.methods import METHODS
from fsh.trainer.training.monitor import grid, to_pictures, write_png

if TYPE_CHECKING:
    from fsh.trainer.training.session import Session


class SampleSheet:
    """Six fixed episodes, of people never trained on where the data set has some."""

    ROWS = 6

    def __init__(self, data: DataFolder, config: TrainConfig) -> None:
        from fsh.schemas.card import DatasetCard

        card = DatasetCard.read(data.card)
        self.split = "val" if card.split("val") else "train"
        plan = plan_data(data, workers=0, split=self.split)
        stream = EpisodeStream(
            plan.shards,
            size=card.spec.size,
            image=config.network.size,
            frames=config.frames,
            batch=self.ROWS,
            seed=config.seed,
        )
        batch = next(iter(stream))
        self.videos = batch.videos
        self.images = (batch.images.float() / 127.5 - 1).movedim(-1, -3).to(config.device)
        self.landmarks = (batch.landmarks.float() / 255).movedim(-1, -3).to(config.device)

    @torch.no_grad()
    def write(self, run: Path, session: Session) -> Path:
        """Draw the sheet with the averaged networks to ``samples/step-<n>.png``."""
        average = session.average
        sources, landmarks = self.images[:, :-1], self.landmarks[:, -1]
        method = METHODS[session.config.method]
        described = method.describe(average, sources, self.landmarks[:, :-1])
        output = average.generator(landmarks, described)
        folder = RunFolder(run).samples
        record_pictures(run, folder, self.videos)
        path = folder / f"step-{session.step:08d}.png"
        columns = [sources[:, 0], landmarks * 2 - 1, self.images[:, -1], output]
        write_png(path, grid([to_pictures(column) for column in columns]))
        return path
