"""The values that parts of events hold: names, addresses of mail and web, days and moments."""

import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from worker.events import read_time

_DOMAIN = r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_][\w-]*[^\W_]"
EMAIL: Final = re.compile(rf"[^@\s<>(),;:\"\\]+@{_DOMAIN}")
WEBSITE: Final = re.compile(rf"https?://{_DOMAIN}(?::\d{{1,5}})?(?:[/?#]\S*)?", re.IGNORECASE)
MAX_NAME: Final = 255
"""HaloPSA's longest name of a client, site or contact."""
YEARS: Final = range(1990, 3000)
JOINING: Final = {".", "'", "\u2019"}
"""Punctuation inside a word: "O'Neil" and "ONeil" are one name."""
PUNCTUATION: Final = {
    number: "" if chr(number) in JOINING else " "
    for number in range(0x20000)
    if unicodedata.category(chr(number)).startswith("P")
}
"""What becomes of punctuation in a name; Unicode has it in its first two planes only."""


def normalised_name(name: str) -> str:
    """Bring a client's name into the form in which two spellings of one name are equal.

    Upper and lower case, punctuation and the amount of white space do not count.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(text.translate(PUNCTUATION).split()) or " ".join(text.split())


def _email(value: str) -> str:
    if not EMAIL.fullmatch(value):
        raise ValueError("Invalid email format")
    return value


def _website(value: str) -> str:
    # CRMs often keep the bare domain.
    url = value if "://" in value else f"https://{value}"
    if not WEBSITE.fullmatch(url):
        raise ValueError("Invalid website URL")
    return url


def _day(value: Any) -> date:
    try:
        day = datetime.fromisoformat(value).date()
    except (TypeError, ValueError):
        day = date.min
    if day.year not in YEARS:
        raise ValueError("Invalid date")
    return day


def _moment(value: Any) -> datetime:
    moment = read_time(value)
    if moment is None or moment.year not in YEARS:
        raise ValueError("Invalid time")
    return moment


def _key(value: Any) -> Any:
    """Read a key; some senders write whole numbers as 29.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def words(value: Any) -> Any:
    """Read a list of words, which some senders give as text with ``;`` or ``,`` between; anything else stays."""
    given = re.split("[;,]", value) if isinstance(value, str) else value
    return [word for word in given if word is not None and str(word).strip()] if isinstance(given, list) else given


Key = Annotated[str, BeforeValidator(_key)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
Website = Annotated[str, Field(max_length=2000), AfterValidator(_website)]
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Amount = Annotated[float, Field(allow_inf_nan=False)]
Words = Annotated[list[str], BeforeValidator(words)]


class Part(BaseModel):
    """A part of an event: unknown fields are ignored; null and blank text stand for "not given"."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None and str(value).strip()}


def first_text(values: dict[str, Any], *names: str) -> str:
    """Return the first of the named values that is not blank; empty if all are."""
    return next((text for name in names if (text := str(values.get(name) or "").strip())), "")
