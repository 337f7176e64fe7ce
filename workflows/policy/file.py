"""Reading the policy: from `parhelion.toml`, and from what a run recorded."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from worker.errors import ParhelionError
from workflows.policy import Policy
from workflows.policy.parts import Section

DEFAULT_FILE: Final = Path("parhelion.toml")
_BARE_KEY: Final = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the policy.

    Attributes:
        key: where; empty for the file as a whole.
        text: what, and what is allowed.
    """

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


class BadPolicy(ParhelionError):
    """A policy file that cannot be used.

    Args:
        problems: everything that is wrong with it.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


def load_policy(path: Path | None) -> Policy:
    """Read the policy file.

    Args:
        path: the file; None takes `parhelion.toml` of the working directory, or the defaults where there is none.

    Raises:
        BadPolicy: with every problem at once.
    """
    if path is None and not DEFAULT_FILE.exists():
        return Policy()
    try:
        return parse_policy((path or DEFAULT_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadPolicy([Problem("", f"cannot be read: {error}")]) from error


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML.

    Raises:
        BadPolicy: with every problem at once.
    """
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy([Problem("", f"is not TOML: {error}")]) from error
    except ValidationError as error:
        raise BadPolicy([_problem(fault) for fault in error.errors(include_url=False)]) from error


def restore_policy(text: str) -> Policy:
    """Restore the policy that a run recorded as JSON; keys that later versions no longer have are left out."""
    return Policy.model_validate_json(text, extra="ignore")


def key_path(parts: Sequence[int | str]) -> str:
    """Write a key as the policy file has it: ``deals.rules[0].kind``."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if _BARE_KEY.fullmatch(part) else f'."{part}"'
    return path.removeprefix(".")


def _problem(fault: ErrorDetails) -> Problem:
    """Say which key is wrong, and what is allowed."""
    match fault["type"]:
        case "extra_forbidden":
            text = _unknown(fault["loc"])
        case "missing":
            text = "is required"
        case "value_error":
            text = str(fault["ctx"]["error"])
        case "model_type" | "dict_type":
            text = "must be a table"
        case "tuple_type":
            text = "must be a list"
        case _:
            text = re.sub(r"^\w+ should", "must", fault["msg"])
    return Problem(key_path(fault["loc"]), text)


def _unknown(location: Sequence[int | str]) -> str:
    *parents, name = location
    keys = list(_section(parents).model_fields)
    near = difflib.get_close_matches(str(name), keys, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"there is no such key{meant} (the keys here: {', '.join(keys)})"


def _section(location: Sequence[int | str]) -> type[Section]:
    """Find the section that stands at a place of the file."""
    section: type[Section] = Policy
    parts = iter(location)
    for part in parts:
        annotation = section.model_fields[str(part)].annotation
        section = next(_sections_in(annotation))
        if get_origin(annotation) in (dict, tuple):
            next(parts)
    return section


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)
