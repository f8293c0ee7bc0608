"""Write the generated parts of the docs: ``make docs``. A test fails when they are stale."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from fsh.schemas.tables.columns import CLIPS, SOURCES
from fsh.schemas.tables.versions import describe_columns

DOCS = Path(__file__).parent


def table_of(schema) -> str:
    rows = [f"| `{name}` | {kind} | {text} |" for name, kind, text in describe_columns(schema)]
    return "\n".join(["| column | type | what it is |", "| --- | --- | --- |", *rows])


def filled(text: str) -> str:
    """The page with every ``<!-- table NAME -->`` block rewritten."""
    tables = {"sources": table_of(SOURCES), "clips": table_of(CLIPS)}
    return re.sub(
        r"(<!-- table (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{tables[found[2]]}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def commands() -> str:
    """Every command's help as Markdown, by typer's own generator."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "fsh.cli.commands", "utils", "docs", "--name", "fsh"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() + "\n"


def pages() -> dict[Path, str]:
    data = DOCS / "data.md"
    return {data: filled(data.read_text()), DOCS / "commands.md": commands()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
