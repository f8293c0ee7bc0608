"""Batches on their way to the device."""

from contextlib import contextmanager

import pytest
import torch
from solid_head import placed
from tiny_data import write_data
from tiny_run import tiny_config, tiny_folder

from fsh.schemas.progress import Silent
from fsh.trainer.config import NetworkConfig
from fsh.trainer.data.plan import plan_data
from fsh.trainer.distributed import Ranks
from fsh.trainer.models.face_colors import face_colors
from fsh.trainer.models.video_embeddings import VideoEmbeddings
from fsh.trainer.training.damage import DamageTally
from fsh.trainer.training.episode_feed import (
    moved_on_stream,
    open_batches,
    open_episodes,
    references_of,
    to_device,
)
from fsh.trainer.training.session import Session


class Recorded:
    """A stream that writes down what is asked of it."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @contextmanager
    def copying(self):
        self.log.append("(")
        yield
        self.log.append(")")

    def hand_over(self, episodes) -> None:
        self.log.append(f"over {episodes}")


def test_a_batch_is_moved_on_the_stream_and_handed_over_before_it_is_used():
    stream = Recorded()

    def move(batch):
        stream.log.append(f"move {batch}")
        return batch

    for episodes in moved_on_stream(range(2), move, stream):
        stream.log.append(f"use {episodes}")
    one = ["(", "move {}", ")", "over {}", "use {}"]
    assert stream.log == [line.format(i) for i in range(2) for line in one]


def test_the_cpu_gets_the_loaders_batches_in_order(tmp_path):
    config = tiny_config(augment=False)
    plan = plan_data(tiny_folder(tmp_path), workers=0)
    session = Session.new(config, plan, {})
    batches = open_batches(plan, session, Ranks())
    episodes = open_episodes(plan, session, Ranks(), DamageTally(Silent()))
    for _ in range(4):
        batch, found = next(batches), next(episodes)
        assert (
            session.model.columns.indices_of(batch.videos).tolist() == found.video_indices.tolist()
        )
        wanted = (batch.images[:, -1].permute(0, 3, 1, 2) / 127.5) - 1
        assert torch.equal(found.images, wanted)
        assert found.images.is_contiguous(memory_format=torch.channels_last)
    batches.close()


@pytest.mark.parametrize("augment", [False, True])
def test_episodes_know_what_is_real_unless_all_is(tmp_path, augment):
    config = tiny_config(augment=augment)
    edges = [16.0, 0.0, 64.0, 64.0]
    for name, real in (("all", None), ("some", edges)):
        folder = tmp_path / name
        data = write_data(folder, people=2, samples=3, frames=5, shards=1, real=real)
        plan = plan_data(data, workers=0)
        session = Session.new(config, plan, {})
        found = next(open_episodes(plan, session, Ranks(), DamageTally(Silent())))
        if real is None:
            assert found.real is None and found.source_real is None
        else:
            assert found.real.shape == (len(found.images), 4)
            assert found.source_real.shape == (*found.source_images.shape[:2], 4)
            left, right = (0.25, 0, 1, 1), (0, 0, 0.75, 1)
            assert {tuple(window) for window in found.real.tolist()} <= {left, right}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_what_the_cpu_gets(tmp_path):
    from fsh.trainer.training.episode_feed import CudaCopyStream

    plan = plan_data(tiny_folder(tmp_path), workers=0)
    cpu, gpu = tiny_config(augment=False), tiny_config(augment=False, device="cuda")
    session = Session.new(cpu, plan, {})
    columns = VideoEmbeddings(session.model.columns.ids, 8, 0)
    batches = [b for b, _ in zip(open_batches(plan, session, Ranks()), range(6), strict=False)]
    moved = moved_on_stream(batches, lambda b: to_device(b, columns, gpu), CudaCopyStream("cuda"))
    for batch, found in zip(batches, moved, strict=True):
        wanted = to_device(batch, columns, cpu)
        torch.testing.assert_close(found.images.cpu(), wanted.images)
        assert torch.equal(found.video_indices.cpu(), wanted.video_indices)


def test_photos_of_another_scene_give_their_faces_alone_and_the_still_one_is_of_this_scene():
    """However unlike the target the one photo of its scene is."""
    network = NetworkConfig(16, 4, 4, 4, 8, 8, downs=2, residuals=1, attention=False, references=2)
    points = torch.stack([placed(x=0.7), placed(), placed(), placed()])[None]
    sources = torch.rand(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    away = torch.tensor([[False, True, True]])
    made = references_of(sources, points, network, 3, elsewhere=away)
    assert torch.equal(made.still, sources[:, 0])
    beside = made.face[0, 0] == 0
    assert made.trust[0, 0][beside].max() == 0 and made.trust[0, 1][beside].max() == 1
    known = references_of(sources, points, network, 3)
    assert known.trust[0, 0][beside].max() == 1
    # The one bent first has the face colors of the photo of this scene.
    first, other = (
        face_colors(made.pictures[0, 0], points[0, 1]),
        face_colors(sources[0, 0], points[0, 0]),
    )
    assert torch.allclose(first[0], other[0], atol=0.02)
