"""What a URL names: which video, which host, a channel, or no URL at all but a path.

Nothing is asked of the network.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
from pathlib import Path

#: The host group of everything that is YouTube's.
YOUTUBE = "youtube"

#: A name with a colon in it, such as ``talk:1.mp4``, is none.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:https?|ftp|file|data):", re.IGNORECASE)
_YOUTUBE_HOST = re.compile(
    r"(?:[\w-]+\.)*(?:youtube(?:-nocookie)?\.com|youtu\.be|googlevideo\.com)"
)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_VIDEO_PATH = re.compile(r"/(?:shorts|embed|live|v|e)/([A-Za-z0-9_-]{11})(?:/|$)")
_PLAYLIST_PATH = re.compile(r"/(?:playlist$|@|channel/|c/|user/)")
_USER = re.compile(r"(?<=://)[^/?#]*@")
_BARE_HOST = re.compile(r"(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/|www\.[\w.-]+\.[a-z]{2,}/")


def is_url(text: str) -> bool:
    """Whether a list's entry has a scheme, allowed or not, rather than being a path."""
    return _SCHEME.match(text) is not None


def with_scheme(text: str) -> str:
    """``youtu.be/…`` and ``www.host.org/…`` as people paste them, with https in front."""
    return f"https://{text}" if _BARE_HOST.match(text) else text


def without_user(url: str) -> str:
    """A URL without the user's name and password, which nothing may print or keep; paths as is."""
    return _USER.sub("***@", url, count=1) if is_url(url) else url


def youtube_key(url: str) -> str:
    """The 11-character id of a YouTube video's URL, or empty."""
    if not is_url(url) and not url.startswith("//"):
        return ""  # a path: large folders have many
    parts = split_url(url)
    host = (parts.hostname or "") if parts else ""
    if not parts or not _YOUTUBE_HOST.fullmatch(host):
        return ""
    query = urllib.parse.parse_qs(parts.query)
    if host.endswith("youtu.be"):
        candidate = parts.path.strip("/").split("/")[0]
    elif match := _VIDEO_PATH.match(parts.path):
        candidate = match[1]
    else:
        candidate = query.get("v", [""])[0]
    return candidate if _YOUTUBE_ID.fullmatch(candidate) else ""


def is_youtube_id(text: str) -> bool:
    """Whether a bare word can be taken for a YouTube id: ids that look like words are not."""
    return _YOUTUBE_ID.fullmatch(text) is not None and any(c.isdigit() or c.isupper() for c in text)


def is_playlist(url: str) -> bool:
    """Whether a URL names a YouTube channel or playlist and no single video."""
    parts = split_url(url)
    if not parts or not _YOUTUBE_HOST.fullmatch(parts.hostname or "") or youtube_key(url):
        return False
    return "list=" in parts.query or _PLAYLIST_PATH.match(parts.path) is not None


def source_key(url: str) -> str:
    """What makes two requests ask for the same video: YouTube's id, the URL, or the path."""
    if key := youtube_key(url):
        return f"yt-{key}"
    parts = split_url(url) if is_url(url) else None
    if not parts or parts.scheme.lower() not in ("http", "https"):
        return url
    host = parts.netloc.lower()
    return urllib.parse.urlunsplit((parts.scheme.lower(), host, parts.path, parts.query, ""))


def range_key(url: str, start: float | None, end: float | None) -> str:
    """:func:`source_key` of a part of a video that is fetched alone."""
    return f"{source_key(url)}#t={start or 0.0:g},{'' if end is None else f'{end:g}'}"


def host_group(url: str) -> str:
    """What requests are counted by: ``youtube``, a host name, or empty for a local file."""
    if not is_url(url):
        return ""
    parts = split_url(url)
    host = ((parts.hostname if parts else "") or "").lower()
    return YOUTUBE if _YOUTUBE_HOST.fullmatch(host) else host


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def split_url(url: str) -> urllib.parse.SplitResult | None:
    """The parts of a URL; None if it is malformed."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts if parts.port is None or parts.port >= 0 else None
    except ValueError:  # a broken IPv6 literal or port
        return None


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address written as such, also in the notations that resolvers accept (127.1, 0x7f…)."""
    text = host.strip("[]").split("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"(?:0[xX][0-9a-fA-F]+|\d+)(?:\.(?:0[xX][0-9a-fA-F]+|\d+)){0,3}", text):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def user_path(text: str, base: Path | None = None) -> Path:
    """A path as a user writes it: ``~`` is a home folder, unless there is a file of that name.

    Args:
        base: the folder that it is relative to; None: the working folder.
    """
    path = Path(text)
    if not text.startswith("~") or exists((base or Path()) / path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of this name has a home
        return path


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a path that cannot be one is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
