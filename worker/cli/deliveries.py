"""`parhelion events send` and `events verify`: try the way in, and find out why a delivery was refused."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer
from starlette.datastructures import Headers

from webhooks.delivery import Delivery
from webhooks.judging.captured import dump_captured, read_captured
from webhooks.judging.verdict import explain
from webhooks.samples import sample
from webhooks.sources import SOURCES
from worker.assemble.web import edge_of, public_url
from worker.cli.output import Format, Output, plain, show_json, stop
from worker.cli.store import settings
from worker.settings import PREFIX, WEBHOOK_SECRET, Settings

TIMEOUT_S = 20.0

Source = Annotated[str, typer.Argument(help="The source's name, as in /webhooks/{source}.")]


def send(
    source: Source,
    url: Annotated[
        str | None, typer.Option(help="Where to: the source's whole address; else the endpoint of the settings.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the request into this file instead of sending it.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Send a signed, realistic sample of a source; exit code 1 if it is not taken in."""
    found = settings(default_level="WARNING")
    address = url or f"{public_url(found)}/webhooks/{source}"
    delivery = _sample(source, _secrets(found, source), address)
    if save is not None:
        save.write_text(dump_captured(_as_on_the_wire(delivery)) + "\n")
        typer.echo(f"{save}: written; `parhelion events verify {save}` judges it")
        return
    try:
        response = _post(delivery)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Not the whole address: a secret may stand in it.
        stop(f"{address} does not answer: {error}", 1)
    if output is Format.JSON:
        show_json({"url": address, "status": response.status_code, "answer": response.text})
    else:
        typer.echo(f"{response.status_code} {plain(response.text)}")
    raise typer.Exit(0 if response.is_success else 1)


def verify(
    file: Annotated[
        Path, typer.Argument(help="A captured request as JSON: method, url, headers, body or body_base64.")
    ],
    source: Annotated[str, typer.Option(help="The source, where the address does not tell.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Say whether a captured request would be let in, and if not, why; exit code 1 then."""
    found = settings(default_level="WARNING")
    try:
        captured = read_captured(file.read_bytes(), datetime.now(UTC))
        if not (source or captured.source):
            stop(f"{file}: its address names no source: say which with --source", 2)
        names_one = source or captured.source in {one.name for one in SOURCES}
        secrets = _secrets(found, source or captured.source) if names_one else []
        edge = replace(edge_of(found), public_url=found.public_url or "")
        judging = explain(captured, secrets, edge=edge, max_body_bytes=found.max_body_bytes, source=source)
        verdict = asyncio.run(judging)
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}", 2)
    except ValueError as error:
        stop(f"{file}: {error}", 2)
    if output is Format.JSON:
        show_json({"cause": verdict.cause, "text": verdict.text, "status": verdict.status})
    else:
        typer.echo(f"{verdict.cause}: {plain(verdict.text)}")
    raise typer.Exit(0 if verdict.cause == "good" else 1)


def _sample(source: str, secrets: Sequence[str], address: str) -> Delivery:  # noqa: RET503 - stop does not return
    """Make a sample with the first secret that can prove one: a sender's public key signs nothing."""
    problem = ""
    for secret in secrets:
        try:
            return sample(source, secret, address, datetime.now(UTC))
        except ValueError as error:
            problem = problem or str(error)
    stop(problem, 2)


def _secrets(found: Settings, source: str) -> list[str]:
    secrets = [secret.get_secret_value() for secret in found.webhook_secrets.get(source.lower(), ())]
    if not secrets:
        stop(f"no secret is set for {source or 'the source'}: set {PREFIX}{WEBHOOK_SECRET}{source.upper()}", 2)
    return secrets


def _as_on_the_wire(delivery: Delivery) -> Delivery:
    """Add the headers that come with every request, by which a change on the way is told."""
    more = {"host": urlsplit(delivery.url).netloc, "content-length": str(len(delivery.body))}
    return replace(delivery, headers=Headers(more | dict(delivery.headers)))


def _post(delivery: Delivery) -> httpx.Response:
    headers = [(name, value) for name, value in delivery.headers.items() if name != "content-length"]
    return httpx.request(
        delivery.method, delivery.url, content=delivery.body, headers=headers, timeout=TIMEOUT_S, trust_env=False
    )
