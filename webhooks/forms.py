"""The forms that signatures and timestamps have, and what to say of one that has another."""

import base64
import re
from datetime import datetime
from typing import Final

from webhooks.delivery import Malformed

LONGEST: Final = 4
"""A text of more characters for each byte is looked at no further."""
YEARS_S: Final = 20 * 365 * 86400
"""How far from now a number may lie that is still taken for a time."""


def check_base64(header: str, text: str, length: int) -> None:
    """Demand the base64 of so many bytes.

    Raises:
        Malformed: it is not; names the header and says what it is instead, but does not repeat it.
    """
    if len(text) > LONGEST * length:
        raise Malformed(f"{header} must be the base64 of {length} bytes; this is far longer")
    try:
        found = len(base64.b64decode(text.encode("latin-1"), validate=True))
    except ValueError:
        found = -1
    if re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", text):
        raise Malformed(f"{header} is in hex; it must be in base64")
    if ("-" in text or "_" in text) and re.fullmatch(r"[\w-]+=*", text, re.ASCII):
        raise Malformed(f"{header} is in the base64 of addresses (- and _); it must be in the usual one (+ and /)")
    if found != length:
        tail = f"this is that of {found}: cut short or another kind" if found >= 0 else "this is no base64"
        raise Malformed(f"{header} must be the base64 of {length} bytes; {tail}")


def check_hex(header: str, text: str, length: int) -> None:
    """Demand the hex of so many bytes, in either letter case.

    Raises:
        Malformed: it is not; names the header, but does not repeat it.
    """
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", text):
        raise Malformed(f"{header} must be the {2 * length} digits of a hex number")


def check_timestamp(header: str, text: str, now: datetime, *, per_second: int) -> None:
    """Demand a whole number of seconds or milliseconds since 1970.

    Args:
        header: its name.
        text: its value.
        now: a time (UTC) that it should be near.
        per_second: 1 for seconds, 1000 for milliseconds.

    Raises:
        Malformed: it is none, or is one in the other unit.
    """
    unit, other = ("milliseconds", "seconds") if per_second > 1 else ("seconds", "milliseconds")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise Malformed(f"{header} must be whole {unit} since 1970")
    as_meant, as_other = int(text) / per_second, int(text) * per_second / 1000
    if abs(as_meant - now.timestamp()) > YEARS_S > abs(as_other - now.timestamp()):
        raise Malformed(f"{header} fits {other} since 1970; it must be {unit}")
