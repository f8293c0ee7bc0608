"""Video sites and pages through yt-dlp: one video, or the videos of a channel or playlist."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.download import DownloadLimits
from fsh.pipeline.ingest.failures import Failure, run_stopped
from fsh.pipeline.ingest.range_copy import RemoteStream
from fsh.pipeline.ingest.site_options import SiteOptions
from fsh.pipeline.ingest.ytdlp import YtDlpSession, base_params
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.urls import source_key, youtube_key

#: H.264 in MP4 where there is a choice, after the height.
_PREFERENCE = ["vcodec:h264", "acodec:aac", "ext:mp4:m4a"]
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
_USUAL = SiteOptions()
#: Formats that are plain files, of which a part can be asked for.
_PLAIN = "[protocol~='^https?$']"
_DIRECT = f"bv*{_PLAIN}+ba{_PLAIN}/b{_PLAIN}/bv*{_PLAIN}"
_PROTOCOL = r"(?:https?|m3u8_native|http_dash_segments|ism)"
_PROTOCOLS = re.compile(rf"{_PROTOCOL}(?:\+{_PROTOCOL})*")


@dataclass(frozen=True)
class SiteVideo:
    """A downloaded video: the file, and what the site says about it, sanitised."""

    path: Path
    info: dict[str, Any]


def fetch_video(
    url: str,
    folder: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    *,
    site: SiteOptions = _USUAL,
    admit: Callable[[Mapping[str, Any]], None] = lambda info: None,
    stopped: Callable[[], bool] = lambda: False,
    warn: Callable[[str], None] = lambda code: None,
) -> SiteVideo:
    """Download the one video that a page shows into ``folder``.

    Args:
        admit: called with the sanitised metadata before anything is downloaded; may raise Failure.
        warn: called with the code of a cause whose remedy is worth showing although the video came.

    Raises:
        Failure: why there is no file.
        NoRoom: no room for it.
    """
    params = _params(limits, site, folder) | {
        "outtmpl": {"default": str(folder / "video.%(ext)s")},
        "merge_output_format": "mp4/mkv",
        "max_filesize": limits.max_bytes,
        "progress_hooks": [_stop_hook(stopped)],
    }
    with YtDlpSession(params, rule, url, warn) as ydl:
        info = _single(ydl.extract_info(url, download=False), url)
        _check_state(info)
        kept = sanitize(info)
        admit(kept)
        info = ydl.process_ie_result(info, download=True)
        kept |= sanitize(info)
    files = [path for path in folder.iterdir() if path.stem == "video"]
    if len(files) != 1:
        raise Failure(ErrorClass.TRANSIENT, "no_file", f"{url}: yt-dlp left {len(files)} files")
    return SiteVideo(files[0], kept)


def find_streams(
    url: str,
    folder: Path,
    rule: AddressRule,
    limits: DownloadLimits,
    *,
    site: SiteOptions = _USUAL,
    admit: Callable[[Mapping[str, Any]], None] = lambda info: None,
    warn: Callable[[str], None] = lambda code: None,
) -> tuple[list[RemoteStream], dict[str, Any]]:
    """The plain files that the one video on a page consists of, and what the site says about it.

    Args:
        folder: a temporary folder. The others as of :func:`fetch_video`.

    Raises:
        Failure: why there are none.
    """
    params = _params(limits, site, folder)
    params |= {"format": params.get("format") or _DIRECT}
    with YtDlpSession(params, rule, url, warn) as ydl:
        info = _single(ydl.extract_info(url, download=False), url)
        _check_state(info)
        kept = sanitize(info)
        admit(kept)
        parts = info.get("requested_formats") or [info]
    if any(part.get("protocol") not in ("http", "https") for part in parts):
        raise Failure(
            ErrorClass.PERMANENT, "no_ranges", f"{url}: a stream in pieces, no plain file"
        )
    return [RemoteStream.of_format(part) for part in parts], kept


def playlist_videos(
    url: str,
    rule: AddressRule,
    limits: DownloadLimits,
    folder: Path,
    site: SiteOptions = _USUAL,
) -> list[str]:
    """URLs of the videos of a channel or playlist, in its order. A channel's tabs are followed.

    Raises:
        Failure: if it cannot be read or holds no videos.
    """
    params = base_params(limits, site, folder) | {"extract_flat": "in_playlist"}
    with YtDlpSession(params, rule, url, lambda code: None) as ydl:

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
        raise Failure(ErrorClass.PERMANENT, "empty_playlist", f"{url}: no videos in it")
    return found


def sanitize(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of yt-dlp's metadata: known plain fields, long texts shortened."""
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


def _params(limits: DownloadLimits, site: SiteOptions, folder: Path) -> dict[str, Any]:
    params = base_params(limits, site, folder)
    usual = [f"res:{site.max_height}", *_PREFERENCE]
    return params | {"format_sort": params.get("format_sort") or usual}


def _single(info: Any, url: str) -> dict[str, Any]:
    """The one video of what was found.

    Raises:
        Failure: if there is none, or there are several.
    """
    if not info:
        raise Failure(ErrorClass.PERMANENT, "not_media", f"{url}: no video found")
    if info.get("_type") in ("playlist", "multi_video"):
        found = [entry for entry in info.get("entries") or [] if entry]
        if len(found) != 1:
            what = "no video" if not found else f"{len(found)} videos"
            code = "not_media" if not found else "several_videos"
            raise Failure(ErrorClass.PERMANENT, code, f"{url}: {what} on this page; name one")
        return _single(found[0], url)
    return info


def _check_state(info: Mapping[str, Any]) -> None:
    """Raises:
    Failure: if the video is live, not out yet, sound alone, or comes over another protocol.
    """
    state = info.get("live_status")
    if info.get("is_live") or state in ("is_live", "is_upcoming", "post_live"):
        raise Failure(ErrorClass.TRANSIENT, "not_yet", f"the video is {state or 'live'}")
    if info.get("vcodec") == "none":
        raise Failure(ErrorClass.PERMANENT, "no_video", "sound and no picture")
    protocol = str(info.get("protocol") or "https")
    if not _PROTOCOLS.fullmatch(protocol):
        raise Failure(ErrorClass.REFUSED, "protocol", f"the video comes over {protocol}")


def _stop_hook(stopped: Callable[[], bool]) -> Callable[[Mapping[str, Any]], None]:
    def hook(_: Mapping[str, Any]) -> None:
        if stopped():
            raise run_stopped()

    return hook
