"""``python -m fsh.cli`` is ``fsh``."""

from fsh.cli.app import run

run()
