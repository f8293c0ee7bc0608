"""Which licences are let in."""

from __future__ import annotations

import re

from fsh.pipeline.ingest.failures import Failure
from fsh.schemas.tables.records import ErrorClass

_CREATIVE_COMMONS = re.compile(r"creative\s*commons|creativecommons|\bcc[\s_-]?(by|0|zero)\b", re.I)


def is_creative_commons(license: str) -> bool:
    """Whether a stated licence is one of Creative Commons'."""
    return _CREATIVE_COMMONS.search(license) is not None


def check_license(license: str, admitted: str) -> None:
    """Refuse a video whose licence is not among those asked for.

    Args:
        license: as the host or the list states it; "unknown" if neither does.
        admitted: 'any', or 'cc': only Creative Commons.

    Raises:
        Failure: if it is refused.
    """
    if admitted == "cc" and not is_creative_commons(license):
        text = f"licence {license}; only Creative Commons asked for"
        raise Failure(ErrorClass.REFUSED, "license", text)
