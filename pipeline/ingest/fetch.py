"""One video: from a URL or a path to a stored file, or to a failure."""

from __future__ import annotations

import functools
import json
import random
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure, Interrupted
from fsh.pipeline.ingest.journal import FetchOutcome, Job, now
from fsh.pipeline.ingest.licenses import check_license
from fsh.pipeline.ingest.options import IngestOptions
from fsh.pipeline.ingest.prober import Prober
from fsh.pipeline.ingest.rate_limit import RateLimiter
from fsh.pipeline.ingest.retrieval import RetrievedFile, Retriever
from fsh.pipeline.ingest.storage import RESERVED_BYTES, store_video
from fsh.pipeline.tombstones import Tombstones
from fsh.schemas import ids, urls
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.temporary import temporary_folder
from fsh.schemas.tables.records import ErrorClass, SourceState, known


@dataclass
class Fetcher:
    """Fetches videos for one worker.

    Attributes:
        stopped: asked in every wait; True ends it.
        note: called with the code of a cause that has a remedy.
    """

    data: DataFolder
    options: IngestOptions
    limiter: RateLimiter
    tombstones: Tombstones
    prober: Prober
    stopped: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda code: None

    def fetch(self, job: Job) -> FetchOutcome:
        """What became of a video, after as many tries as its failures are worth.

        Raises:
            NoRoom: if there is no room left.
            Interrupted: if the run was stopped: the job is as it was.
        """
        host = urls.host_group(job.requests[0].url)
        for attempt in range(1, self.options.attempts + 1):
            asked = self.limiter.clock()
            try:
                self._check_erased(job)
                self._check_allowed(job)
                self.limiter.acquire(host)
                asked = self.limiter.clock()
                outcome = self._try_once(job, job.attempts + attempt)
                self.limiter.succeeded(host)
                return outcome
            except Failure as failure:
                if failure.code == failures.STOPPED:
                    raise Interrupted from failure
                if failure.code in failures.REMEDIES:
                    self.note(failure.code)
                if failure.throttled:
                    self.limiter.penalize(host, asked, failure.retry_after)
                last = attempt == self.options.attempts or failure.code == "host_gave_up"
                if failure.error_class is not ErrorClass.TRANSIENT or not host or last:
                    return FetchOutcome.of_failure(failure, job.attempts + attempt)
                if not failure.throttled:
                    self._pause(2.0 ** (attempt - 1) * random.uniform(0.25, 0.75))
        raise AssertionError("at least one attempt is made")

    def _try_once(self, job: Job, attempts: int) -> FetchOutcome:
        """Raises:
        Failure: why this try brought nothing.
        """
        url = job.requests[0].url
        turn = functools.partial(self.limiter.acquire, urls.host_group(url))
        retriever = Retriever(self.options, self.prober, self.stopped, self.note, turn)
        incoming = self.data.incoming
        incoming.mkdir(parents=True, exist_ok=True)
        if not urls.is_url(url):
            return self._store(retriever, retriever.local_file(Path(url)), job, attempts)
        if shutil.disk_usage(incoming).free < RESERVED_BYTES:
            raise NoRoom(incoming)
        with temporary_folder(incoming / "fetch") as folder:
            rule = self._rule(job)
            if (wanted := _range_alone(job)) is not None:
                file = retriever.site_range(url, folder, rule, wanted)
            else:
                file = retriever.linked_file(url, folder, rule)
            return self._store(retriever, file, job, attempts)

    def _store(
        self, retriever: Retriever, file: RetrievedFile, job: Job, attempts: int
    ) -> FetchOutcome:
        """Put a file under its final name; one whose time runs back is stored with one clock.

        Raises:
            Failure: if its content was erased, or its licence is not let in.
        """
        if self.tombstones.covers(sha256=file.sha256):
            raise Failure(ErrorClass.REFUSED, "erased", "this video was erased on request")
        license = file.license
        if license == "unknown":
            license = next((r.license for r in job.requests if r.license), "unknown")
        check_license(license, self.options.license)
        with ExitStack() as stack:
            local = not urls.is_url(job.requests[0].url)
            if file.facts.jumps:
                folder = stack.enter_context(temporary_folder(self.data.incoming / "clock"))
                file, local = retriever.with_one_clock(file, folder), False
            return self._named(file, license, attempts, local=local)

    def _named(
        self, file: RetrievedFile, license: str, attempts: int, *, local: bool
    ) -> FetchOutcome:
        """A file that is let in under its name among the videos.

        Raises:
            Failure: if it cannot be put there.
        """
        facts = file.facts
        metadata = {**file.metadata, "truncated": True} if facts.truncated else dict(file.metadata)
        video_id = file.video_id or ids.content_id(file.sha256)
        name = f"{video_id}.{facts.extension}"
        try:
            final = store_video(
                file.path,
                name,
                self.data,
                copy=self.options.copy,
                local=local,
                of_content=not file.video_id,
            )
        except OSError as error:
            raise failures.from_os(error, str(self.data.videos / name)) from error
        return FetchOutcome(
            state=SourceState.STORED,
            attempts=attempts,
            video_id=video_id,
            uploader=file.uploader,
            license=license,
            upload_date=file.upload_date,
            metadata=json.dumps(metadata, sort_keys=True),
            path=str(final.relative_to(self.data.root)),
            sha256=file.sha256,
            bytes=file.bytes,
            file_start=file.begins,
            duration=facts.duration,
            width=facts.width,
            height=facts.height,
            fps=facts.fps,
            rotation=facts.rotation,
            video_codec=facts.video_codec,
            audio_codec=facts.audio_codec,
            pixel_format=facts.pixel_format,
            last_tried=now(),
        )

    def _check_erased(self, job: Job) -> None:
        people = {request.identity for request in job.requests}
        if self.tombstones.covers(key=job.key) or any(
            self.tombstones.covers(identity=person) for person in people
        ):
            text = "this video or person was erased on request"
            raise Failure(ErrorClass.REFUSED, "erased", text)

    def _check_allowed(self, job: Job) -> None:
        url = job.requests[0].url
        if urls.is_url(url):
            self._rule(job).check_url(url)
        elif not _trusted(job):
            text = f"{url}: a local path in a list from the net"
            raise Failure(ErrorClass.REFUSED, "local_path", text)

    def _rule(self, job: Job) -> AddressRule:
        url, proxy = job.requests[0].url, self.options.site.proxy
        return AddressRule.for_url(url, trusted=_trusted(job), proxy=proxy)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.stopped():
                raise Interrupted
            time.sleep(min(left, 0.2))


def _range_alone(job: Job) -> tuple[float, float] | None:
    """Seconds at which the range starts and ends that is to be fetched alone."""
    wanted = job.requests[0]
    return (wanted.start or 0.0, known(wanted.end)) if wanted.alone else None


def _trusted(job: Job) -> bool:
    return any(request.trusted for request in job.requests)
