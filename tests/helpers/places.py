"""Where the repository is, whatever folder a test lies in."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Links that make ``fsh`` importable from a checkout (docs/decisions/0001).
LINKS = ROOT / ".typecheck"
