"""HaloPSA's own OpenAPI document, and what of a request does not hold against it."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx

DOCUMENT = Path(__file__).parents[2] / "shared/data/halopsa-openapi.json"
# A query name of newer editions of the document, sent only where the policy keeps the key in a custom field.
NEWER = {"include_custom_fields": "string"}
# The document calls it a bool; it is the date to list from.
MISTYPED = {"lastupdatefromdate": "string"}

QUERY_TYPES = {"int": str.isdecimal, "bool": {"true", "false"}.__contains__, "string": bool}
BODY_TYPES: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "string": str,
    "boolean": bool,
    "array": list,
}


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


@cache
def operation(method: str, path: str) -> dict[str, Any]:
    """The document's entry for a request; HaloPSA does not mind upper and lower case."""
    parts = path.removeprefix("/api/").lower().split("/")
    for template, methods in document()["paths"].items():
        known = template.strip("/").lower().split("/")
        same = all(
            mine == theirs or (theirs == "{id}" and mine.isdecimal())
            for mine, theirs in zip(parts, known, strict=False)
        )
        if same and len(parts) == len(known) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"{method} {path} is not in the document")


def query_problems(request: httpx.Request) -> Iterator[str]:
    listed = operation(request.method, request.url.path).get("parameters", [])
    listed_types = {parameter["name"]: parameter["schema"]["type"] for parameter in listed}
    known = NEWER | {name: MISTYPED.get(name, kind) for name, kind in listed_types.items()}
    for name, value in request.url.params.multi_items():
        if name not in known:
            yield f"unknown query name {name}"
        elif not QUERY_TYPES[known[name]](value):
            yield f"{name}={value} is no {known[name]}"


def body_problems(request: httpx.Request) -> Iterator[str]:
    content = operation(request.method, request.url.path)["requestBody"]["content"]
    schema = next(iter(content.values()))["schema"]
    body = json.loads(request.content)
    if schema["type"] != "array" or not isinstance(body, list):
        yield "the body is no array"
        return
    for record in body:
        yield from object_problems(record, resolve(schema["items"]))


def object_problems(record: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        known = schema["properties"].get(name)
        if known is None:
            yield f"unknown property {name}"
        elif "$ref" in known:
            yield from object_problems(value, resolve(known))
        elif not isinstance(value, BODY_TYPES[known["type"]]) or (
            isinstance(value, bool) != (known["type"] == "boolean")
        ):
            yield f"{name}={value!r} is no {known['type']}"


def resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def problems(requests: list[httpx.Request]) -> list[str]:
    return [
        f"{request.method} {request.url.path}: {problem}"
        for request in requests
        for found in (query_problems(request), body_problems(request) if request.method == "POST" else ())
        for problem in found
    ]
