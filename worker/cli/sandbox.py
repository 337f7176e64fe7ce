"""`parhelion sandbox`: a HaloPSA look-alike to try things out on."""

import asyncio
import inspect
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from worker.cli.output import Format, Output, show_json, show_list, stop
from worker.cli.store import settings
from worker.ports import bind
from worker.serve import serving, stop_on_signals
from worker.settings import Bind
from workflows.sandbox import Faults, Sandbox, sandbox_app
from workflows.sandbox.halopsa.dialects import DialectName
from workflows.sandbox.msp import plant_msp

SANDBOX_BIND = "127.0.0.1:8090"
SWITCH_COLUMNS = ("name", "takes", "does")


def sandbox(
    bind_to: Annotated[str, typer.Option("--bind", help="Where to listen, host:port.")] = SANDBOX_BIND,
    state: Annotated[
        Path | None, typer.Option(help="A file that keeps the look-alike's records between starts.")
    ] = None,
    dialect: Annotated[
        DialectName | None, typer.Option(help="HaloPSA's own API, or the client-management guide's; v2 if not said.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Plant a plausible MSP into a fresh tenant, faults in its data included; repeatable."),
    ] = None,
    show_planted: Annotated[
        bool, typer.Option("--show-planted", help="Print the faults that --seed plants as JSON, and end.")
    ] = False,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Switch a misbehaviour; may be repeated.")
    ] = None,
    unpleasant: Annotated[
        bool, typer.Option("--unpleasant", help="Switch on everything that can be coped with; --fault changes some.")
    ] = False,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the misbehaviours, and end.")] = False,
    until_eof: Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends.", hidden=True)] = False,
    output: Output = Format.TABLE,
) -> None:
    """Run a HaloPSA look-alike to try things out on."""
    if list_faults:
        show_list(_switches(), SWITCH_COLUMNS, output)
        return
    if show_planted:
        _show_planted(dialect, seed)
        return
    settings()
    address = _address(bind_to)
    tenant = _tenant(state, dialect, _faults(fault or [], seed, unpleasant=unpleasant), seed)
    asyncio.run(_serve(tenant, address, until_eof=until_eof))


def _show_planted(dialect: DialectName | None, seed: int | None) -> None:
    if seed is None:
        stop("--show-planted: say which with --seed", 2)
    show_json(asdict(plant_msp(Sandbox(dialect=dialect or "v2"), seed)))


def _tenant(state: Path | None, dialect: DialectName | None, faults: Faults, seed: int | None) -> Sandbox:
    """Open the tenant of a state file, or make a fresh one; only that one gets the seed's records."""
    fresh = state is None or not state.exists()
    try:
        tenant = Sandbox(state_file=state, faults=faults, dialect=dialect or "v2")
    except (OSError, ValueError) as error:
        stop(f"--state {state} cannot be read: {error}", 2)
    if dialect not in (None, tenant.dialect):
        stop(f"--dialect {dialect}: {state} holds a tenant that speaks {tenant.dialect}", 2)
    if fresh and seed is not None:
        plant_msp(tenant, seed)
        tenant.save()
    return tenant


def _address(text: str) -> tuple[str, int]:
    try:
        return TypeAdapter(Bind).validate_python(text)
    except ValidationError:
        stop(f"--bind {text}: must be host:port, for example {SANDBOX_BIND}", 2)


def _faults(assignments: list[str], seed: int | None, *, unpleasant: bool) -> Faults:
    given = {"seed": seed or 0} | dict(_assignment(text) for text in assignments)
    try:
        return Faults.unpleasant(**given) if unpleasant else Faults(**given)
    except ValidationError as error:
        problems = [f"--fault {'.'.join(map(str, one['loc']))}: {_problem(one)}" for one in error.errors()]
        known = [f"  {switch['name']}={switch['takes']}" for switch in _switches()]
        stop("\n".join([*problems, "The switches are:", *known]), 2)


def _problem(error: ErrorDetails) -> str:
    return "there is no such switch" if error["type"] == "extra_forbidden" else error["msg"]


def _assignment(text: str) -> tuple[str, Any]:
    """Read ``NAME=VALUE``; a value that is not JSON is text."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _switches() -> list[dict[str, Any]]:
    """Describe every switch of `Faults`; its docstring says what each does."""
    schema = Faults.model_json_schema()
    default = Faults().model_dump(mode="json")
    does = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", inspect.getdoc(Faults) or "", re.MULTILINE))
    return [
        {
            "name": name,
            "takes": _takes(of, schema.get("$defs", {})),
            "default": default[name],
            "does": " ".join(does.get(name, "").replace("``", "").split()),
        }
        for name, of in schema["properties"].items()
    ]


def _takes(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> str:
    """Write a JSON schema in a few words."""
    match schema:
        case {"enum": values}:
            return "|".join(map(str, values))
        case {"anyOf": kinds}:
            return "|".join(_takes(kind, defined) for kind in kinds)
        case {"$ref": reference}:
            parts = defined[reference.rpartition("/")[2]]["properties"]
            return "{" + ", ".join(f'"{name}": {_takes(part, defined)}' for name, part in parts.items()) + "}"
        case {"type": "array", "items": items}:
            return f"[{_takes(items, defined)}, …]"
        case {"type": kind, "minimum": low, "maximum": high}:
            return f"{kind} from {low} to {high}"
        case _:
            return str(schema.get("type", "JSON"))


async def _serve(tenant: Sandbox, address: tuple[str, int], *, until_eof: bool) -> None:
    stopping = stop_on_signals()
    listener = bind(address, "--bind")
    host, port = listener.getsockname()[:2]
    async with serving(sandbox_app(tenant), listener):
        typer.echo(json.dumps({"url": f"http://{host}:{port}"}))
        sys.stdout.flush()
        if until_eof:
            asyncio.get_running_loop().add_reader(sys.stdin, stopping.set)
        await stopping.wait()
