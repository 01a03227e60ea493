"""A token endpoint that answers each refresh after a while: `python -m tests.bench.token_server MILLISECONDS`.

Prints its port, then serves until standard input ends. Cheap, so that it leaves the machine to those measured.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
            length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
            await reader.readexactly(length)
            await asyncio.sleep(latency)
            writer.write(_answer())
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


def _answer() -> bytes:
    tokens = {"access_token": secrets.token_urlsafe(96), "refresh_token": secrets.token_urlsafe(48)}
    body = json.dumps({**tokens, "token_type": "Bearer", "expires_in": 3600, "scope": "openid email"}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def _main(latency: float) -> None:
    server = await asyncio.start_server(lambda r, w: _serve(r, w, latency), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(float(sys.argv[1]) / 1000))
