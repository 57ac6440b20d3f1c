"""The parameters of a query, read and checked: every reader takes text, and raises ValueError where it cannot be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

from catchment.platforms.sandbox.api.exchange import Problem, Request, invalid

Value = TypeVar("Value")
Usual = TypeVar("Usual")
Read = Callable[[str], Value]

NOT_SIMULATED = "The sandbox does not simulate this."


def parameter(request: Request, name: str, read: Read[Value], usual: Usual) -> Value | Usual:
    """Return a parameter as `read` reads it; `usual` where it is not given, or empty. Raises Refusal."""
    given = request.parameters.get(name)
    try:
        return read(given) if given else usual
    except ValueError as error:
        raise invalid([Problem(parameter=name, detail=str(error))]) from error


def whole(least: int | None = None, most: int | None = None) -> Read[int]:
    """Return the reader of a whole number between two bounds, both included (None: there is none)."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\s*-?\d{1,15}\s*", text, re.ASCII):
            raise ValueError("Enter a whole number.")
        return _within(int(text), least, most)

    return read


def decimal(least: float | None = None, most: float | None = None) -> Read[float]:
    """Return the reader of a number with or without decimals between two bounds, both included (None: no bound)."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError as error:
            raise ValueError("Enter a number.") from error
        if not math.isfinite(number):
            raise ValueError("Enter a number.")
        return _within(number, least, most)

    return read


def flag(text: str) -> bool:
    """Read a yes or no."""
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("Enter true or false.")
    return text.lower() in {"true", "1"}


def one_of(*choices: str, beyond: tuple[str, ...] = ()) -> Read[str]:
    """Return the reader of one of some words; those `beyond` are RIPE Atlas's, but not the sandbox's."""

    def read(text: str) -> str:
        if text in beyond:
            raise ValueError(NOT_SIMULATED)
        if text not in choices:
            raise ValueError(f'"{text}" is not a valid choice.')
        return text

    return read


def listed(read: Read[Value]) -> Read[list[Value]]:
    """Return the reader of values separated by commas."""
    return lambda text: [read(part.strip()) for part in text.split(",") if part.strip()]


def ranges(text: str) -> list[tuple[int, int]]:
    """Read numbers and ranges of numbers (1,2,10-20) as pairs of first and last."""

    def read(part: str) -> tuple[int, int]:
        matched = re.fullmatch(r"(\d{1,12})\s*(?:-\s*(\d{1,12}))?", part, re.ASCII)
        if matched is None:
            raise ValueError("Enter probe ids and ranges: 1,2,10-20")
        return int(matched[1]), int(matched[2] or matched[1])

    return listed(read)(text)


def not_simulated(_: str) -> str:
    """Refuse a parameter that RIPE Atlas heeds: to ignore it would answer another question than was asked."""
    raise ValueError(NOT_SIMULATED)


Number = TypeVar("Number", int, float)


def _within(number: Number, least: float | None, most: float | None) -> Number:
    if least is not None and number < least:
        raise ValueError(f"Ensure this value is greater than or equal to {least}.")
    if most is not None and number > most:
        raise ValueError(f"Ensure this value is less than or equal to {most}.")
    return number
