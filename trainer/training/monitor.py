"""What a run leaves to look at: ``metrics.jsonl``, TensorBoard, and grids of samples as PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from fsh.schemas.layout import replacing


class Monitor:
    """Appends to a run's logs. A resumed run cuts off what lies beyond its checkpoint."""

    def __init__(self, run: Path, start: int) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.path = run / "metrics.jsonl"
        _cut(self.path, start)
        self.file = self.path.open("a", buffering=1)
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def close(self) -> None:
        self.file.close()
        self.board.close()


def _cut(path: Path, last: int) -> None:
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


def to_pictures(images: Tensor) -> np.ndarray:
    """float (B, 3, H, W) in −1…1 to uint8 (B, H, W, 3)."""
    scaled = (images.float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def grid(columns: list[np.ndarray]) -> np.ndarray:
    """Columns of pictures uint8 (B, H, W, 3) side by side, one row per picture."""
    return np.concatenate([np.concatenate(list(column)) for column in columns], axis=1)


def write_png(path: Path, picture: np.ndarray) -> None:
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
