"""Passes TCP connections from the host's loopback to addresses inside a node's network namespace.

A socket belongs to the namespace it was made in. So the listening sockets are
opened first; then this process enters the other namespace and dials from there.
Each connection is dialled anew: a target may restart behind the same port.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000
_DIAL_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the host's loopback (0: any free one) and where its connections go."""

    host: str
    port: int
    local_port: int = 0

    def listen(self) -> socket.socket:
        """The listening socket, made in the namespace of the caller."""
        # With the protocol spelled out, or asyncio does not recognise its connections as TCP and leaves
        # Nagle's algorithm on: 40 ms for an answer that comes in two writes.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.local_port))
        listener.listen(512)
        return listener


def enter_network_of(pid: int) -> None:
    """Make this thread's new sockets belong to the network namespace of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network of process {pid}")
    finally:
        os.close(handle)


async def serve(listener: socket.socket, target: Forward) -> asyncio.Server:
    """Start passing what arrives at ``listener`` to ``target``."""
    return await asyncio.get_running_loop().create_server(lambda: _Client(target), sock=listener)


class _End(asyncio.Protocol):
    """One end of a forwarded connection. What it reads, its peer writes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None
        self._read_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass a half-close on; the other direction stays open until it ends by itself."""
        self._read_all = True
        if not self.peer or not self.peer.transport:
            return False
        if self.peer._read_all:
            self.peer.transport.close()
            return False
        self.peer.transport.write_eof()
        return True

    def connection_lost(self, reason: Exception | None) -> None:
        if self.peer and self.peer.transport:
            if reason:
                self.peer.transport.abort()
            else:
                self.peer.transport.close()
        self.peer = None

    def pause_writing(self) -> None:
        if self.peer and self.peer.transport and not self.peer._read_all:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer and self.peer.transport and not self.peer._read_all:
            self.peer.transport.resume_reading()


class _Client(_End):
    """The end towards the host. It reads nothing until the target has answered the dial."""

    def __init__(self, target: Forward) -> None:
        super().__init__()
        self._target = target
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport
        self.transport.pause_reading()
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        assert self.transport
        upstream = _End()
        upstream.peer = self
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: upstream, self._target.host, self._target.port
                )
        except OSError:
            self.transport.abort()
            return
        self.peer = upstream
        if self.transport.is_closing():
            assert upstream.transport
            upstream.transport.abort()
        else:
            self.transport.resume_reading()
