"""yt-dlp under fsh's rules: which addresses it may ask, and its errors as failures."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.networking._urllib import HTTPHandler, UrllibRH
from yt_dlp.networking.exceptions import HTTPError

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.connections import PeerRule, guarded
from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.site_options import (
    SilentLog,
    SiteOptions,
    browser_spec,
    private_copy,
    ydl_params,
)
from fsh.pipeline.media import ffmpeg
from fsh.schemas.places.disk import NoRoom
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.urls import youtube_key


class GuardedYoutubeDL(yt_dlp.YoutubeDL):
    """yt-dlp that asks no address which the rule does not allow, whatever a page refers to."""

    def __init__(self, params: dict[str, Any], rule: AddressRule) -> None:
        self._rule = rule
        self.refusal: Failure | None = None
        super().__init__(params)

    def build_request_director(self, handlers, preferences=None):
        return super().build_request_director([_handler(self)], preferences)

    def urlopen(self, req):
        url = req if isinstance(req, str) else req.url
        if not url.startswith("data:"):
            self._remember(lambda: self._rule.check_url(url))
        return super().urlopen(req)

    def check_peer(self, host: str, connection: socket.socket) -> None:
        self._remember(lambda: self._rule.check_peer(host, connection))

    def _remember(self, check: Callable[[], None]) -> None:
        """Keep a refusal for the session: yt-dlp wraps and retries exceptions it does not know."""
        try:
            check()
        except Failure as failure:
            self.refusal = failure
            raise


def _handler(rule: PeerRule) -> type[UrllibRH]:
    class GuardedRH(UrllibRH):
        _SUPPORTED_URL_SCHEMES = ("http", "https", "data")

        def _create_instance(self, *args, **kwargs):
            opener = super()._create_instance(*args, **kwargs)
            for handler in opener.handlers:
                if isinstance(handler, HTTPHandler):
                    make = handler._make_conn_class
                    handler._make_conn_class = lambda base, req, make=make: guarded(
                        make(base, req), rule
                    )
            return opener

    GuardedRH.__name__ = "UrllibRH"  # the director files handlers under their class's name
    return GuardedRH


def base_params(limits: DownloadLimits, site: SiteOptions, folder: Path) -> dict[str, Any]:
    """yt-dlp's parameters that do not depend on what is asked of it.

    Args:
        folder: a temporary folder, where the cookies are copied to.
    """
    params: dict[str, Any] = {
        "retries": 3,
        "extractor_retries": 1,
        "fragment_retries": 5,
        "socket_timeout": limits.timeout,
    }
    if site.extra:
        params |= ydl_params(site.extra)
    params |= {
        "quiet": True,
        "noprogress": True,
        "consoletitle": False,
        "color": "no_color",
        "cachedir": False,
        "noplaylist": True,
        "restrictfilenames": True,
        "overwrites": True,
        "skip_unavailable_fragments": False,
        "ffmpeg_location": ffmpeg.binary(),
        "hls_prefer_native": True,
        "external_downloader_args": {
            "ffmpeg_i": ["-protocol_whitelist", "http,https,tcp,tls,crypto"]
        },
        "postprocessors": [],
    }
    if site.proxy:
        params["proxy"] = site.proxy
    if site.browser:
        params["cookiesfrombrowser"] = browser_spec(site.browser)
    if site.cookies:  # yt-dlp writes cookies back: each download gets its own copy
        own = folder / "cookies.txt"
        private_copy(site.cookies, own)
        params["cookiefile"] = str(own)
    return params


class YtDlpSession:
    """A context manager that gives a yt-dlp object and turns its exceptions into failures.

    Args:
        params: yt-dlp's.
        rule: which addresses may be asked for ``url``.
        warn: called with ``no_js_runtime`` if yt-dlp missed a JavaScript runtime.

    Raises:
        Failure: for whatever yt-dlp raised.
    """

    def __init__(
        self, params: dict[str, Any], rule: AddressRule, url: str, warn: Callable[[str], None]
    ) -> None:
        self._log, self._url, self._warn = SilentLog(), url, warn
        rule.check_url(url)
        self._ydl = GuardedYoutubeDL(params | {"logger": self._log}, rule)

    def __enter__(self) -> GuardedYoutubeDL:
        return self._ydl

    def __exit__(self, kind, error, trace) -> None:
        self._ydl.close()
        no_runtime = any("JavaScript runtime" in line for line in self._log.warnings)
        if no_runtime:
            self._warn("no_js_runtime")
        if error is None or isinstance(error, Failure | NoRoom):
            return
        if not isinstance(error, Exception):
            return
        if self._ydl.refusal:
            raise self._ydl.refusal from error
        raise _failure(error, self._url, no_runtime) from error


def _failure(error: Exception, url: str, no_runtime: bool) -> Failure:
    """The failure that an exception of yt-dlp stands for."""
    for cause in _causes(error):
        if isinstance(cause, Failure):
            return cause
        if isinstance(cause, HTTPError) and (cause.status == 429 or not youtube_key(url)):
            return failures.from_status(
                cause.status, url, cause.response.headers.get("Retry-After")
            )
        if isinstance(cause, OSError) and cause.errno:
            found = failures.from_os(cause, url)
            if found.code == "timeout":
                return found
    if isinstance(error, OSError | http.client.HTTPException):
        return Failure(ErrorClass.TRANSIENT, "network", f"{url}: {error!r}")
    failure = failures.from_message(str(error))
    if no_runtime and failure.code in ("outdated", "not_media", "extractor", "http_403"):
        return Failure(ErrorClass.TRANSIENT, "no_js_runtime", failure.text)
    return failure


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes, those that yt-dlp wraps in its own way among them."""
    queue, seen = [error], set()
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        wrapped = getattr(current, "exc_info", None) or (None, None, None)
        queue += [
            behind
            for behind in (
                wrapped[1],
                getattr(current, "cause", None),
                current.__cause__,
                current.__context__,
                *getattr(current, "unexpected_errors", ()),
            )
            if isinstance(behind, BaseException)
        ]
