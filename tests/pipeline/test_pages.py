"""Pages: what strangers wrote is text, and the policy lets nothing but the page's own run."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from places import ROOT

from fsh.pipeline.pages import render_page

EVIL = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>{{7*7}}"
TEMPLATES = sorted(
    path for folder in ("api", "pipeline") for path in (ROOT / folder).rglob("*.html.j2")
)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_page_has_a_policy_before_anything_that_it_is_about(path):
    text = path.read_text()
    place = text.index('http-equiv="Content-Security-Policy" content="{{ policy }}"')
    assert place < min(text.index("<style"), text.index("<title"))
    assert not re.search(r"\son\w+=|javascript:|\|\s*safe|autoescape", text)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))


def test_names_stay_text_and_only_the_page_s_own_script_runs():
    questions = [{"name": EVIL, "pictures": ["data:image/png;base64,AA", EVIL]}]
    page = render_page("fsh.evaluation", "user_study.html.j2", study=EVIL, questions=questions)
    seen = Elements()
    seen.feed(page)
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert not any(name.startswith("on") for _, found in seen.tags for name in found)
    policy = next(found["content"] for tag, found in seen.tags if "http-equiv" in found)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "49" not in page.replace(script, "")
