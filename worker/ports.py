"""Ports: the addresses that a process listens on."""

import socket

from worker.errors import ParhelionError


class PortInUse(ParhelionError):
    """An address that another program listens on."""


def bind(address: tuple[str, int], variable: str) -> socket.socket:
    """Listen on an address.

    Args:
        address: host and port; port 0 takes a free one.
        variable: the setting to change if it cannot be had.

    Raises:
        PortInUse: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms more.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        host, port = address
        raise PortInUse(f"cannot listen on {host}:{port} ({error.strerror}): free it or set {variable}") from error
    listener.listen(1024)
    return listener
