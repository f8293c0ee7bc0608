"""Where the clips' own tars lie, and how large they are: a store is asked once for all of them."""

from __future__ import annotations

from collections import defaultdict

from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.stores import is_remote, listing, store_of


class ClipTars:
    """The tars of the clips of a data folder, as they were when it was first asked."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._found: dict[str, dict[str, int]] | None = None

    def of(self, clip_id: str) -> dict[str, int]:
        """Paths below the data folder of a clip's tars, one in every span that has it; bytes."""
        root = self._data.root
        if not is_remote(root):
            tars = self._data.clip_tars(clip_id)
            return {str(tar.relative_to(root)): tar.stat().st_size for tar in tars}
        if self._found is None:
            self._found = defaultdict(dict)
            begin = len(store_of(root)[1].rstrip("/")) + 1
            for name, size in sorted(listing(self._data.work).items()):
                if name.endswith(".tar"):
                    clip = name.rpartition("/")[2].removesuffix(".tar")
                    self._found[clip][name[begin:]] = size
        return self._found.get(clip_id, {})
