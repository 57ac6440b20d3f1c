"""The fields of JSON bodies, read and checked: every reader takes a value, and raises ValueError where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dns.exception
import dns.name

from catchment.platforms.sandbox.api.exchange import Problem

REQUIRED = object()
"""Stands in the place of a field's default where it has none."""

_LONGEST_DESCRIPTION = 250

Check = Callable[[Any], Any]


def read_fields(
    given: Mapping[str, Any], fields: Mapping[str, tuple[Check, Any]], place: str
) -> tuple[dict[str, Any], list[Problem]]:
    """Read the fields of an object at the JSON pointer `place`; return their values, and all that is wrong.

    `fields` gives the check and the default of each.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, (check, default) in fields.items():
        if given.get(name) is None and default is not REQUIRED:
            values[name] = default  # RIPE's own command line writes null for options that nobody gave
        elif name not in given:
            problems.append(Problem(pointer=f"{place}/{name}", detail="This field is required."))
        elif given[name] is None:
            problems.append(Problem(pointer=f"{place}/{name}", detail="This field may not be null."))
        else:
            try:
                values[name] = check(given[name])
            except ValueError as error:
                problems.append(Problem(pointer=f"{place}/{name}", detail=str(error)))
    return values, problems


def read_time(value: Any) -> int:
    """Return a time given as unix seconds or in ISO 8601 (UTC unless it says else). Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 40:
        return int(value)
    if isinstance(value, str):
        if value.isascii() and value.isdigit():
            return int(value[:13])
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
    raise ValueError("Enter a valid unix timestamp or ISO 8601 date and time.")


def read_description(value: Any) -> str:
    """Return a description. Raises ValueError where it is none, or too long."""
    text = read_text(value)
    if len(text) > _LONGEST_DESCRIPTION:
        raise ValueError(f"Ensure this field has no more than {_LONGEST_DESCRIPTION} characters.")
    return text


def read_tag(value: Any) -> str:
    """Return a tag. Raises ValueError where it is none."""
    if not re.fullmatch("[a-z0-9-]+", read_text(value)):
        raise ValueError(f'"{value}" is not a valid tag: use the letters a to z, digits and hyphens.')
    return str(value)


def read_tags(value: Any) -> list[str]:
    """Return a list of tags. Raises ValueError where it is none."""
    if not isinstance(value, list):
        raise ValueError(f'Expected a list of items but got type "{type(value).__name__}".')
    return [read_tag(entry) for entry in value]


def read_text(value: Any) -> str:
    """Return a text that says something. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("Not a valid string.")
    if not value.strip():
        raise ValueError("This field may not be blank.")
    return value


def read_name(value: Any) -> str:
    """Return a name that DNS can ask for. Raises ValueError."""
    text = read_text(value)
    try:
        dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f'"{text}" is not a valid DNS name.') from error
    return text


def read_flag(value: Any) -> bool:
    """Return a yes or no. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError("Must be a valid boolean.")
    return value


def whole(least: int, most: int) -> Check:
    """Return the reader of a whole number between two bounds, both included."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("A valid integer is required.")
        if value < least:
            raise ValueError(f"Ensure this value is greater than or equal to {least}.")
        if value > most:
            raise ValueError(f"Ensure this value is less than or equal to {most}.")
        return value

    return check


def one_of(*choices: str) -> Check:
    """Return the reader of one of some words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f'"{value}" is not a valid choice.')
        return str(value)

    return check
