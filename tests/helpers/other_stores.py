"""Emulators of Azure's and Google's stores on loopback; tests skip where one is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from clusters import answers, free_port, running, wait_until

BUCKET = "lab"
#: The account that every Azurite has; its key is public.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def _program(name: str, module: str, extra: str, how: str) -> str:
    beside = Path.home() / "go" / "bin" / name
    found = shutil.which(name) or (str(beside) if beside.is_file() else "")
    if not found:
        pytest.skip(f"no {name} on the path: {how}")
    if not (find_spec(module) and find_spec("upath")):
        pytest.skip(f'no {module}: pip install "fsh[{extra}]"')
    return found


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """A container; how its addresses begin. The environment is set for it."""
    program = _program("azurite-blob", "adlfs", "azure", "npm install --global azurite@3.37.0")
    port = free_port()
    place = ("--blobHost", "127.0.0.1", "--blobPort", port, "--location", folder)
    more = ("--silent", "--skipApiVersionCheck", "--disableTelemetry")
    log = folder.with_name("azurite.log")
    with running(program, *place, *more, log=log) as server, pytest.MonkeyPatch.context() as patch:
        wait_until(lambda: answers(port), "Azurite", server)
        known = f"AccountName={_ACCOUNT};AccountKey={_KEY}"
        at = f"BlobEndpoint=http://127.0.0.1:{port}/{_ACCOUNT}"
        text = f"DefaultEndpointsProtocol=http;{known};{at};"
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        from adlfs import AzureBlobFileSystem

        AzureBlobFileSystem.clear_instance_cache()
        AzureBlobFileSystem(connection_string=text).mkdir(BUCKET)
        yield f"az://{BUCKET}"
        AzureBlobFileSystem.clear_instance_cache()


@contextmanager
def fake_gcs(folder: Path) -> Iterator[str]:
    """A bucket; how its addresses begin. The environment is set for it."""
    how = "go install github.com/fsouza/fake-gcs-server@v1.54.0"
    program, port = _program("fake-gcs-server", "gcsfs", "gcs", how), free_port()
    place = ("-scheme", "http", "-host", "127.0.0.1", "-port", port, "-backend", "memory")
    url = f"http://127.0.0.1:{port}"
    log = folder.with_name("gcs.log")
    with (
        running(program, *place, "-public-host", f"127.0.0.1:{port}", log=log) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        wait_until(lambda: answers(port), "fake-gcs-server", server)
        kind = {"Content-Type": "application/json"}
        with urlopen(Request(f"{url}/storage/v1/b", b'{"name": "lab"}', kind)):
            pass
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        from gcsfs import GCSFileSystem

        GCSFileSystem.clear_instance_cache()
        yield f"gs://{BUCKET}"
        GCSFileSystem.clear_instance_cache()
