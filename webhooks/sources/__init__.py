"""The sources there are. Each is a door to the internet, so a new one is written into this list by hand."""

from typing import Final

from webhooks.delivery import Source
from webhooks.sources import dynamics, halopsa, hubspot, pipedrive, salesforce, standard, token, zoho

SOURCES: Final[tuple[Source, ...]] = (
    standard.source,
    token.source,
    hubspot.source,
    pipedrive.source,
    salesforce.source,
    dynamics.source,
    zoho.source,
    halopsa.source,
)


def find_source(name: str) -> Source:
    """Find a source by its name.

    Raises:
        ValueError: there is none; names those there are.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    raise ValueError(f"there is no source '{name}'; there are {', '.join(source.name for source in SOURCES)}")


def secret_problem(name: str, secret: str) -> str | None:
    """Say why a configured secret cannot serve, or None.

    Args:
        name: the source it is meant for.
        secret: one secret; a source may have several.

    Returns:
        A sentence for the operator, which never holds the secret.
    """
    try:
        return find_source(name).secret_problem(secret)
    except ValueError as error:
        return str(error)
