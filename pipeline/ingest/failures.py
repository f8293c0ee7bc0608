"""Why a video could not be had: classes, short codes, and how causes are told apart."""

from __future__ import annotations

import email.utils
import errno
import re
import time


class Failure(Exception):
    """One request's failure, on its way into the ledger.

    Attributes:
        error_class: permanent, transient or refused.
        code: short name of the cause.
        text: the cause in one line.
        throttled: whether the host asked us to slow down.
        retry_after: seconds the host asked us to wait, or None.
    """

    def __init__(
        self,
        error_class: str,
        code: str,
        text: str,
        *,
        throttled: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.error_class, self.code = error_class, code
        self.text = " ".join(text.split())[:500]
        self.throttled, self.retry_after = throttled, retry_after


class DiskFull(Exception):
    """No room left: no fault of the video, so nothing is recorded and the run ends."""


#: What to do about causes that hit every video of a run alike; told once, in one line.
REMEDIES = {
    "bot_wall": "YouTube asks for a sign-in to prove that this is no bot: wait an hour, lower "
    "--rate, or give the cookies of a signed-in browser (--cookies FILE); run again to go on",
    "no_js_runtime": "YouTube needs a JavaScript runtime: pip install 'yt-dlp[default,deno]', "
    "then run again with --retry all",
    "http_429": "the host asked to slow down: the run waits and goes on",
}

# What yt-dlp says, first match wins. Facts of YouTube's and yt-dlp's wording in 2026.
_MESSAGES: tuple[tuple[str, str, str], ...] = (
    (r"confirm you.{0,3}re not a bot|unusual traffic", "transient", "bot_wall"),
    (r"javascript runtime", "transient", "no_js_runtime"),
    (r"rate.?limit|too many requests|http error 429|try again later", "transient", "http_429"),
    (r"private video|video is private|this video is private", "permanent", "private"),
    (r"account.{0,40}terminated|account.{0,40}closed", "permanent", "account_gone"),
    (r"members.only|join this channel|available to this channel's members", "permanent", "members"),
    (r"confirm your age|age.restricted|inappropriate for some users", "permanent", "age"),
    (r"copyright", "permanent", "copyright"),
    (r"premieres? in|live event will begin|is upcoming|not started", "transient", "not_yet"),
    (r"live stream recording is not available", "permanent", "removed"),
    (r"available (in|from) your (country|location)|geo.?restrict", "permanent", "geo"),
    (r"requested format is not available", "permanent", "no_format"),
    (r"requires payment|\brent\b|\bpurchase", "permanent", "paid"),
    (r"login required|log in|sign in|registered users|cookies", "permanent", "login"),
    (r"\bdrm\b", "permanent", "drm"),
    (r"removed|deleted|does not exist|video unavailable", "permanent", "removed"),
    (r"(not|no longer) available", "permanent", "removed"),
    (r"http error (404|410)", "permanent", "removed"),
    (r"http error 403", "transient", "http_403"),
    (r"http error 5\d\d", "transient", "http_5xx"),
    (
        r"unsupported url|no video formats|no (video|media) (could be )?found",
        "permanent",
        "not_media",
    ),
    (r"unsafe file extension|extension.{0,40}unusual", "refused", "not_media"),
    (r"incomplete|content too short|bytes read", "transient", "truncated"),
    (r"timed out|timeout", "transient", "timeout"),
    (
        r"resolve|name or service|getaddrinfo|connection|network|unreachable|\bssl|\beof\b|"
        r"temporary failure|unable to download|remote end closed",
        "transient",
        "network",
    ),
)


def from_message(message: str) -> Failure:
    """The failure behind yt-dlp's words; unknown words are transient, worth another try."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    text = re.sub(r"^ERROR:\s*", "", text).split("; please report this issue")[0]
    for pattern, error_class, code in _MESSAGES:
        if re.search(pattern, text, re.IGNORECASE):
            throttled = code in ("bot_wall", "http_429")
            return Failure(error_class, code, text, throttled=throttled)
    return Failure("transient", "extractor", text)


def from_status(status: int, url: str, retry_after: str | None = None) -> Failure:
    """The failure behind an HTTP status of a direct link."""
    text = f"HTTP {status} from {url[:200]}"
    wait = parse_retry_after(retry_after)
    if status in (429, 503):
        return Failure("transient", f"http_{status}", text, throttled=True, retry_after=wait)
    if status >= 500 or status in (408, 425):
        return Failure("transient", f"http_{status}", text, retry_after=wait)
    return Failure("permanent", f"http_{status}", text)


def from_os(error: OSError, where: str) -> Failure:
    """The failure behind a socket's or a file's error.

    Raises:
        DiskFull: if there is no room left.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(where) from error
    if isinstance(error, TimeoutError):
        return Failure("transient", "timeout", f"{where}: no answer in time")
    return Failure("transient", "network", f"{where}: {error}")


def parse_retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds from a Retry-After header: a number or a date; None if it is neither."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip()):
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return max(0.0, when.timestamp() - (time.time() if now is None else now))
