"""Start the HTTP server, and stop it without losing open requests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from kilonet.errors import KilonetError
from kilonet.serve.app import create_app
from kilonet.serve.monitoring import log, redirect_library_logs, write_log_in_thread
from kilonet.serve.pool import WorkerPool
from kilonet.serve.protocol import LimitedProtocol, ProtocolConfig, allow_connections
from kilonet.serve.service import Service
from kilonet.serve.settings import Settings

BACKLOG = 2048  # connections that wait to be accepted
IDLE_SECONDS = 5  # that a connection may stay open between requests
OPEN = "Other machines can reach this address, and there is no API key."


class ServiceError(KilonetError):
    """The service cannot listen on its address."""


def serve(
    model: Path, settings: Settings, key: str | None, on_start: Callable[[str], None]
) -> None:
    """Serve predictions of the ONNX file ``model`` over HTTP until SIGINT or SIGTERM.

    ``on_start`` is called with the service's address once it accepts requests. If ``key`` is not
    None, requests without it are refused.

    Raises:
        ServiceError: the port is in use, or the address is not one of this machine.
        ModelError: the model cannot be loaded.
    """
    listener = bind(settings.host, settings.port)
    redirect_library_logs()
    config = ProtocolConfig(
        app=_unset,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=settings.stop_seconds,
        backlog=BACKLOG,
    )
    config.head_seconds = settings.head_seconds
    config.max_connections = allow_connections()
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    with write_log_in_thread(), runner:
        runner.run(_serve(model, settings, key, listener, config, on_start))


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address and does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServiceError(_bind_message(host, port, error)) from None
    return listener


def _bind_message(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what uses it, or choose another: --port N."
    if error.errno == errno.EACCES:
        return f"Port {port} needs special rights. Choose one from 1024 up: --port N."
    reason = error.strerror or error
    return f"{host} is not an address of this machine: {reason}. Try --host 127.0.0.1."


def url(listener: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _serve(
    model: Path,
    settings: Settings,
    key: str | None,
    listener: socket.socket,
    config: uvicorn.Config,
    on_start: Callable[[str], None],
) -> None:
    pool = WorkerPool(
        model,
        settings.processes,
        settings.max_pixels,
        settings.work_seconds,
        settings.picture_seconds,
        settings.max_request_pixels,
    )
    await pool.start()
    try:
        config.app = create_app(Service(settings, pool, key))
        server = _Server(config, lambda: on_start(url(listener)))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        if key is None and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            log("open", level="warning", message=OPEN)
        log(
            "started",
            model=str(model),
            version=pool.version,
            address=url(listener),
            workers=pool.count,
        )
        await server.serve(sockets=[listener])
        log("stopped")
    finally:
        await pool.stop()


class _Server(uvicorn.Server):
    """Uvicorn's server with ``stop``; Uvicorn itself would raise the signal again at the end."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    def stop(self) -> None:
        """Stop accepting requests and finish the open ones; called twice, end at once."""
        log("stopping", under_way=len(self.server_state.tasks))
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _unset(*_: object) -> None:
    raise AssertionError("the application is set before the server starts")
