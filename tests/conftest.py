"""Fixtures that several test files share."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

# Tests run side by side on few cores: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Whether a test passes depends on the code, and neither on luck nor on how busy the machine is.
hypothesis.settings.register_profile(
    "fsh",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fsh")

# A checkout works without being installed, in the tests' child processes too.
_LINKS = str(Path(__file__).parent.parent / ".typecheck")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_LINKS, os.environ.get("PYTHONPATH")]))
# A signing key of their own: tests leave the user's alone.
_HOME = None if "FSH_HOME" in os.environ else tempfile.TemporaryDirectory(prefix="fsh-tests-")
if _HOME:
    os.environ["FSH_HOME"] = _HOME.name
    # So are the temporary files of the processes that tests start and kill.
    tempfile.tempdir = tempfile.gettempdir()  # this one keeps its own, and pytest's folders
    os.environ["TMPDIR"] = f"{_HOME.name}/tmp"
    Path(os.environ["TMPDIR"]).mkdir()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Every test begins with the same random numbers, whichever came before it in this process."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


def pytest_unconfigure():
    """Remove both; processes that run tests side by side end without Python's own clearing up."""
    if _HOME:
        _HOME.cleanup()


@pytest.fixture(scope="module")
def s3_store(tmp_path_factory):
    """The folder that a real S3 server on loopback serves, and its port."""
    from object_store import s3_server

    folder = tmp_path_factory.mktemp("s3") / "served"
    with s3_server(folder) as port:
        yield folder, port


@pytest.fixture
def s3_place(s3_store, tmp_path):
    """A data folder there that is not yet; this process uses the server."""
    from object_store import Place, using

    served, port = s3_store
    with using(port, tmp_path / "cache"):
        yield Place(served, tmp_path.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Where everything that tests need is installed, being skipped is a failure.

    ``FSH_NEVER_SKIPPED`` names the files of tests for which that holds.
    """
    report = yield
    names = os.environ.get("FSH_NEVER_SKIPPED", "").split()
    if report.skipped and item.path.name in names:
        report.outcome = "failed"
        report.longrepr = f"skipped, and it must not be here: {report.longrepr}"
    return report
