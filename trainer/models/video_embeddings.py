"""W: one learned embedding per training video, a column of the paper's matrix W.

Kept by the video's id and apart from D: a data set may grow or shrink between two runs. An
embedding is found by name, a new video gets a new one, and no checkpoint fails to load because the
numbers of videos differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash


class VideoEmbeddings(nn.Module):
    """W, transposed: rows of ``weight`` (V, N), float32; row i belongs to video ``ids[i]``."""

    def __init__(self, ids: Iterable[str], embedding: int, seed: int) -> None:
        super().__init__()
        self.ids = tuple(sorted(set(ids)))
        self.index = {name: i for i, name in enumerate(self.ids)}
        rows = [initial_embedding(name, embedding, seed) for name in self.ids]
        self.weight = nn.Parameter(torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, 1))

    def forward(self, indices: Tensor) -> Tensor:
        """Row numbers (B,) to the videos' embeddings (B, N)."""
        return self.weight[indices]

    def indices_of(self, videos: Sequence[str]) -> Tensor:
        """Row numbers int64 (B,) of these videos.

        Raises:
            FshError: naming a video that the data set's table of clips does not know.
        """
        try:
            return torch.tensor([self.index[name] for name in videos])
        except KeyError as error:
            raise FshError(
                f"video {error} is in a shard but not among the kept training clips",
                remedy="run `fsh shard` again: shards and tables do not belong together",
            ) from None


def initial_embedding(name: str, embedding: int, seed: int) -> np.ndarray:
    """A new video's float32 (N,), uniform in ±0.1, the same whatever other videos there are."""
    random = np.random.default_rng(stable_hash(name, salt=f"column-{seed}"))
    return random.uniform(-0.1, 0.1, embedding).astype(np.float32)


def carry_over(old: Tensor, old_ids: Sequence[str], new: Tensor, new_ids: Sequence[str]) -> Tensor:
    """``new`` with every row replaced by ``old``'s row of the same name, where it has one."""
    where = {name: i for i, name in enumerate(old_ids)}
    pairs = [(i, where[name]) for i, name in enumerate(new_ids) if name in where]
    merged = new.clone()
    if pairs:
        targets, sources = (torch.tensor(side) for side in zip(*pairs, strict=True))
        merged[targets] = old[sources].to(merged)
    return merged
