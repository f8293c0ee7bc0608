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
from markupsafe import Markup

from fsh.schemas.text import page_text

#: How a template takes in a script or a style sheet that lies beside it.
_PART = re.compile(r'\{% include "([\w.]+)" %\}')
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_STYLE_ATTRIBUTE = re.compile(r"<[^>]*\sstyle=")
#: What stands in the page itself, and nothing from anywhere.
STANDING_ALONE = "img-src data:"
#: How ``{{ values | tojson }}`` writes: no markup can be in it, wherever on a page it stands.
_JSON = {"separators": (",", ":"), "allow_nan": False}


def render_page(package: str, name: str, allowed: str = STANDING_ALONE, **values: object) -> str:
    """A page from a package's template, which prints its policy as ``{{ policy }}``.

    The template's own scripts are the only ones that its policy lets run, so no value may be in
    them; they read what ``tojson`` printed elsewhere. The same holds for its style sheets, unless
    it has ``style`` attributes.

    Args:
        package: where the template lies. name: its file.
        allowed: directives of the policy beyond those for scripts and styles.
        values: what it shows; texts are escaped.

    Raises:
        ValueError: if JSON has no such value.
    """
    source = _read(package, name)
    markup = _SCRIPT.sub("", _STYLE.sub("", source))
    source = _PART.sub(lambda found: _read(package, found[1]), source)
    scripts, styles = _SCRIPT.findall(source), _STYLE.findall(source)
    assert not any(mark in s for s in (*scripts, *styles) for mark in ("{{", "{%", "{#")), name
    style_hashes = "'unsafe-inline'" if _STYLE_ATTRIBUTE.search(markup) else _hashes(styles)
    policy = Markup(  # nothing in it is a value's
        f"default-src 'none'; base-uri 'none'; form-action 'none'; script-src {_hashes(scripts)}; "
        f"style-src {style_hashes}; {allowed}"
    )
    environment = jinja2.Environment(autoescape=True, finalize=page_text)
    environment.policies["json.dumps_kwargs"] = _JSON
    return environment.from_string(source).render(policy=policy, **values)


def _read(package: str, name: str) -> str:
    return (files(package) / name).read_text(encoding="utf-8")


def _hashes(parts: list[str]) -> str:
    """Sources of a policy that are exactly these scripts or style sheets."""
    digests = (base64.b64encode(hashlib.sha256(part.encode()).digest()) for part in parts)
    return " ".join(f"'sha256-{one.decode()}'" for one in digests) or "'none'"
