"""Which addresses may be asked, and how causes of failure are told apart."""

from __future__ import annotations

import socket

import pytest

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure
from fsh.pipeline.ingest.lists.reading import read_lists
from fsh.pipeline.ingest.lists.requests import Request
from fsh.schemas import urls
from fsh.schemas.places.disk import NoRoom

ID = "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    "url",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://m.youtube.com/watch?feature=x&v={ID}&list=PL123&t=6s",
        f"https://youtu.be/{ID}?t=3",
        f"https://www.youtube.com/shorts/{ID}",
        f"https://www.youtube-nocookie.com/embed/{ID}",
    ],
)
def test_one_video_by_many_urls(url):
    assert urls.source_key(url) == f"yt-{ID}"
    assert urls.host_group(url) == "youtube"
    assert not urls.is_playlist(url)


@pytest.mark.parametrize(
    ("url", "playlist"),
    [
        ("https://www.youtube.com/playlist?list=PL123", True),
        ("https://www.youtube.com/@somebody", True),
        ("https://www.youtube.com/channel/UC123/videos", True),
        ("https://www.youtube.com/user/somebody", True),
        ("https://host.org/playlist?list=PL123", False),
        ("https://notyoutube.com/watch?v=" + ID, False),
        ("https://youtube.com.evil.org/watch?v=" + ID, False),
    ],
)
def test_playlists(url, playlist):
    assert urls.is_playlist(url) is playlist
    assert not urls.youtube_key(url)


def test_keys_of_other_urls_differ_where_the_video_may():
    key = urls.source_key
    assert key("HTTP://Host.org/A.mp4#x") == key("http://host.org/A.mp4")
    assert key("http://h.org/a?x=1") != key("http://h.org/a?x=2")
    assert key("/videos/A.mp4") == "/videos/A.mp4"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a",
        "http://192.168.1.1/a",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/a",
        "http://localhost:8000/a",
        "http://[::1]/a",
        "http://[::ffff:10.0.0.1]/a",
        "http://[fe80::1]/a",
        "http://0x7f000001/a",
        "http://2130706433/a",
        "http://127.1/a",
        "http://0.0.0.0/a",
        "http://100.64.0.1/a",
        "http://224.0.0.1/a",
    ],
)
def test_private_addresses_are_refused_however_they_are_written(url):
    with pytest.raises(Failure) as caught:
        AddressRule.for_url("https://host.org/a", trusted=True).check_url(url)
    assert (caught.value.error_class, caught.value.code) == ("refused", "private_address")
    with pytest.raises(Failure):
        AddressRule.for_url(url, trusted=False).check_url(url)


def test_the_users_own_list_allows_the_private_hosts_that_it_names():
    loopback = AddressRule.for_url("http://127.0.0.1:8000/a", trusted=True)
    loopback.check_url("http://localhost:9000/b")
    private = AddressRule.for_url("http://192.168.1.5/a", trusted=True)
    private.check_url("http://192.168.1.5:81/b")
    for rule, url in [
        (loopback, "http://192.168.1.5/"),
        (private, "http://192.168.1.6/"),
        (private, "http://127.0.0.1/"),
    ]:
        with pytest.raises(Failure):
            rule.check_url(url)
    AddressRule().check_url("https://93.184.216.34/a")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/passwd", "scheme"),
        ("ftp://host.org/a", "scheme"),
        ("data:text/plain,x", "scheme"),
        ("http:///a", "scheme"),
        ("http://me:secret@host.org/a", "credentials"),
    ],
)
def test_other_schemes_and_passwords_are_refused(url, code):
    with pytest.raises(Failure) as caught:
        AddressRule().check_url(url)
    assert caught.value.code == code
    assert "secret" not in caught.value.text


def test_a_password_in_a_url_is_in_no_request_and_in_no_ledger(tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text("http://me:secret@host.org/a\nhttps://me:secret@host.org/b?c@d\n")
    requests = [*read_lists([str(listing)]).requests, Request("u", list="http://me:secret@h/l")]
    assert "secret" not in str(requests)
    assert requests[1].url == "https://***@host.org/b?c@d"
    with pytest.raises(Failure) as caught:
        AddressRule().check_url(requests[1].url)
    assert caught.value.code == "credentials"
    assert Request("https://youtube.com/@channel").url == "https://youtube.com/@channel"
    assert Request("/a/b:c@d.mp4").url == "/a/b:c@d.mp4"


def test_the_address_of_the_connection_is_checked():
    """A name that leads to a private address is caught after connecting, before asking."""
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as connection:
        with pytest.raises(Failure, match=r"innocent\.org is a private address"):
            AddressRule().check_peer("innocent.org", connection)
        AddressRule(loopback=True).check_peer("innocent.org", connection)


# Messages of YouTube as yt-dlp passes them on.
TRANSIENT_MESSAGES = {
    "Sign in to confirm you’re not a bot. Use --cookies-from-browser": "bot_wall",
    "Premieres in 3 hours": "not_yet",
    "Unable to download API page: HTTP Error 429: Too Many Requests": "http_429",
    "The current session has been rate-limited by YouTube for up to an hour": "http_429",
    "unable to download video data: HTTP Error 403: Forbidden": "http_403",
    "Unable to download API page: [Errno -2] Name or service not known": "network",
    "Requested format is not available. Use --list-formats": "outdated",
    "The following content is not available on this app. Watch on the latest version": "outdated",
    "Unable to extract initial data; please report this issue on the tracker": "outdated",
    "Something nobody has seen before": "extractor",
}
PERMANENT_MESSAGES = {
    "Sign in to confirm your age. This video may be inappropriate": "age",
    "Private video. Sign in if you've been granted access": "private",
    "Video unavailable. This video is private": "private",
    "Video unavailable. This video has been removed by the uploader": "removed",
    "Video unavailable": "removed",
    "This video is no longer available because the YouTube account associated with this video "
    "has been terminated.": "account_gone",
    "Video unavailable. This video contains content from X, who has blocked it on copyright "
    "grounds": "copyright",
    "The uploader has not made this video available in your country": "geo",
    "Join this channel to get access to members-only content": "members",
    "Unable to download webpage: HTTP Error 404: Not Found": "removed",
    "Unsupported URL: https://host.org/": "not_media",
}


@pytest.mark.parametrize(
    ("words", "error_class", "code"),
    [(words, "transient", code) for words, code in TRANSIENT_MESSAGES.items()]
    + [(words, "permanent", code) for words, code in PERMANENT_MESSAGES.items()],
)
def test_the_failure_behind_a_message_of_yt_dlp(words, error_class, code):
    failure = failures.from_message(f"ERROR: [youtube] {ID}: {words}")
    assert (failure.error_class, failure.code) == (error_class, code)
    assert failure.throttled == (code in ("bot_wall", "http_429"))


@pytest.mark.parametrize(
    ("status", "error_class", "throttled"),
    [
        (404, "permanent", False),
        (410, "permanent", False),
        (403, "permanent", False),
        (429, "transient", True),
        (503, "transient", True),
        (500, "transient", False),
        (408, "transient", False),
    ],
)
def test_http_statuses(status, error_class, throttled):
    failure = failures.from_status(status, "http://h/a", "7")
    assert (failure.error_class, failure.throttled) == (error_class, throttled)
    assert failure.code == f"http_{status}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value, seconds):
    assert failures.parse_retry_after(value, now=60.0) == seconds


def test_a_full_disk_is_no_failure_of_the_video():
    with pytest.raises(NoRoom):
        failures.from_os(OSError(28, "No space left on device"), "x")
