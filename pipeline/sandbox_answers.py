"""What a sandboxed worker sends: one line of JSON, a result or why there is none.

The worker handles files of strangers, so what comes from it is read as theirs: data, checked
against the type that the job's function states, never code.
"""

from __future__ import annotations

import inspect
import json
import os
import traceback
import typing
from collections.abc import Callable
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.plain import from_plain, to_plain
from fsh.schemas.tables.records import FAILURES, RejectReason

#: How libraries say that memory ran out.
MEMORY_WORDS = ("MemoryError", "bad allocation", "bad_alloc", "Cannot allocate memory")


def answer_of_job(work: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """What a job gave, plain: its result, or why it failed."""
    try:
        return {"result": to_plain(work(*args))}
    except FshError as error:
        memory = any(word in str(error) for word in MEMORY_WORDS)
        failure = RejectReason.MEMORY if memory else RejectReason.UNREADABLE
        return {"failure": failure.value, "error": _plain_error(error)}
    except MemoryError as error:
        detail = f"out of memory {error}".strip()
        return {"failure": RejectReason.MEMORY.value, "detail": detail}
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} ({where.name}:{where.lineno})"
        return {"failure": RejectReason.INTERNAL.value, "detail": detail}


def send_answer(results_fd: int, answer: dict[str, Any]) -> None:
    left = memoryview(json.dumps(answer).encode() + b"\n")
    while left:
        left = left[os.write(results_fd, left) :]


def read_answer(line: bytes, work: Callable[..., Any]) -> tuple[RejectReason | None, Any]:
    """Failure and what it is about, or None and the result, of what a worker sent.

    Raises:
        ValueError: if it is no answer, or not one of this job's.
    """
    try:
        answer = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(answer, dict):
        raise ValueError("no object")
    if "failure" not in answer:
        wanted = typing.get_type_hints(work).get("return", Any)
        return None, from_plain(wanted, answer.get("result"))
    failure = RejectReason(answer["failure"])
    if failure not in FAILURES:
        raise ValueError(f"{failure} is no failure of a job's")
    if "error" in answer:
        return failure, _error_of(answer["error"])
    return failure, from_plain(str, answer.get("detail"))


def _plain_error(error: FshError) -> dict[str, str]:
    """An error's class, and the texts that it is made of."""
    names = inspect.signature(type(error)).parameters
    texts = {name: str(getattr(error, name, getattr(error, f"_{name}", ""))) for name in names}
    return {"class": type(error).__name__, **texts}


def _error_of(plain: Any) -> FshError:
    """The error whose texts a worker sent: whatever it says, one of fsh's own classes.

    Raises:
        ValueError: if it is none.
    """
    texts = from_plain(dict[str, str], plain)
    kinds = {kind.__name__: kind for kind in _subclasses(FshError)}
    kind = kinds.get(texts.pop("class", ""), FshError)
    names = inspect.signature(kind).parameters
    try:
        if "what" in names:
            return kind(texts.pop("what"), **{n: t for n, t in texts.items() if n in names})
        return kind(**{name: texts[name] for name in names})
    except (KeyError, TypeError) as error:
        raise ValueError(f"no error ({error!r})") from None


def _subclasses(kind: type[FshError]) -> list[type[FshError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _subclasses(child))]
