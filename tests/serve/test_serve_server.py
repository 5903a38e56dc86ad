"""Start and stop with real processes; malformed HTTP and headers without end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from kilonet.serve.server import ServiceError, bind, url
from service import PATIENCE, command, live, received

PNG = {"content-type": "image/png"}
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def test_a_port_in_use_is_one_message() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ServiceError, match=f"Port {port} of 127.0.0.1 is in use"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.name.invalid"])
def test_an_address_of_another_machine(host: str) -> None:
    with pytest.raises(ServiceError, match=f"{host} is not an address of this machine"):
        bind(host, 0)


def test_the_url_of_a_socket() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_start_predict_count_stop(model: Path, zero: bytes) -> None:
    with live(model, "--workers", "2") as service:
        workers = service.workers()
        assert len(workers) == 2
        with service.client() as client:
            assert client.post("/predict", content=zero, headers=PNG).json()["digit"] == "0"
            text = client.get("/metrics").text
            assert 'kilonet_predictions_total{digit="0"} 1.0' in text
        assert service.stop() == 0
        assert all(gone(worker) for worker in workers)
        events = [line["event"] for line in service.log()]
        assert (events[0], events[-2:]) == ("started", ["stopping", "stopped"])


def test_an_open_request_is_finished(model: Path, zero: bytes) -> None:
    with live(model) as service:
        head = POST + f"Content-Length: {len(zero)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
            connection.sendall(head + zero[:50])
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", service.port), 1)
            connection.sendall(zero[50:])
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer
        assert service.process.wait(PATIENCE) == 0


def test_all_open_requests_are_finished(model: Path, zero: bytes) -> None:
    request = POST + f"Content-Length: {len(zero)}\r\n\r\n".encode() + zero
    with live(model) as service, contextlib.ExitStack() as stack:
        (worker,) = service.workers()
        os.kill(worker, signal.SIGSTOP)
        where = ("127.0.0.1", service.port)
        connections = [socket.create_connection(where, PATIENCE) for _ in range(8)]
        for connection in connections:
            stack.enter_context(connection).sendall(request)
        with service.client() as client:
            while "kilonet_in_flight 9.0" not in client.get("/metrics").text:
                time.sleep(0.05)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        os.kill(worker, signal.SIGCONT)
        assert {received(connection)[:15] for connection in connections} == {b"HTTP/1.1 200 OK"}
        assert service.process.wait(PATIENCE) == 0


def test_ctrl_c_stops_the_service_and_its_workers(model: Path) -> None:
    with live(model) as service:
        workers = service.workers()
        os.killpg(service.process.pid, signal.SIGINT)
        assert service.process.wait(PATIENCE) == 0
        assert all(gone(worker) for worker in workers)


def test_workers_do_not_outlive_a_service_that_is_killed(model: Path) -> None:
    with live(model) as service:
        (worker,) = service.workers()
        service.process.kill()
        service.process.wait()
        until = time.monotonic() + PATIENCE
        while not gone(worker) and time.monotonic() < until:
            time.sleep(0.05)
        assert gone(worker)


def test_overload_is_a_503(model: Path, zero: bytes) -> None:
    with live(model, "--max-at-once", "1") as service, service.client() as client:
        with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
            connection.sendall(POST + b"Content-Length: 9\r\n\r\n")
            time.sleep(0.3)
            answer = client.post("/predict", content=zero, headers=PNG)
            assert (answer.status_code, answer.json()["reason"]) == (503, "overload")
            assert answer.headers["retry-after"] == "1"
        time.sleep(0.3)
        assert client.post("/predict", content=zero, headers=PNG).status_code == 200


def test_a_public_address_without_a_key_is_logged(model: Path) -> None:
    with live(model, "--host", "0.0.0.0") as service:
        assert httpx.get(f"http://127.0.0.1:{service.port}/healthz").status_code == 200
        assert next(line["event"] for line in service.log()) == "open"


def test_no_heavy_library_is_imported() -> None:
    code = (
        "import sys, kilonet.serve.server; print(*({'torch', 'scipy', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_model_that_cannot_be_loaded_is_one_message(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    done = subprocess.run(command(bad), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {bad} is not an ONNX file that can be run")
    assert done.stderr.count("\n") == 1
