"""Fixtures that several test files share."""

from __future__ import annotations

import os

# Tests run side by side on few cores: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
