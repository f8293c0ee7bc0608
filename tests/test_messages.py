"""What messages advise: never to delete anything that fsh may not have written."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    p
    for name in ("api", "cli", "pipeline", "schemas", "trainer")
    for p in (ROOT / name).rglob("*.py")
]
_DELETES = re.compile(r"\b(remove|delete|erase|rm)\b", re.IGNORECASE)


def remedies(tree: ast.AST) -> list[str]:
    """The texts of every ``remedy=`` and of constants that are named so."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "remedy":
            found.append(node.value)
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if any("remedy" in name.lower() or name == "_MEANINGS" for name in names):
                found.append(node.value)
    texts = [part for one in found for part in ast.walk(one) if isinstance(part, ast.Constant)]
    return [text.value for text in texts if isinstance(text.value, str)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_remedy_deletes(path):
    bad = [text for text in remedies(ast.parse(path.read_text())) if _DELETES.search(text)]
    assert not [text for text in bad if "--yes" not in text]


def test_remedies_are_found():
    tree = ast.parse('_REMEDY = "remove it"\nraise E("x", remedy=f"delete {name}")')
    assert [bool(_DELETES.search(text)) for text in remedies(tree)] == [True, True]
