"""The function run from its archive alone: by this package, and by Amazon's own runtime client."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from functions import files, gateway_1, gateway_2, unpacked
from networks import example, pictures
from sklearn.datasets import load_digits

import kilonet
from kilonet.errors import KilonetError
from kilonet.exports.aws.run import FunctionNetwork, png
from kilonet.preprocessing import PictureError

CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


def test_logits_are_those_of_pytorch(tmp_path: Path) -> None:
    (tmp_path / "net.zip").write_bytes(files()["net-1-lambda.zip"])
    images = pictures(700)
    with FunctionNetwork(tmp_path / "net.zip") as network:
        error = network.logits(images) - example("simple-8k").logits(images)
        seconds = network.one(np.zeros((1, 1, 28, 28), np.uint8))
    assert np.abs(error).max() < 1e-3
    assert 0 < seconds < 5


def test_a_function_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.writestr("handler.py", "import no_such_thing")
    with (
        FunctionNetwork(tmp_path / "net.zip") as network,
        pytest.raises(KilonetError, match=r"does not run: .*no_such_thing"),
    ):
        network.logits(pictures(1))


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime API, version 2018-06-01, as far as a function needs it.

    ``events`` wait to be asked for, ``answers`` come in; what the client says went wrong is an
    answer too.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()


class _Api(BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next"
        event = self.server.events.get()
        content = json.dumps(event).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(1000 * time.time()) + 15_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:function:net")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.put((self.path.rpartition("/")[2], content))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def lambda_function(client: Path) -> Iterator[RuntimeApi]:
    """Start the unpacked function under awslambdaric, which sees it and ``client`` only."""
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (unpacked(), client))),
        "PYTHONDONTWRITEBYTECODE": "1",  # the file system is read-only there
        "LAMBDA_TASK_ROOT": str(unpacked()),
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "net",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
    }
    command = [sys.executable, "-S", "-m", "awslambdaric", "handler.handler"]
    process = subprocess.Popen(command, cwd=unpacked(), env=environment)
    try:
        yield api
    finally:
        process.kill()
        process.wait()
        api.shutdown()
        api.server_close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Amazon's client and what it needs, as Lambda's runtime has it."""
    folder = tmp_path_factory.mktemp("client")
    for name in CLIENT:
        for entry in distribution(name).files or []:
            top = entry.parts[0]
            target = folder / top
            if top != ".." and not target.exists():
                target.symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Amazon's client is for Linux")
def test_under_amazons_runtime_client(client: Path, record_property: Any) -> None:
    reader = kilonet.reader(example("simple-8k").path)
    images = [
        np.kron(16 * (16 - one), np.ones((9, 9))).clip(0, 255).astype(np.uint8)
        for one in load_digits().images[:20]
    ]
    assert sum(isinstance(found, list) for found in reader.stream(images)) >= 15
    began = time.perf_counter()
    with lambda_function(client) as api:
        for number, image in enumerate(images):
            event = (gateway_1, gateway_2)[number % 2]
            api.events.put(event(png(image)))
            kind, answer = api.answers.get(timeout=120)
            if number == 0:
                record_property("cold_start_seconds", time.perf_counter() - began)
            (outcome,) = reader.stream([image])
            found = json.loads(answer["body"])
            if isinstance(outcome, PictureError):
                assert (answer["statusCode"], found["kind"]) == (422, outcome.kind)
                continue
            assert (kind, answer["statusCode"]) == ("response", 200)
            expected = outcome[0].to_json()
            assert found["digit"] == expected["digit"]
            assert found["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)
        api.events.put(gateway_2(b"nonsense"))
        kind, answer = api.answers.get(timeout=60)
    assert (kind, answer["statusCode"]) == ("response", 422)
    assert answer["headers"]["content-type"] == "application/problem+json"
