"""Damaged training data, counted and told: once when it is first met, and once at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.trainer.data.episodes import Batch

#: Share of episodes that may be damaged, and episodes after which it is judged.
MOST_DAMAGED, JUDGED_AFTER = 0.25, 64
_REMEDY = "`fsh shard --check-frames` names all, `fsh shard` makes changed shards anew"


class DamageTally:
    """Counts the episodes that could not be decoded, and says so.

    Attributes:
        episodes: seen so far.
        skipped: of them, those that others stood in for.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.episodes = self.skipped = 0
        self.samples: set[tuple[str, str]] = set()

    def count(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, counted as they pass."""
        for batch in batches:
            self.add(len(batch.keys), batch.damaged)
            yield batch

    def add(self, episodes: int, damaged: Iterable[tuple[str, str]]) -> None:
        """Count a batch; the first damage is said at once.

        Args:
            damaged: shard and sample key of each damaged episode.
        """
        damaged, first = list(damaged), not self.samples
        self.episodes += episodes
        self.skipped += len(damaged)
        self.samples.update(damaged)
        if damaged and first:
            shard, key = damaged[0]
            self.progress.say(
                f"{shard}: frames of sample {key} cannot be decoded; other samples stand in for "
                f"it and for any others, which are counted → {_REMEDY}"
            )

    @property
    def too_much(self) -> bool:
        """Whether so large a share is damaged that training on the rest is no use."""
        share = self.skipped / max(1, self.episodes)
        return self.episodes >= JUDGED_AFTER and share > MOST_DAMAGED

    def samples_by_shard(self) -> dict[str, int]:
        """Shard to its samples with frames that could not be decoded, as far as they were met."""
        return dict(sorted(Counter(shard for shard, _ in self.samples).items()))

    def summarize(self) -> None:
        """Say how much was damaged, if anything was."""
        if self.skipped:
            self.progress.say(f"{self._told()} → {_REMEDY}")

    def error(self) -> FshError:
        """What ends training where :attr:`too_much` is damaged."""
        return FshError(f"too much is damaged: {self._told()}", remedy=_REMEDY)

    def _told(self) -> str:
        shards = ", ".join(f"{shard} ({n} samples)" for shard, n in self.samples_by_shard().items())
        skipped = f"{self.skipped} of {self.episodes} episodes could not be decoded"
        return f"{skipped}, of {shards or 'shards that another process reads'}"
