"""Which data folder is meant by a path, or by an address in an object store.

The only place that opens stores: everything else takes a
:class:`~fsh.schemas.places.layout.DataFolder`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fsh.defaults import AnyPath
from fsh.pipeline.erasure.plan import known_sources
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas.errors import FshError
from fsh.schemas.ids import digest
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.local_copies import cache_limit, remove_copies
from fsh.schemas.places.stores import (
    StoreRefused,
    cache_folder,
    is_remote,
    refused_by_store,
    store_of,
)
from fsh.schemas.places.temporary import remove_abandoned, replacing
from fsh.schemas.shards.card import DatasetCard

#: Beginning of an address to the extra that reads it.
_EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}
#: What the libraries of stores are told beyond the user's own settings. They try again a few times;
#: :func:`fsh.schemas.places.stores.persistently` does so for longer.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "retries": {"mode": "standard", "max_attempts": 2},
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": 32,
        }
    }
}


def data_folder(data: AnyPath) -> DataFolder:
    """The data folder at a path, or at an address such as ``s3://bucket/set``.

    Raises:
        FshError: if the store cannot be reached, or what reads it is not installed.
    """
    if is_remote(data):
        return DataFolder(cast(Path, data))
    kind, sign, rest = str(data).partition("://")
    if not sign:
        if str(data).partition(":/")[0] in _EXTRAS:  # Path("s3://…") has lost a slash
            what = "a Path cannot hold an address"
            raise FshError(what, where=data, remedy="give it as text: s3://bucket/set")
        return DataFolder(Path(data))
    if kind == "file":
        return DataFolder(Path(rest))
    extra = _EXTRAS.get(kind)
    remedy = f'pip install "fsh[{extra}]"' if extra else "install fsspec's package for it"
    try:
        from upath import UPath

        root = UPath(str(data).rstrip("/"), use_listings_cache=False, **_OPTIONS.get(kind, {}))
        folder = DataFolder(cast(Path, root))
        fs, name = store_of(folder.root)
    except (ImportError, ValueError) as error:
        why = "what reads such a store is not installed"
        raise FshError(why, where=data, remedy=remedy) from error
    _require_answer(fs, name, folder.root)
    remove_erased_copies(folder)
    return folder


def copies_setting(folder: DataFolder) -> dict[str, object]:
    """Where copies of what lies in a store are kept, as a setting to show; none of a folder."""
    if not is_remote(folder.root):
        return {}
    return {"copies": f"{cache_folder()} ({cache_limit(cache_folder()) / 1e9:.3g} GB at most)"}


def remove_erased_copies(folder: DataFolder) -> None:
    """Remove what this machine has copied of what was erased in a store since it looked last.

    Copies are called by their content, and that of shards of before an earlier `fsh shard` is
    written down nowhere: so only what the set still names stays. Copies of other sets go too, and
    are fetched again.

    Raises:
        FshError: if the store does not answer.
    """
    if not is_remote(folder.root) or not cache_folder().is_dir():
        return
    seen = cache_folder() / f".erased-{digest(str(folder.root))}"
    erased = Tombstones.read(folder)
    marks = digest(sorted(erased.marks))
    if erased.marks and not (seen.is_file() and seen.read_text() == marks):
        named = _named_contents(folder)
        remove_copies(lambda sha256: sha256 not in named or erased.covers(sha256=sha256))
        remove_abandoned(folder.incoming)
        with replacing(seen) as temporary:
            temporary.write_text(marks)


def _named_contents(folder: DataFolder) -> set[str]:
    """Hex SHA-256 of every shard and video that a data set names as it is now."""

    def of_videos() -> set[str]:
        return {source.sha256 for source in known_sources(folder)}

    def of_shards() -> set[str]:
        return {info.sha256 for info in DatasetCard.read(folder.card).shards}

    named = set[str]()
    for known in (of_videos, of_shards):
        try:
            named |= known()
        except StoreRefused:
            raise
        except FshError:  # none, or a damaged one: it names nothing
            continue
    return named


def _require_answer(fs: Any, name: str, where: Path) -> None:
    """Look whether a store answers; that nothing is there yet is an answer."""
    try:
        fs.info(name)
    except FileNotFoundError as error:
        if "bucket" in str(error) or "container" in str(error):
            what = "there is no such bucket"
            raise FshError(what, where=where, remedy="make it, or name another") from error
    except Exception as error:
        raise refused_by_store(error, where) or FshError(
            f"the store does not answer as it should ({error})", where=where
        ) from error
