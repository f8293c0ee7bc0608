"""Sandboxes that stay alive between the bundles of one process."""

from __future__ import annotations

from functools import cache

from fsh.pipeline.engine.idle_pool import IdlePool
from fsh.pipeline.sandbox import Sandbox


@cache
def sandbox_pool(memory_limit: int) -> IdlePool[Sandbox]:
    """This process's sandboxes of that limit: as many as there were jobs at the same time.

    A job takes one that is idle, because it has loaded its models already.

    Args:
        memory_limit: see :class:`~fsh.pipeline.sandbox.Sandbox`.
    """
    return IdlePool(lambda: Sandbox(memory_limit), Sandbox.close)
