"""Starting the service, and stopping it without losing what is under way."""

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
from kilonet.serve.logs import log, take_library_logs
from kilonet.serve.pool import Pool
from kilonet.serve.protocol import Protocol
from kilonet.serve.service import Service
from kilonet.serve.settings import Settings

BACKLOG = 2048  # connections that wait to be accepted
IDLE_SECONDS = 5  # for which a connection may stay open between requests
OPEN = "Other machines can reach this address, and there is no API key."


class ServiceError(KilonetError):
    """The service cannot listen where it should."""


def serve(model: Path, settings: Settings, key: str | None, said: Callable[[str], None]) -> None:
    """Read pictures over HTTP with the ONNX file ``model`` until SIGINT or SIGTERM.

    ``said`` gets the service's address once it answers there. Requests without ``key``, if there is
    one, are refused.

    Raises:
        ServiceError: the port is taken, or the address is not this machine's.
        ModelError: the model cannot be loaded.
    """
    listener = listen(settings.host, settings.port)
    take_library_logs()
    config = uvicorn.Config(
        app=_unset,
        http=Protocol,
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
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(model, settings, key, listener, config, said))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address, and does not listen yet.

    Raises:
        ServiceError: that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServiceError(_refusal(host, port, error)) from None
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL of what listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _serve(
    model: Path,
    settings: Settings,
    key: str | None,
    listener: socket.socket,
    config: uvicorn.Config,
    said: Callable[[str], None],
) -> None:
    pool = Pool(model, settings.processes, settings.max_pixels, settings.work_seconds)
    await pool.start()
    try:
        config.app = create_app(Service(settings, pool, key))
        server = _Server(config, lambda: said(address(listener)))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        if key is None and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            log("open", level="warning", message=OPEN)
        log("started", model=str(model), address=address(listener), workers=pool.count)
        await server.serve(sockets=[listener])
        log("stopped")
    finally:
        await pool.stop()


class _Server(uvicorn.Server):
    """Uvicorn's, stopped by ``stop``: it would end the process with the signal that it got."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun

    def stop(self) -> None:
        """Stop accepting, finish what is under way, end; asked twice, end at once."""
        log("stopping", under_way=len(self.server_state.tasks))
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _unset(*_: object) -> None:
    raise AssertionError("the application is set before the server starts")


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what uses it, or choose another: --port N."
    if error.errno == errno.EACCES:
        return f"Port {port} is not for everyone. Choose one from 1024 up: --port N."
    return f"{host} is no address of this machine: {error.strerror or error}. Try --host 127.0.0.1."
