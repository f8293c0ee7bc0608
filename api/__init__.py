"""fsh: from videos of talking people to a few-shot talking head.

``import fsh`` is all that is needed, and costs nothing: a name is loaded when it is first used.
Each command of the command line is a function of the same name, with the same options and defaults
(docs/python.md)::

    import fsh

    fsh.personalize("photos", "people/me")
    film = fsh.animate("people/me", "talk.mp4", "me.mp4")

The modules, in the order in which they are used:

- ``defaults`` and ``threads``: what the functions take, and the threads that PyTorch computes with
- ``data_places``: a data folder by its path, or by its address in an object store
- a data set: ``dataset_making`` (ingest and shard), ``dataset`` (reading and inspecting one),
  ``clip_pages`` (a page of it, served)
- ``training``: a run
- ``people``: a person out of photos, and as ONNX files; ``person_photos``: which photos they are;
  ``face_analysis``: what measures drawings
- ``films``: films of one or several people
- ``telepresence``: the same live, in a browser
- ``marking``: consent, watermark and manifest of what is drawn; ``verification`` reads them
- ``evaluation``: the paper's table
- ``erasure``: forgetting videos and people
- ``sample_clips``: the small clips of ``fsh demo``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsh.dataset import Dataset, inspect, open_dataset
    from fsh.dataset_making import ingest, plan_ingest, shard
    from fsh.erasure import check_forgotten, forget
    from fsh.evaluation.comparison import evaluate
    from fsh.evaluation.user_study import score_answers
    from fsh.films.animate import animate, animate_each
    from fsh.people import export, personalize
    from fsh.schemas.errors import FshError
    from fsh.telepresence.live import live
    from fsh.trainer.person.person import Person
    from fsh.trainer.runs import Run
    from fsh.training.run import plan_training, train
    from fsh.verification import verify

    __version__: str

#: Public name to the module that has it.
_MODULES = {
    "Dataset": "fsh.dataset",
    "FshError": "fsh.schemas.errors",
    "Person": "fsh.trainer.person.person",
    "Run": "fsh.trainer.runs",
    "animate": "fsh.films.animate",
    "animate_each": "fsh.films.animate",
    "check_forgotten": "fsh.erasure",
    "evaluate": "fsh.evaluation.comparison",
    "export": "fsh.people",
    "forget": "fsh.erasure",
    "ingest": "fsh.dataset_making",
    "inspect": "fsh.dataset",
    "live": "fsh.telepresence.live",
    "open_dataset": "fsh.dataset",
    "personalize": "fsh.people",
    "plan_ingest": "fsh.dataset_making",
    "plan_training": "fsh.training.run",
    "score_answers": "fsh.evaluation.user_study",
    "shard": "fsh.dataset_making",
    "train": "fsh.training.run",
    "verify": "fsh.verification",
}
__all__ = [  # written out: type checkers do not follow a computed list
    "Dataset",
    "FshError",
    "Person",
    "Run",
    "__version__",
    "animate",
    "animate_each",
    "check_forgotten",
    "evaluate",
    "export",
    "forget",
    "ingest",
    "inspect",
    "live",
    "open_dataset",
    "personalize",
    "plan_ingest",
    "plan_training",
    "score_answers",
    "shard",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("fsh")
        except PackageNotFoundError:  # a checkout that is not installed
            value = "unknown"
    elif name in _MODULES:
        from importlib import import_module

        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'fsh' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
