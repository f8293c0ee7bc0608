"""One video: from a URL or a path to a probed file under its final name, or to a failure."""

from __future__ import annotations

import json
import random
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest import addresses, failures
from fsh.pipeline.ingest.download import Limits, NotDirect, download
from fsh.pipeline.ingest.failures import DiskFull, Failure
from fsh.pipeline.ingest.journal import Job, Outcome, now
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.rate_limit import Governor
from fsh.pipeline.ingest.storage import RESERVE, place
from fsh.pipeline.media.probe import MediaFacts, NotAVideo
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import ids, urls
from fsh.schemas.layout import DataFolder

_CREATIVE_COMMONS = re.compile(r"creative\s*commons|creativecommons|\bcc[\s_-]?(by|0|zero)\b", re.I)


@dataclass(frozen=True)
class Settings:
    """How videos are fetched.

    Attributes:
        copy: copy local files instead of linking to them.
        license: 'any', or 'cc': only what states a Creative Commons licence.
        cookies: a cookie file for video sites, or None.
        attempts: tries per run of what fails for a transient reason.
    """

    copy: bool = False
    license: str = "any"
    cookies: Path | None = None
    attempts: int = 3
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class _Found:
    """A fetched file that is not under its final name yet.

    Attributes:
        path: where it is; a local file's own path.
        video_id: if the source gives one; else the content does.
        about: columns of the outcome that the host knows.
    """

    path: Path
    facts: MediaFacts
    sha256: str
    bytes: int
    video_id: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Fetcher:
    """Fetches videos for one worker.

    Attributes:
        stopped: asked in every wait; True ends it.
        note: called with the code of a cause that has a remedy worth telling.
    """

    data: DataFolder
    settings: Settings
    governor: Governor
    tombstones: Tombstones
    prober: Prober
    stopped: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda code: None

    def fetch(self, job: Job) -> Outcome:
        """What became of a video, after as many tries as it deserves.

        Raises:
            DiskFull: if there is no room left.
            Interrupted: if the run was stopped: the job is as it was.
        """
        host = urls.host_group(job.requests[0].url)
        for attempt in range(1, self.settings.attempts + 1):
            began = self.governor.clock()
            try:
                self._check_erased(job)
                self._check_allowed(job)
                self.governor.acquire(host)
                began = self.governor.clock()
                outcome = self._once(job, job.attempts + attempt)
                self.governor.succeeded(host)
                return outcome
            except Failure as failure:
                if failure.code == "stopped":
                    raise Interrupted from failure
                if failure.code in failures.REMEDIES:
                    self.note(failure.code)
                if failure.throttled:
                    self.governor.penalize(host, began, failure.retry_after)
                last = attempt == self.settings.attempts or failure.code == "host_gave_up"
                if failure.error_class != "transient" or not host or last:
                    return failed(failure, job.attempts + attempt)
                if not failure.throttled:
                    self._pause(2.0 ** (attempt - 1) * random.uniform(0.25, 0.75))
        raise AssertionError("at least one attempt is made")

    def _once(self, job: Job, attempts: int) -> Outcome:
        """Raises:
        Failure: why this try brought nothing.
        """
        url = job.requests[0].url
        incoming = self.data.videos / ".incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        if not urls.is_url(url):
            return self._store(self._local(Path(url)), job, attempts)
        if shutil.disk_usage(incoming).free < RESERVE:
            raise DiskFull(incoming)
        with tempfile.TemporaryDirectory(dir=incoming) as folder:
            rule = addresses.AddressRule.for_url(url, trusted=_trusted(job))
            if urls.host_group(url) == urls.YOUTUBE:
                found = self._site(url, Path(folder), rule)
            else:
                found = self._direct(url, Path(folder), rule)
            return self._store(found, job, attempts)

    def _local(self, path: Path) -> _Found:
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                raise Failure("permanent", "not_a_file", f"{path}: not a regular file")
            self.prober.start(path)
            sha256 = ids.file_sha256(path)  # while the child probes
            facts = self._facts()
        except FileNotFoundError:
            raise Failure("permanent", "missing", f"{path}: no such file") from None
        except OSError as error:
            raise Failure("permanent", "unreadable", f"{path}: {error.strerror}") from error
        note = {"mtime_ns": about.st_mtime_ns}
        return _Found(path, facts, sha256, about.st_size, about={"metadata": note})

    def _direct(self, url: str, folder: Path, rule: addresses.AddressRule) -> _Found:
        """A direct link; a page goes on to yt-dlp."""
        target = folder / "video"
        try:
            received = download(url, target, rule, self.settings.limits, stopped=self.stopped)
        except NotDirect:
            target.unlink(missing_ok=True)
            return self._site(url, folder, rule)
        about = {
            "content_type": received.content_type,
            "last_modified": received.last_modified,
            "final_url": received.final_url.split("?")[0],
        }
        self.prober.start(target)
        facts = self._facts()
        return _Found(target, facts, received.sha256, received.bytes, about={"metadata": about})

    def _site(self, url: str, folder: Path, rule: addresses.AddressRule) -> _Found:
        from fsh.pipeline.ingest import sites  # yt-dlp is large, and local files need none of it

        video = sites.fetch_video(
            url,
            folder,
            rule,
            self.settings.limits,
            cookies=self.settings.cookies,
            admit=lambda info: self._check_license(str(info.get("license") or "unknown")),
            stopped=self.stopped,
            warn=self.note,
        )
        self.prober.start(video.path)
        sha256 = ids.file_sha256(video.path)
        facts = self._facts()
        key = urls.youtube_key(url)
        about = {
            "uploader": video.uploader,
            "license": str(video.info.get("license") or "unknown"),
            "upload_date": str(video.info.get("upload_date") or ""),
            "metadata": video.info,
        }
        return _Found(
            video.path,
            facts,
            sha256,
            video.path.stat().st_size,
            ids.youtube_id(key) if key else "",
            about,
        )

    def _store(self, found: _Found, job: Job, attempts: int) -> Outcome:
        """Put a file under its final name."""
        if self.tombstones.covers(sha256=found.sha256):
            raise Failure("refused", "erased", "this video was erased on request")
        about = dict(found.about)
        stated = next((r.license for r in job.requests if r.license), "unknown")
        about["license"] = about.get("license") or "unknown"
        if about["license"] == "unknown":
            about["license"] = stated
        self._check_license(about["license"])
        facts = found.facts
        if facts.truncated:
            about["metadata"] = {**about.get("metadata", {}), "truncated": True}
        video_id = found.video_id or ids.content_id(found.sha256)
        final = self.data.videos / f"{video_id}.{facts.extension}"
        local = not urls.is_url(job.requests[0].url)
        try:
            place(found.path, final, copy=self.settings.copy, local=local)
        except OSError as error:
            raise failures.from_os(error, str(final)) from error
        metadata = json.dumps(about.pop("metadata", {}), sort_keys=True)
        return Outcome(
            state="stored",
            attempts=attempts,
            video_id=video_id,
            metadata=metadata,
            path=str(final.relative_to(self.data.root)),
            sha256=found.sha256,
            bytes=found.bytes,
            duration=facts.duration,
            width=facts.width,
            height=facts.height,
            fps=facts.fps,
            rotation=facts.rotation,
            video_codec=facts.video_codec,
            audio_codec=facts.audio_codec,
            pixel_format=facts.pixel_format,
            last_tried=now(),
            **about,
        )

    def _check_erased(self, job: Job) -> None:
        people = {request.identity for request in job.requests}
        if self.tombstones.covers(key=job.key) or any(
            self.tombstones.covers(identity=person) for person in people
        ):
            raise Failure("refused", "erased", "this video or person was erased on request")

    def _check_allowed(self, job: Job) -> None:
        url = job.requests[0].url
        if urls.is_url(url):
            addresses.AddressRule.for_url(url, trusted=_trusted(job)).check_url(url)
        elif not _trusted(job):
            text = f"{url}: a local path in a list from the net"
            raise Failure("refused", "local_path", text)

    def _check_license(self, license: str) -> None:
        if self.settings.license == "cc" and not is_creative_commons(license):
            raise wrong_license(license)

    def _facts(self) -> MediaFacts:
        """Container facts of the file whose probing was begun.

        Raises:
            Failure: if it is not let in.
        """
        try:
            return self.prober.result()
        except NotAVideo as error:
            kind = "transient" if error.code == "hang" else "permanent"
            raise Failure(kind, error.code, error.what) from error

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.stopped():
                raise Interrupted
            time.sleep(min(left, 0.2))


class Interrupted(Exception):
    """The run was stopped while this job was under way."""


def wrong_license(license: str) -> Failure:
    return Failure("refused", "license", f"licence {license}; only Creative Commons asked for")


def is_creative_commons(license: str) -> bool:
    """Whether a stated licence is one of Creative Commons'."""
    return _CREATIVE_COMMONS.search(license) is not None


def failed(failure: Failure, attempts: int) -> Outcome:
    """A failure as the ledger has it."""
    return Outcome(
        state="refused" if failure.error_class == "refused" else "failed",
        error_class=failure.error_class,
        error_code=failure.code,
        error=failure.text,
        attempts=attempts,
        last_tried=now(),
    )


def _trusted(job: Job) -> bool:
    return any(request.trusted for request in job.requests)
