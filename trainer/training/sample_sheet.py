"""The sample sheet of a checkpoint: source, landmarks, target, output, one row per episode."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.run_layout import RunFolder
from fsh.schemas.run_pictures import record_pictures
from fsh.schemas.shards.card import DatasetCard
from fsh.trainer.config import TrainConfig
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.pictures import (
    landmark_images_to_pictures,
    picture_grid,
    to_images,
    to_landmark_images,
    to_pictures,
    write_png,
)
from fsh.trainer.data.plan import plan_data
from fsh.trainer.models.references import References
from fsh.trainer.training.episode_feed import references_of
from fsh.trainer.training.losses import Episodes, generate
from fsh.trainer.training.methods import METHODS
from fsh.trainer.training.state import AveragedNetworks


class SampleSheet:
    """Six fixed episodes, of people never trained on where the data set has some."""

    ROWS = 6

    def __init__(self, data: DataFolder, config: TrainConfig) -> None:
        self.method = METHODS[config.method]
        card = DatasetCard.read(data.card)
        plan = plan_data(data, workers=0, split="val" if card.split("val") else "train")
        stream = EpisodeStream(
            plan.shards,
            crop_size=card.spec.size,
            image_size=config.network.picture_size,
            landmark_size=config.network.size,
            frames=config.frames,
            batch=self.ROWS,
            seed=config.seed,
            opener=plan.opener,
            gaze=config.gaze,
        )
        batch = next(stream.batches())
        self.videos = batch.videos
        images = to_images(batch.images, config.device)
        drawn = to_landmark_images(batch.landmark_images, config.device)
        points, network = batch.points.to(config.device), config.network
        references: References | None = None
        if network.references:
            references = references_of(images[:, :-1], points, network, network.references)
        nobody = torch.zeros(self.ROWS, dtype=torch.long)
        self.episodes = Episodes(
            images[:, :-1], drawn[:, :-1], images[:, -1], drawn[:, -1], nobody, references
        )

    @torch.no_grad()
    def write(self, run: RunFolder, average: AveragedNetworks, step: int) -> Path:
        """Draw the sheet with the averaged networks to ``samples/step-<n>.png``; its path."""
        shown, size = self.episodes, self.episodes.images.shape[-1]
        condition = self.method.condition(
            average, shown.source_images, shown.source_landmark_images
        )
        output, _ = generate(average.generator, shown, condition)
        drawn = F.interpolate(shown.landmark_images, (size, size))
        record_pictures(run.root, run.samples, self.videos)
        path = run.sample_sheet(step)
        columns = [
            to_pictures(shown.source_images[:, 0]),
            landmark_images_to_pictures(drawn),
            to_pictures(shown.images),
            to_pictures(output),
        ]
        write_png(path, picture_grid(columns))
        return path
