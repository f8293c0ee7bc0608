"""Pages for a browser: what strangers wrote is shown as text, and nothing else can happen.

Names and labels come from lists, files and video sites. They are escaped, and should one get
through, the page's content security policy lets it load, run and send nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import jinja2

from fsh.schemas.text import page_text

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
#: Pictures and styles that stand in the page itself, and nothing from anywhere.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)


def render_page(package: str, name: str, **values: object) -> str:
    """A page from a package's template, which prints its policy as ``{{ policy }}``.

    The template's own script is the only one that its policy lets run, so no value may be in it.

    Args:
        package: where the template lies. name: its file.
        values: what it shows; texts are escaped.
    """
    source = (files(package) / name).read_text(encoding="utf-8")
    scripts = _SCRIPT.findall(source)
    assert not any("{{" in script or "{%" in script for script in scripts), name
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()) for script in scripts)
    allowed = " ".join(f"'sha256-{one.decode()}'" for one in hashes)
    policy = f"{_POLICY}; script-src {allowed}" if allowed else _POLICY
    environment = jinja2.Environment(autoescape=True, finalize=page_text)
    return environment.from_string(source).render(policy=policy, **values)
