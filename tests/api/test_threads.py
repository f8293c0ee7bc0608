"""PyTorch's threads: how many, and how long they spin."""

from __future__ import annotations

import os

import pytest

from fsh import threads


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(monkeypatch, own):
    monkeypatch.setattr(os, "environ", dict(own))
    threads.limit_spinning()
    assert os.environ == (own or {"GOMP_SPINCOUNT": threads.SPINS})


@pytest.mark.parametrize(
    ("size", "own", "wanted"), [(64, {}, 3), (128, {}, 4), (64, {"OMP_NUM_THREADS": "4"}, 4)]
)
def test_small_networks_leave_a_core_to_others(monkeypatch, size, own, wanted):
    import torch

    before = torch.get_num_threads()
    monkeypatch.setattr(os, "environ", dict(own))
    torch.set_num_threads(4)
    try:
        assert threads.set_thread_count(size, cores=4) == wanted == torch.get_num_threads()
        assert threads.set_thread_count(size, cores=4) == wanted, (
            "called twice, it is still one core"
        )
    finally:
        torch.set_num_threads(before)
