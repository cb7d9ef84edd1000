"""A real Prometheus that holds a past: samples are written to it as another Prometheus would send them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

from dev.cluster import build
from dev.cluster.versions import PROMETHEUS_PROGRAM
from interlock.analysis.series import Series
from tests.cluster.processes import Program

PIECE = 1800.0
"""Seconds sent at once: within what the server takes in any order."""


def receiving(folder: Path, port: int) -> Program:
    """A server that scrapes nothing and takes remote writes, not yet started."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = [
        str(build.program(PROMETHEUS_PROGRAM)),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    ]
    return Program(command, folder / "prometheus.log")


def send(address: str, series: Iterable[Series]) -> None:
    """Everything, oldest first."""
    held = list(series)
    begin = min(one.points[0][0] for one in held)
    end = max(one.points[-1][0] for one in held)
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        while begin <= end:
            parts = [
                (one.labels, [point for point in one.points if begin <= point[0] < begin + PIECE])
                for one in held
            ]
            body = b"".join(_field(1, _series(labels, points)) for labels, points in parts if points)
            headers = {
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            }
            answer = client.post("/api/v1/write", content=_snappy(body), headers=headers)
            if answer.status_code >= 300:
                raise AssertionError(answer.text)
            begin += PIECE


def _series(labels: object, points: Iterable[tuple[float, float]]) -> bytes:
    """prometheus.TimeSeries: labels in order of their names, then samples."""
    names = sorted(dict(labels).items())  # type: ignore[call-overload]
    pairs = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in names]
    return b"".join([*pairs, *(_field(2, _sample(at, value)) for at, value in points)])


def _sample(at: float, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(at * 1000))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _snappy(content: bytes) -> bytes:
    """Snappy's block format, of literals only: nothing is saved, and nothing needs a library."""
    return _varint(len(content)) + b"".join(_literals(content))


def _literals(content: bytes) -> Iterator[bytes]:
    for first in range(0, len(content), 1 << 16):
        part = content[first : first + (1 << 16)]
        yield bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
