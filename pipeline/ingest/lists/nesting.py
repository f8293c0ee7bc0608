"""Nested rows of a list as rows of one level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsh.pipeline.ingest.lists.boxes import box_in
from fsh.pipeline.ingest.lists.columns import BOX, column_names

#: Names of levels that say nothing: in ``emotion: labels: happy`` the emotion does.
_WRAPPERS = {"attributes", "info", "labels", "label", "value", "values", "meta", "metadata"}


def flat_record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A nested row as one level: each value under the innermost name that says what it is.

    Where two have one name, the outer one keeps it. Boxes stay whole.
    """
    flat: dict[str, Any] = {}
    level: list[tuple[str, Mapping[str, Any]]] = [("", entry)]
    while level:
        below = []
        for outer, values in level:
            names = column_names([str(key) for key in values])
            for name, value in zip(names, values.values(), strict=True):
                named = outer if outer and name in _WRAPPERS else name
                if isinstance(value, Mapping):
                    if name in BOX and (box := box_in(value)):
                        flat.setdefault(name, box)
                    else:
                        below.append((outer if name in _WRAPPERS else name, value))
                elif named not in flat:
                    flat[named] = value
        level = below
    return flat
