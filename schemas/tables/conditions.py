"""Conditions on the labels of a list's rows, as ``--only language=English`` gives them."""

from __future__ import annotations

import json
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fsh.schemas.errors import FshError
from fsh.schemas.text import shown

_CONDITION = re.compile(r"\s*([^=!<>]+?)\s*(!=|>=|<=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Condition:
    """What a label must be.

    Attributes:
        name: of the label, in lower case with underscores.
        operator: ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
        value: what it is compared with: as a text, whatever its case; with the last four
            operators as a number.
    """

    name: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises:
        FshError: if it is none.
        """
        found = _CONDITION.fullmatch(text)
        if not found or (found[2] in _ORDERS and _number(found[3]) is None):
            raise FshError(
                f"not a condition: {shown(text)}",
                remedy="write NAME=VALUE, NAME!=VALUE or, for a number, NAME>=VALUE (--only)",
            )
        return cls(found[1].lower().replace(" ", "_").replace("-", "_"), found[2], found[3])

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.value}"

    def holds(self, label: str) -> bool:
        """Whether a label's text is so; of several with commas between, whether one is."""
        if self.operator in _ORDERS:
            number, wanted = _number(label), _number(self.value)
            if number is None or wanted is None:
                return False
            return _ORDERS[self.operator](number, wanted)
        wanted_text = self.value.casefold()
        parts = {label.casefold(), *(part.strip().casefold() for part in label.split(","))}
        return (wanted_text in parts) == (self.operator == "=")


def all_hold(conditions: Iterable[Condition], label: Callable[[str], str]) -> bool:
    """Whether all conditions hold.

    Args:
        label: gives the text of a label by its name; empty if there is none.
    """
    return all(condition.holds(label(condition.name)) for condition in conditions)


def label_in(labels: str, name: str) -> str:
    """One of the labels of a row.

    Args:
        labels: a JSON object of texts; may be empty.
        name: of the label.

    Returns:
        The text; empty if there is none.
    """
    return str(json.loads(labels).get(name, "")) if labels else ""


def names_found(labels: Sequence[str], most: int = 12) -> str:
    """The names of labels that rows have, for a message, the most frequent first."""
    names = Counter(name for one in labels if one for name in json.loads(one))
    return ", ".join(name for name, _ in names.most_common(most)) or "none"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
