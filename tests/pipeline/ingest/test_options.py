"""The options of a run: what is refused, and that they are light to import."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.site_options import SiteOptions
from fsh.schemas.errors import FshError


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"license": "mit"}, "license is any or cc, not mit"),
        ({"retry": "never"}, "retry is none, transient, permanent, all, not never"),
        ({"site": SiteOptions(cookies=Path("no-cookies.txt"))}, "no such cookie file"),
    ],
)
def test_unknown_values_are_refused(option, message):
    with pytest.raises(FshError, match=message):
        IngestOptions(**option).site.check()


def test_options_plans_and_reports_need_no_beam(tmp_path):
    (tmp_path / "list.txt").write_text("https://host.org/a.mp4\n")
    script = """
        import sys
        from fsh.pipeline.ingest.options import IngestOptions
        from fsh.pipeline.ingest.plan import plan_ingest
        from fsh.pipeline.ingest.report import TooManyFailures
        assert plan_ingest([sys.argv[1]]).to_fetch == 1
        assert not {"apache_beam", "yt_dlp"} & set(sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "list.txt")]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
