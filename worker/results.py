"""Steps' results: how they are stored, and what restores them."""

import inspect
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

T = TypeVar("T")

RESULT_BYTES: Final = 64_000
"""A larger result would fill Valkey."""


@lru_cache(maxsize=1000)
def result_type(fn: Callable[..., Awaitable[T]]) -> TypeAdapter[T]:
    """Find what restores a step's result: the return annotation of a module-level async function.

    Raises:
        RuntimeError: the function cannot be a step.
    """
    name = getattr(fn, "__qualname__", repr(fn))
    if not inspect.iscoroutinefunction(fn) or "<" in name:
        raise RuntimeError(f"{name} cannot be a step: a step is a module-level async function")
    hints = get_type_hints(fn, include_extras=True)
    if "return" not in hints:
        raise RuntimeError(f"{name} cannot be a step: it has no return annotation to restore its result by")
    return TypeAdapter(hints["return"])


def dump_result(step: str, adapter: TypeAdapter[T], value: T) -> Any:
    """Turn a step's result into JSON data.

    Raises:
        RuntimeError: it is too large, or no JSON can be made of it.
    """
    try:
        size = len(adapter.dump_json(value))
        data = adapter.dump_python(value, mode="json")
    except PydanticSerializationError as error:
        raise RuntimeError(f"the result of step {step!r} cannot be stored: {error}") from error
    if size > RESULT_BYTES:
        raise RuntimeError(
            f"the result of step {step!r} has {size} bytes, {RESULT_BYTES} at most: return ids and counts, "
            "and read the rest again"
        )
    return data
