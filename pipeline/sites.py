"""Video sites and pages through yt-dlp: one video, or the videos of a channel or playlist."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.networking._urllib import HTTPHandler, UrllibRH
from yt_dlp.networking.exceptions import HTTPError

from fsh.pipeline import failures, ffmpeg
from fsh.pipeline.download import Limits, PeerRule, guarded
from fsh.pipeline.failures import Failure
from fsh.pipeline.net_rules import AddressRule, source_key, youtube_key

#: The best picture up to 1080 lines, H.264 in MP4 where there is a choice.
_PREFERENCE = ["res:1080", "vcodec:h264", "acodec:aac", "ext:mp4:m4a"]
#: What is kept of a site's metadata. Signed URLs, addresses and cookies are not among it.
_KEPT = [
    "id",
    "extractor",
    "webpage_url",
    "title",
    "description",
    "channel",
    "channel_id",
    "uploader",
    "uploader_id",
    "upload_date",
    "timestamp",
    "license",
    "duration",
    "language",
    "categories",
    "tags",
    "age_limit",
    "availability",
    "live_status",
    "view_count",
    "like_count",
    "format_id",
    "ext",
    "width",
    "height",
    "fps",
    "vcodec",
    "acodec",
]
_PROTOCOL = r"(?:https?|m3u8_native|http_dash_segments|ism)"
_PROTOCOLS = re.compile(rf"{_PROTOCOL}(?:\+{_PROTOCOL})*")


@dataclass(frozen=True)
class SiteVideo:
    """A downloaded video: the file, and what the site says about it, sanitised."""

    path: Path
    info: dict[str, Any]

    @property
    def uploader(self) -> str:
        names = (self.info.get(name) for name in ("channel_id", "uploader_id", "uploader"))
        return next((str(name) for name in names if name), "")


class _Log:
    """Where yt-dlp talks to: warnings are remembered, the rest is dropped."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None: ...

    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def error(self, message: str) -> None: ...


class _Guarded(yt_dlp.YoutubeDL):
    """yt-dlp that asks no address which the rule does not open, whatever pages lead to."""

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
        """yt-dlp wraps and retries what it does not know: keep the refusal for later."""
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


def fetch_video(
    url: str,
    folder: Path,
    rule: AddressRule,
    limits: Limits,
    *,
    cookies: Path | None = None,
    admit: Callable[[Mapping[str, Any]], None] = lambda info: None,
    stopped: Callable[[], bool] = lambda: False,
    warn: Callable[[str], None] = lambda code: None,
) -> SiteVideo:
    """Download the one video that a page shows into ``folder``.

    Args:
        admit: called with the sanitised metadata before anything is downloaded; may raise Failure.
        warn: called with the code of a remedy that is worth telling although this video came.

    Raises:
        Failure: why there is no file.
        DiskFull: no room for it.
    """
    params = _params(limits, cookies, folder) | {
        "outtmpl": {"default": str(folder / "video.%(ext)s")},
        "format_sort": _PREFERENCE,
        "merge_output_format": "mp4/mkv",
        "max_filesize": limits.max_bytes,
        "progress_hooks": [_stop_hook(stopped)],
    }
    with _talking(params, rule, url, warn) as ydl:
        info = _single(ydl.extract_info(url, download=False), url)
        _check_state(info)
        kept = sanitize(info)
        admit(kept)
        info = ydl.process_ie_result(info, download=True)
        kept |= sanitize(info)
    files = [path for path in folder.iterdir() if path.stem == "video"]
    if len(files) != 1:
        raise Failure("transient", "no_file", f"{url}: yt-dlp left {len(files)} files")
    return SiteVideo(files[0], kept)


def expand(
    url: str, rule: AddressRule, limits: Limits, folder: Path, cookies: Path | None = None
) -> list[str]:
    """The videos of a channel or playlist, in its order. A channel's tabs are followed, one deep.

    Raises:
        Failure: if it cannot be read or holds no videos.
    """
    params = _params(limits, cookies, folder) | {"extract_flat": "in_playlist"}
    with _talking(params, rule, url, lambda code: None) as ydl:

        def entries(address: str, depth: int) -> Iterator[str]:
            info = ydl.extract_info(address, download=False) or {}
            for entry in info.get("entries") or [info]:
                link = str((entry or {}).get("url") or (entry or {}).get("webpage_url") or "")
                if link and youtube_key(link):
                    yield link
                elif link and depth == 0 and (entry or {}).get("_type") in ("url", "playlist"):
                    yield from entries(link, 1)

        found = list({source_key(link): link for link in entries(url, 0)}.values())
    if not found:
        raise Failure("permanent", "empty_playlist", f"{url}: no videos in it")
    return found


def sanitize(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of yt-dlp's metadata: known plain fields, long texts cut."""
    kept: dict[str, Any] = {}
    for name in _KEPT:
        value = info.get(name)
        if isinstance(value, str):
            kept[name] = value[:2000]
        elif isinstance(value, list):
            kept[name] = [str(item)[:100] for item in value[:50]]
        elif isinstance(value, int | float):
            kept[name] = value
    return json.loads(json.dumps(kept))


def _params(limits: Limits, cookies: Path | None, folder: Path) -> dict[str, Any]:
    params: dict[str, Any] = {
        "quiet": True,
        "noprogress": True,
        "consoletitle": False,
        "color": "no_color",
        "cachedir": False,
        "noplaylist": True,
        "restrictfilenames": True,
        "overwrites": True,
        "retries": 3,
        "extractor_retries": 1,
        "fragment_retries": 5,
        "skip_unavailable_fragments": False,
        "socket_timeout": limits.timeout,
        "ffmpeg_location": ffmpeg.binary(),
        "hls_prefer_native": True,
        "external_downloader_args": {
            "ffmpeg_i": ["-protocol_whitelist", "http,https,tcp,tls,crypto"]
        },
        "postprocessors": [],
    }
    if cookies:  # yt-dlp writes cookies back: each download gets its own copy
        own = folder / "cookies.txt"
        shutil.copyfile(cookies, own)
        params["cookiefile"] = str(own)
    return params


class _talking:
    """A yt-dlp session whose troubles come out as failures."""

    def __init__(
        self, params: dict[str, Any], rule: AddressRule, url: str, warn: Callable[[str], None]
    ) -> None:
        self._log, self._url, self._warn = _Log(), url, warn
        rule.check_url(url)
        self._ydl = _Guarded(params | {"logger": self._log}, rule)

    def __enter__(self) -> _Guarded:
        return self._ydl

    def __exit__(self, kind, error, trace) -> None:
        self._ydl.close()
        no_runtime = any("JavaScript runtime" in line for line in self._log.warnings)
        if no_runtime:
            self._warn("no_js_runtime")
        if error is None or isinstance(error, Failure | failures.DiskFull):
            return
        if not isinstance(error, Exception):
            return
        if self._ydl.refusal:
            raise self._ydl.refusal from error
        raise _failure(error, self._url, no_runtime) from error


def _failure(error: Exception, url: str, no_runtime: bool) -> Failure:
    """The failure behind whatever yt-dlp raised."""
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
        return Failure("transient", "network", f"{url}: {error!r}")
    failure = failures.from_message(str(error))
    if no_runtime and failure.code in ("no_format", "not_media", "extractor", "http_403"):
        return Failure("transient", "no_js_runtime", failure.text)
    return failure


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those behind it, through yt-dlp's own wrappings."""
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


def _single(info: Any, url: str) -> dict[str, Any]:
    """The one video of what was found.

    Raises:
        Failure: if there is none, or there are several.
    """
    if not info:
        raise Failure("permanent", "not_media", f"{url}: no video found")
    if info.get("_type") in ("playlist", "multi_video"):
        found = [entry for entry in info.get("entries") or [] if entry]
        if len(found) != 1:
            what = "no video" if not found else f"{len(found)} videos"
            code = "not_media" if not found else "several_videos"
            raise Failure("permanent", code, f"{url}: {what} on this page; name one")
        return _single(found[0], url)
    return info


def _check_state(info: Mapping[str, Any]) -> None:
    """Raises:
    Failure: if the video is live, still to come, sound alone, or comes over an odd protocol.
    """
    state = info.get("live_status")
    if info.get("is_live") or state in ("is_live", "is_upcoming", "post_live"):
        raise Failure("transient", "not_yet", f"the video is {state or 'live'}")
    if info.get("vcodec") == "none":
        raise Failure("permanent", "no_video", "sound and no picture")
    protocol = str(info.get("protocol") or "https")
    if not _PROTOCOLS.fullmatch(protocol):
        raise Failure("refused", "protocol", f"the video comes over {protocol}")


def _stop_hook(stopped: Callable[[], bool]) -> Callable[[Mapping[str, Any]], None]:
    def hook(_: Mapping[str, Any]) -> None:
        if stopped():
            raise Failure("transient", "stopped", "the run was stopped")

    return hook
