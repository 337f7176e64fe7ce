"""The baseline: the least that takes something in durably, a Starlette endpoint that writes each body to Valkey.

Run as a process with Valkey's address; it prints its own and ends with its standard input.
"""

import asyncio
import socket
import sys
from itertools import cycle

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEYS = 1000
"""It writes them in turn, so that Valkey's memory shows what the others keep there."""


def bare_app(redis: Redis) -> Starlette:
    numbers = cycle(range(KEYS))

    async def keep(request: Request) -> Response:
        await redis.set(f"bare:{next(numbers)}", await request.body())
        return JSONResponse({}, 202)

    return Starlette(routes=[Route("/webhooks/{source}", keep, methods=["POST"])])


async def main() -> None:
    # With the protocol named, asyncio switches Nagle's algorithm off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    sys.stdout.write("http://{}:{}\n".format(*listener.getsockname()))
    sys.stdout.flush()
    async with Redis.from_url(sys.argv[1]) as redis:
        config = uvicorn.Config(bare_app(redis), log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
