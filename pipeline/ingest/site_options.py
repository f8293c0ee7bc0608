"""What the user says about video sites: cookies, proxy, height, options of yt-dlp's own.

All of it is checked once, before the first video.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.urls import split_url

_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
#: Parameters of yt-dlp that fsh sets itself, or that would run programs or lead around its rules
#: about addresses and files.
_REFUSED = {
    "outtmpl",
    "paths",
    "postprocessors",
    "external_downloader",
    "external_downloader_args",
    "impersonate",
    "download_ranges",
    "download_archive",
    "ffmpeg_location",
    "cachedir",
    "noplaylist",
    "load_info_filename",
    "netrc_cmd",
    "proxy",
    "cookiefile",
    "cookiesfrombrowser",
    "enable_file_urls",
    "simulate",
    "skip_download",
    "forceprint",
    "print_to_file",
}
_OWN_WAY = {
    "proxy": "--proxy",
    "cookiefile": "--cookies",
    "cookiesfrombrowser": "--cookies-from-browser",
    "download_ranges": "--ranges",
}


@dataclass(frozen=True)
class SiteOptions:
    """How video sites are asked.

    Attributes:
        cookies: a cookie file (``cookies.txt``), or None.
        browser: whose cookies are taken, as yt-dlp names it: ``firefox``, ``chrome:Profile 1`` …;
            empty: none.
        extra: further options of yt-dlp's command, as a shell takes them; empty: none.
        max_height: lines of the largest picture asked for, where a site has a choice.
        proxy: URL of a proxy for everything but this machine; empty: the system's.
    """

    cookies: Path | None = None
    browser: str = ""
    extra: str = ""
    max_height: int = 1080
    proxy: str = field(default="", repr=False)  # may hold a password

    def check(self) -> None:
        """Raises:
        FshError: if one of them cannot be used; nothing is asked of the network.
        """
        if self.max_height < 1:
            raise FshError(f"the largest height is 1 or more, not {self.max_height} (--max-height)")
        check_proxy(self.proxy)
        if self.cookies:
            check_cookies(self.cookies)
        if self.browser:
            check_browser(self.browser)
        if self.extra:
            ydl_params(self.extra)


class SilentLog:
    """The logger given to yt-dlp: warnings are kept, the rest is dropped."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None: ...

    def info(self, message: str) -> None: ...

    def warning(self, message: str, only_once: bool = False) -> None:
        self.warnings.append(message)

    def error(self, message: str) -> None: ...

    def progress_bar(self) -> None: ...


def check_proxy(proxy: str) -> None:
    """Raises:
    FshError: if it is no URL of a proxy. The message does not hold what may be a password.
    """
    parts = split_url(proxy) if proxy else None
    if proxy and (not parts or parts.scheme.lower() not in _PROXY_SCHEMES or not parts.hostname):
        remedy = "write http://host:port or socks5h://host:port (--proxy)"
        raise FshError("not the URL of a proxy", remedy=remedy)


def check_cookies(path: Path) -> None:
    """Raises:
    FshError: if it is not there, or no cookies can be read from it.
    """
    if not path.is_file():
        raise FshError("no such cookie file", where=path, remedy="check the path (--cookies)")
    from yt_dlp.cookies import YoutubeDLCookieJar

    jar = YoutubeDLCookieJar(str(path))
    try:
        jar.load()
        found = len(jar)
    except Exception:  # what it says may quote the file
        found = 0
    if not found:
        raise FshError(
            "no cookies in this file: it is not in the Netscape format (cookies.txt)",
            where=path,
            remedy="export it with a browser's extension, or give --cookies-from-browser",
        )


def check_browser(name: str) -> None:
    """Raises:
    FshError: if there is no such browser here, or its cookies cannot be read.
    """
    from yt_dlp.cookies import extract_cookies_from_browser

    browser, profile, keyring, container = browser_spec(name)
    try:
        extract_cookies_from_browser(
            browser, profile, SilentLog(), keyring=keyring, container=container
        )
    except Exception as error:  # each browser's reader raises its own
        raise FshError(
            f"the cookies of {browser} cannot be read ({error})",
            remedy="name another browser or profile, or give a file (--cookies)",
        ) from None


def browser_spec(name: str) -> tuple[str, str | None, str | None, str | None]:
    """Browser, profile, keyring and container of ``browser[+keyring][:profile][::container]``.

    Raises:
        FshError: if yt-dlp reads no such browser.
    """
    return _parsed(["--cookies-from-browser", name], "--cookies-from-browser")["cookiesfrombrowser"]


def ydl_params(extra: str) -> dict[str, Any]:
    """Parameters of yt-dlp from options of its command.

    Raises:
        FshError: if they are none, or decide what fsh decides itself.
    """
    try:
        words = shlex.split(extra)
    except ValueError as error:
        raise FshError(f"not a command's options ({error})", where="--yt-dlp-options") from None
    found = _parsed(words, "--yt-dlp-options")
    if refused := sorted(_REFUSED & set(found)):
        own = _OWN_WAY.get(refused[0])
        raise FshError(
            f"yt-dlp's {', '.join(refused)} cannot be set",
            where="--yt-dlp-options",
            remedy=f"give {own}" if own else "leave it out",
        )
    return found


def _parsed(words: list[str], option: str) -> dict[str, Any]:
    """What words change of yt-dlp's parameters."""
    import contextlib
    import io

    import yt_dlp

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            usual = yt_dlp.parse_options([]).ydl_opts
            parsed = yt_dlp.parse_options(words)
    except (Exception, SystemExit) as error:
        reason = str(error).rpartition("error: ")[2].strip()
        if isinstance(error, SystemExit):
            reason = "they end the command"
        raise FshError(f"yt-dlp does not take these options ({reason})", where=option) from None
    if parsed.urls:
        raise FshError("options of yt-dlp are wanted, not a URL", where=option)
    return {name: v for name, v in parsed.ydl_opts.items() if usual.get(name) != v}


def private_copy(path: Path, target: Path) -> None:
    """Copy a file so that nobody else can read the copy, at no moment."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as copy:  # noqa: PTH123
        copy.write(path.read_bytes())
