"""A span's work on this machine where the data folder lies in an object store.

The sandbox that decodes a video knows of no store: it works in a folder of its own, which holds a
copy of the video, and what it leaves there is uploaded when it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.store import publish_in_store
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.local_copies import opened
from fsh.schemas.places.stores import cache_folder, is_remote
from fsh.schemas.places.temporary import temporary_folder


@contextmanager
def on_this_machine(data: DataFolder, span: Span, analysis: AnalysisConfig) -> Iterator[DataFolder]:
    """A data folder of this machine in which a span can be worked on; ``data`` if that is one.

    Else what is stored of the span in it at the end is published in ``data``. Spans of a video
    share its copy.

    Raises:
        NotAsRecorded: if the video is not in the store, or another one.
        FshError: if the store does not answer, or there is no room here.
    """
    if not is_remote(data.root):
        yield data
        return
    with (
        opened(data.root / span.path, "" if span.is_remade else span.sha256) as video,
        temporary_folder(cache_folder() / "spans" / span.video_id) as root,
    ):
        here = DataFolder(root)
        link = root / span.path
        link.parent.mkdir(parents=True)
        link.symlink_to(video.name)
        yield here
        made = span.folder(here, analysis)
        if made.clips.is_file():
            publish_in_store(made, span.folder(data, analysis))
