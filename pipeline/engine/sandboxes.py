"""Sandboxes that stay alive between the bundles of one process."""

from __future__ import annotations

from functools import cache

from fsh.pipeline.engine.idle_pool import IdlePool
from fsh.pipeline.sandbox import Sandbox


@cache
def sandbox_pool(memory_limit: int, most: int) -> IdlePool[Sandbox]:
    """This process's sandboxes of that limit; a job takes one that has loaded its models already.

    Args:
        memory_limit: see :class:`~fsh.pipeline.sandbox.Sandbox`.
        most: at work at the same time: engines hand a process as many bundles as they like.
    """
    return IdlePool(lambda: Sandbox(memory_limit), Sandbox.close, most=most)
