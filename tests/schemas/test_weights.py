"""Weight files: fetched from a server on this machine, verified, cached."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faces_helpers import Told

from fsh.pipeline.faces.backends import FAN_2D
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent
from fsh.schemas.weights import (
    WeightFile,
    cached_weights,
    fetch_weights,
    torch_hub_folder,
    weights_folder,
)

CONTENT = bytes(range(256)) * 8000  # 2 MB: more than one block
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        whole = CONTENT[: len(CONTENT) // 3] if self.path == "/broken" else CONTENT
        self.wfile.write(whole)

    def log_message(self, *_): ...


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FSH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def weight(server=None, path="/file", sha256=SHA256):
    url = f"http://127.0.0.1:{server.server_port}{path}" if server else ""
    return WeightFile("test weights", "test.pth", url, sha256, "public domain")


def test_fetched_once_then_cached(server, folder):
    told = Told()
    path = fetch_weights(weight(server), told)
    assert path == folder / "test.pth" and path.read_bytes() == CONTENT
    assert told.started == [("fetching test weights", len(CONTENT), "B")]
    assert told.advanced == len(CONTENT)
    assert fetch_weights(weight(server), Silent()) == path == cached_weights(weight())
    assert server.asked == ["/file"]


@pytest.mark.parametrize("path", ["/file", "/unsized"])
def test_a_prefix_of_the_hash_is_a_weaker_check(server, folder, path):
    by_prefix = weight(server, path, SHA256[:10])
    assert not by_prefix.pinned and weight().pinned
    assert fetch_weights(by_prefix, Silent()).read_bytes() == CONTENT


def test_the_wrong_file_is_refused_and_thrown_away(server, folder):
    with pytest.raises(FshError, match=f"{SHA256}, expected 0000"):
        fetch_weights(weight(server, sha256="0" * 64), Silent())
    assert list(folder.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(server, folder):
    with pytest.raises(FshError, match=f"broke off after {len(CONTENT) // 3} of {len(CONTENT)}"):
        fetch_weights(weight(server, "/broken"), Silent())
    assert list(folder.iterdir()) == []


def test_a_missing_file_and_no_network_say_what_to_do(server, folder):
    with pytest.raises(FshError, match=r"could not be fetched \(Not Found\).*put test\.pth into"):
        fetch_weights(weight(server, "/missing"), Silent())
    nobody = WeightFile("w", "w.pth", "http://127.0.0.1:9/w.pth", SHA256, "")
    with pytest.raises(FshError, match=r"refused.*put w\.pth into"):
        fetch_weights(nobody, Silent())
    with pytest.raises(FshError, match=r"is not there.*put test\.pth into"):
        fetch_weights(weight(), Silent())


def test_a_damaged_file_is_fetched_again(server, folder):
    folder.mkdir()
    (folder / "test.pth").write_bytes(CONTENT[:-1])
    assert cached_weights(weight()) is None
    assert fetch_weights(weight(server), Silent()).read_bytes() == CONTENT


def test_other_folders_count_only_if_verified(server, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "test.pth").write_bytes(b"something else")
    assert cached_weights(weight(), also=[other]) is None
    (other / "test.pth").write_bytes(CONTENT)
    assert cached_weights(weight(), also=[other]) == other / "test.pth"
    assert fetch_weights(weight(server), Silent(), also=[other]) == other / "test.pth"
    assert server.asked == []


@pytest.mark.parametrize("sha256", ["", "abc", "Z" * 64, SHA256 + "0", SHA256.upper()])
def test_a_weight_needs_a_hash(sha256):
    with pytest.raises(ValueError, match="SHA-256"):
        weight(sha256=sha256)


def test_folders(monkeypatch, tmp_path):
    for name in ("FSH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache/fsh/weights"
    assert torch_hub_folder() == tmp_path / ".cache/torch/hub/checkpoints"


def test_fan_is_pinned_by_its_whole_hash_which_its_name_begins():
    assert FAN_2D.pinned and FAN_2D.license
    assert FAN_2D.file == FAN_2D.url.rsplit("/", 1)[1] == f"2DFAN4-{FAN_2D.sha256[:10]}.pth.tar"


def test_a_copy_in_torch_hubs_folder_is_used_if_verified(monkeypatch, folder, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    copy = tmp_path / "hub" / "checkpoints" / "test.pth"
    copy.write_bytes(CONTENT)
    also = [torch_hub_folder()]
    assert cached_weights(weight(), also) == copy
    assert fetch_weights(weight(), Silent(), also=also) == copy
