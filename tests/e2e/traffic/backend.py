"""Runs inside a pod: answers every request with its own name, and counts what it was asked by path.

Counts are read through the API server, not through a gateway: what a mirror brings is answered to nobody.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter

PORT = 8080
COUNTS = "/counts"
SERVER_HEADER = "x-served-by"

NAME = os.environ.get("NAME", "nobody")
asked: Counter[str] = Counter()


def respond(path: str) -> bytes:
    """The whole answer to one request."""
    if path == COUNTS:
        body = json.dumps(asked).encode()
    else:
        asked[path] += 1
        body = NAME.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{SERVER_HEADER}: {NAME}\r\n\r\n"
    return head.encode() + body


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept open as long as the other side likes. Requests have no body."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(respond(head.split(b" ", 2)[1].decode()))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    """Serve until told to stop."""
    async with await asyncio.start_server(serve, "", PORT) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
