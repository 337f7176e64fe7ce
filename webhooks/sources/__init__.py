"""The sources there are. Each is a door to the internet, so a new one is written into this list by hand."""

from typing import Final

from webhooks.delivery import Source
from webhooks.sources import standard, token

SOURCES: Final[tuple[Source, ...]] = (standard.source, token.source)


def secret_problem(name: str, secret: str) -> str | None:
    """Say why a configured secret cannot serve, or None.

    Args:
        name: the source it is meant for.
        secret: one secret; a source may have several.

    Returns:
        A sentence for the operator, which never holds the secret.
    """
    for source in SOURCES:
        if source.name == name:
            return source.secret_problem(secret)
    return f"there is no source '{name}'; there are {', '.join(source.name for source in SOURCES)}"
