"""Where the file of a video comes from: the user's disk, a direct link, or a video site.

Each way ends with a probed file and its hash. It has no final name yet, and the user's own files
stay where they are.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.download import NotDirect, download
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.licenses import check_license
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.media.media_kind import VIDEO, media_kind
from fsh.pipeline.media.one_clock import SUFFIX
from fsh.pipeline.media.probe import MediaFacts, NotAVideo
from fsh.schemas import ids, urls
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.text import shown

#: Where a site's metadata says whose video it is, the first that does.
_UPLOADER = ("channel_id", "uploader_id", "uploader")
#: What probing finds in the beginning of a video.
_CUT = frozenset({"empty", "not_media", "no_frames", "truncated"})


@dataclass(frozen=True)
class RetrievedFile:
    """A file that is not under its final name yet.

    Attributes:
        path: where it is; a local file's own path.
        facts: what its container says.
        sha256: hex SHA-256 of it.
        bytes: its size.
        video_id: if the source gives one; empty if the content does.
        uploader, license, upload_date: as the host states them.
        metadata: whatever else is worth recording.
        begins: second of the whole video at which it begins, if it is only a range of it.
    """

    path: Path
    facts: MediaFacts
    sha256: str
    bytes: int
    video_id: str = ""
    uploader: str = ""
    license: str = "unknown"
    upload_date: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    begins: float | None = None


@dataclass
class Retriever:
    """Retrieves the files of videos, one at a time.

    Attributes:
        prober: probes them.
        stopped: asked while downloading; True ends it.
        warn: called with the code of a cause that has a remedy.
        before_next: called before a host is asked once more for the same file.
    """

    options: IngestOptions
    prober: Prober
    stopped: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = lambda code: None
    before_next: Callable[[], object] = lambda: None

    def local_file(self, path: Path) -> RetrievedFile:
        """A file on this machine.

        Raises:
            Failure: if it is missing, not readable, or not a video.
        """
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise Failure(
                    ErrorClass.PERMANENT, "not_a_file", f"{shown(path)}: not a regular file"
                )
            self.prober.start(path)
            sha256 = ids.file_sha256(path)  # while the worker probes
            facts = self._facts()
        except FileNotFoundError:
            raise Failure(ErrorClass.PERMANENT, "missing", f"{shown(path)}: no such file") from None
        except OSError as error:
            text = f"{shown(path)}: {error.strerror}"
            raise Failure(ErrorClass.PERMANENT, "unreadable", text) from error
        metadata = {"mtime_ns": status.st_mtime_ns}
        return RetrievedFile(path, facts, sha256, status.st_size, metadata=metadata)

    def linked_file(self, url: str, folder: Path, rule: AddressRule) -> RetrievedFile:
        """What a URL leads to: a media file, or a page that shows one video.

        Args:
            folder: where the file is written.
            rule: which addresses may be asked.

        Raises:
            Failure: why there is no file, or that it is not a video.
            NoRoom: no room for it.
        """
        if urls.host_group(url) == urls.YOUTUBE:
            return self._site_video(url, folder, rule)
        target = folder / "video"
        try:
            received = download(
                url,
                target,
                rule,
                self.options.limits,
                stopped=self.stopped,
                before_next=self.before_next,
            )
        except NotDirect:
            target.unlink(missing_ok=True)
            return self._site_video(url, folder, rule)
        metadata: dict[str, Any] = {
            "content_type": received.content_type,
            "last_modified": received.last_modified,
            "final_url": received.final_url.split("?")[0],
        }
        self.prober.start(target)
        cut = not received.is_whole and (received.bytes == 0 or media_kind(target) == VIDEO)
        facts = self._facts(whole=not cut)
        if cut and facts.truncated:
            text = "it ends before its end; its host did not say how long it is"
            raise Failure(ErrorClass.TRANSIENT, "truncated", text)
        if cut:  # nobody knows whether more should follow
            metadata["unstated_length"] = True
        return RetrievedFile(target, facts, received.sha256, received.bytes, metadata=metadata)

    def site_range(
        self, url: str, folder: Path, rule: AddressRule, wanted: tuple[float, float]
    ) -> RetrievedFile:
        """A range of the one video that a page shows, from the keyframe before it.

        Args:
            wanted: seconds at which it starts and ends. The others as of :meth:`linked_file`.

        Raises:
            Failure: why there is no file, or that it is not a video.
            NoRoom: no room for it.
        """
        from fsh.pipeline.ingest import sites

        limits = self.options.limits
        streams, info = sites.find_streams(
            url,
            folder,
            rule,
            limits,
            site=self.options.site,
            admit=self._admit,
            warn=self.warn,
        )
        target = folder / "range"
        begins = self.prober.copy_range(streams, target, rule, limits, wanted, self.stopped)
        name = "" if not (key := urls.youtube_key(url)) else ids.range_id(key, *wanted)
        return replace(self._site_file(target, info, name), begins=begins)

    def _admit(self, info: Mapping[str, Any]) -> None:
        check_license(str(info.get("license") or "unknown"), self.options.license)

    def _site_video(self, url: str, folder: Path, rule: AddressRule) -> RetrievedFile:
        from fsh.pipeline.ingest import sites  # yt-dlp is large, and local files need none of it

        video = sites.fetch_video(
            url,
            folder,
            rule,
            self.options.limits,
            site=self.options.site,
            admit=self._admit,
            stopped=self.stopped,
            warn=self.warn,
        )
        key = urls.youtube_key(url)
        return self._site_file(video.path, video.info, ids.youtube_id(key) if key else "")

    def _site_file(self, path: Path, info: Mapping[str, Any], video_id: str) -> RetrievedFile:
        """A file from a site, probed; ``info`` is what the site says about it."""
        self.prober.start(path)
        sha256 = ids.file_sha256(path)
        return RetrievedFile(
            path,
            self._facts(),
            sha256,
            path.stat().st_size,
            video_id=video_id,
            uploader=next(filter(None, map(str, (info.get(n, "") for n in _UPLOADER))), ""),
            license=str(info.get("license") or "unknown"),
            upload_date=str(info.get("upload_date") or ""),
            metadata=info,
        )

    def with_one_clock(self, file: RetrievedFile, folder: Path) -> RetrievedFile:
        """A copy in which time runs on, of a file in which it runs back or leaps.

        Its hash stays that of the file that was retrieved, by which it is known again.

        Args:
            folder: where the copy is written.

        Raises:
            Failure: if it cannot be copied, or the run was stopped.
            NoRoom: no room for it.
        """
        copy = folder / f"video{SUFFIX}"
        try:
            self.prober.copy_with_one_clock(file.path, copy, self.stopped)
            facts = self.prober.probe(copy)
        except NotAVideo as error:
            raise Failure(ErrorClass.PERMANENT, error.code or "clock", error.what) from error
        metadata = {**file.metadata, "one_clock": True}
        return replace(file, path=copy, facts=facts, bytes=copy.stat().st_size, metadata=metadata)

    def _facts(self, *, whole: bool = True) -> MediaFacts:
        """What the container of the file says whose probing was begun.

        Args:
            whole: False if the file may be the beginning of a video.

        Raises:
            Failure: if it is not let in.
        """
        try:
            return self.prober.result()
        except NotAVideo as error:
            if not whole and error.code in _CUT:
                text = f"{error.what}; its host did not say how long it is"
                raise Failure(ErrorClass.TRANSIENT, "truncated", text) from error
            hang = error.code == "hang"
            kind = ErrorClass.TRANSIENT if hang else ErrorClass.PERMANENT
            remedy = f" → {error.remedy}" if error.remedy else ""
            raise Failure(kind, error.code, error.what + remedy) from error
