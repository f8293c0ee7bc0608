"""Why a video could not be fetched: the classes and codes of failures, and how they are told apart.

Pure functions from an HTTP status, a socket's error or yt-dlp's message to a :class:`Failure`.
"""

from __future__ import annotations

import email.utils
import re
import ssl
import time

from fsh.schemas.places.disk import NoRoom, is_disk_full
from fsh.schemas.tables.records import ErrorClass, SourceState

_PERMANENT, _TRANSIENT, _REFUSED = ErrorClass.PERMANENT, ErrorClass.TRANSIENT, ErrorClass.REFUSED
#: The code of what a stopped run leaves undone; no such failure gets into the ledger.
STOPPED = "stopped"


class Failure(Exception):
    """One request's failure, on its way into the ledger.

    Attributes:
        error_class: whether another try is worth it, or fsh does not let it in.
        code: short name of the cause.
        text: the cause in one line.
        throttled: whether the host asked to be asked less often.
        retry_after: seconds that the host asked to wait, or None.
    """

    def __init__(
        self,
        error_class: ErrorClass,
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

    @property
    def state(self) -> SourceState:
        """The state of a request that failed so."""
        refused = self.error_class is ErrorClass.REFUSED
        return SourceState.REFUSED if refused else SourceState.FAILED


class Interrupted(Exception):
    """The run was stopped while a video was being fetched: its job is as it was before."""


def run_stopped() -> Failure:
    """What ends a wait or a download when the run is stopped."""
    return Failure(_TRANSIENT, STOPPED, "the run was stopped")


#: What to do about causes that every video of a run meets; shown once, in one line.
REMEDIES = {
    "bot_wall": "YouTube asks for a sign-in to prove that this is no bot: wait an hour, lower "
    "--rate, or give the cookies of a signed-in browser (--cookies FILE); run again to go on",
    "no_js_runtime": "YouTube needs a JavaScript runtime: pip install 'yt-dlp[default,deno]', "
    "then run again with --retry all",
    "outdated": "video sites change, and this yt-dlp does not know the change: pip install -U "
    "'yt-dlp[default,deno]', then run again",
    "certificate": "this machine does not trust the certificates that hosts show it: if your "
    "network opens encrypted connections, name its own in SSL_CERT_FILE; look at the clock too",
    "no_ranges": "this host gives no parts of its videos: run again without --ranges",
    "http_429": "the host asked to slow down: the run waits and goes on",
}

# What yt-dlp says, first match wins. The wording of YouTube and yt-dlp in 2026.
_MESSAGES: tuple[tuple[str, ErrorClass, str], ...] = (
    (r"confirm you.{0,3}re not a bot|unusual traffic", _TRANSIENT, "bot_wall"),
    (r"javascript runtime", _TRANSIENT, "no_js_runtime"),
    (
        r"not available on this app|requested format is not available|only images are available|"
        r"(nsig|signature|player|challenge).{0,40}(extraction|solving) failed|unable to extract|"
        r"failed to extract|precondition check failed|confirm you are on the latest version",
        _TRANSIENT,
        "outdated",
    ),
    (r"rate.?limit|too many requests|http error 429|try again later", _TRANSIENT, "http_429"),
    (r"private video|video is private|this video is private", _PERMANENT, "private"),
    (r"account.{0,40}terminated|account.{0,40}closed", _PERMANENT, "account_gone"),
    (r"members.only|join this channel|available to this channel's members", _PERMANENT, "members"),
    (r"confirm your age|age.restricted|inappropriate for some users", _PERMANENT, "age"),
    (r"copyright", _PERMANENT, "copyright"),
    (r"premieres? in|live event will begin|is upcoming|not started", _TRANSIENT, "not_yet"),
    (r"live stream recording is not available", _PERMANENT, "removed"),
    (r"available (in|from) your (country|location)|geo.?restrict", _PERMANENT, "geo"),
    (r"requires payment|\brent\b|\bpurchase", _PERMANENT, "paid"),
    (r"login required|log in|sign in|registered users|cookies", _PERMANENT, "login"),
    (r"\bdrm\b", _PERMANENT, "drm"),
    (r"removed|deleted|does not exist|video unavailable", _PERMANENT, "removed"),
    (r"(not|no longer) available", _PERMANENT, "removed"),
    (r"http error (404|410)", _PERMANENT, "removed"),
    (r"http error 403", _TRANSIENT, "http_403"),
    (r"http error 5\d\d", _TRANSIENT, "http_5xx"),
    (
        r"unsupported url|no video formats|no (video|media) (could be )?found",
        _PERMANENT,
        "not_media",
    ),
    (r"unsafe file extension|extension.{0,40}unusual", _REFUSED, "not_media"),
    (r"incomplete|content too short|bytes read", _TRANSIENT, "truncated"),
    (r"certificate.verify.failed", _TRANSIENT, "certificate"),
    (r"timed out|timeout", _TRANSIENT, "timeout"),
    (
        r"resolve|name or service|getaddrinfo|connection|network|unreachable|\bssl|\beof\b|"
        r"temporary failure|unable to download|remote end closed",
        _TRANSIENT,
        "network",
    ),
)


def from_message(message: str) -> Failure:
    """The failure that a message of yt-dlp stands for; an unknown message is transient."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    text = re.sub(r"^ERROR:\s*", "", text).split("; please report this issue")[0]
    for pattern, error_class, code in _MESSAGES:
        if re.search(pattern, text, re.IGNORECASE):
            throttled = code in ("bot_wall", "http_429")
            return Failure(error_class, code, text, throttled=throttled)
    return Failure(_TRANSIENT, "extractor", text)


def from_status(status: int, url: str, retry_after: str | None = None) -> Failure:
    """The failure that an HTTP status of a direct link stands for."""
    text = f"HTTP {status} from {url[:200]}"
    wait = parse_retry_after(retry_after)
    if status in (429, 503):
        return Failure(_TRANSIENT, f"http_{status}", text, throttled=True, retry_after=wait)
    if status >= 500 or status in (408, 425):
        return Failure(_TRANSIENT, f"http_{status}", text, retry_after=wait)
    if 300 <= status < 400:
        text += ", which leads nowhere: redirects in a circle, or to no address"
    return Failure(_PERMANENT, f"http_{status}", text)


def from_os(error: OSError, where: str) -> Failure:
    """The failure that an error of a socket or a file stands for.

    Raises:
        NoRoom: if there is no room left.
    """
    if is_disk_full(error):
        raise NoRoom(where) from error
    if isinstance(error, TimeoutError):
        return Failure(_TRANSIENT, "timeout", f"{where}: no answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"{where}: its certificate is not trusted ({error.verify_message})"
        return Failure(_TRANSIENT, "certificate", text)
    return Failure(_TRANSIENT, "network", f"{where}: {error}")


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
