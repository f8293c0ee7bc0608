"""Pages that describe the code name files that are there, and link to pages that are there."""

from __future__ import annotations

import re

import pytest
from places import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
#: A path of the repository in backticks: it begins with one of its folders.
PATH = re.compile(r"`((?:api|cli|docs|pipeline|schemas|tests|trainer)/[\w./-]*)`")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]+)?\)")
#: Rooms that the map must name, each by one of its modules at least.
ROOMS = sorted(
    str(path.parent.relative_to(ROOT))
    for folder in ("pipeline", "trainer")
    for path in (ROOT / folder).glob("*/__init__.py")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_links_are_there(page):
    text = page.read_text()
    paths = {name for name in PATH.findall(text) if not (ROOT / name).exists()}
    links = {name for name in LINK.findall(text) if not (page.parent / name).exists()}
    assert (paths, links) == (set(), set())


def test_the_map_leads_through_every_room():
    text = (DOCS / "architecture.md").read_text()
    assert [room for room in ROOMS if f"`{room}/" not in text] == []


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if page.name not in index + "index.md"] == []
