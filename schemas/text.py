"""Names of files and people as they are shown: exactly, in one line, and marked up by nobody.

A file name may hold anything but a slash: line breaks, blanks at its ends, bytes that are no
UTF-8 (which Python reads as lone surrogates), the marks of Markdown, of HTML and of terminals.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Categories of Unicode that are not shown as they are: control, format (they turn lines around),
#: lone surrogates, line and paragraph separators.
_UNSHOWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
#: Format characters that letters and emoji are composed with.
_JOINERS = "\u200c\u200d"
_MARKUP = re.compile(r"[\\`*<>\[\]|~&]|(?<![^\W_])_|_(?![^\W_])")
_BREAK = re.compile(r"[ \t]*[\r\n][ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ABOVE_ASCII = re.compile("[^\x00-\x7e]")
#: What :func:`storable` escapes: lone surrogates, and what would be read back as an escape of one.
_ESCAPED = re.compile(r"[\ud800-\udfff]|\\(?=u(?:d[89a-f][0-9a-f]{2}|005c))")
_ESCAPE = re.compile(r"\\u(d[89a-f][0-9a-f]{2}|005c)")


def one_line(text: object) -> str:
    """A text with everything that is not to be seen, or breaks the line, as an escape."""
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_visible, whole))


def page_text(value: object) -> object:
    """What a page's template prints, for Jinja's ``finalize``: texts in one line, others as is."""
    return one_line(value) if type(value) is str else value


def shown(name: object) -> str:
    """A name or path for a message: exact, in one line; quoted where blanks would get lost."""
    text = one_line(name)
    return f'"{text}"' if text != text.strip() or "  " in text else text


def sentence(text: str) -> str:
    """A message in one line: where it breaks is a blank, all other blanks stay."""
    return one_line(_BREAK.sub(" ", text.strip()))


def markdown(name: object) -> str:
    """A name inside Markdown, in a table too: nothing of it is taken for a mark."""
    return _MARKUP.sub(lambda found: "\\" + found[0], one_line(name))


def json_line(value: Mapping[str, Any]) -> str:
    """One JSON object in one line of UTF-8; names that are none keep their bytes as ``\\udcXX``.

    What a terminal would obey, or turn a line around, is an escape as well.
    """
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else _ABOVE_ASCII.sub(_json_character, text)


def _json_character(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if _visible(found[0]) != found[0] else found[0]


def storable(text: str) -> str:
    """A text that UTF-8 can hold, as tables want it; :func:`stored_text` gives back the same.

    Bytes that are no UTF-8 become ``\\udcXX``, and a text without any stays as it is, unless it
    holds such an escape itself.
    """
    if text.isascii() and "\\u" not in text:
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def stored_text(text: str) -> str:
    """What :func:`storable` was given."""
    if "\\u" not in text:
        return text
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def readable(text: str) -> str:
    """A label as people read it: bytes that are no UTF-8 are taken for Windows' Latin letters."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    except UnicodeEncodeError:  # halves of characters, as broken JSON has them
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _visible(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _UNSHOWN:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(
        character, f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )
