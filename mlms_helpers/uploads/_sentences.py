"""What the readers of the formats share: limits, the sentence that ends a reading, numbers and elements."""

import math
import re
from collections.abc import Iterable

from ase.data import chemical_symbols

MAX_ATOMS = 500  # the Ewald sum of 10,000 takes minutes and gigabytes
KNOWN = frozenset(chemical_symbols[1:])


class Unusable(Exception):
    """A finished sentence without its beginning, the name of the file: it stays in this package."""

    def __str__(self) -> str:
        text = " ".join(str(self.args[0]).split())
        return text if text.startswith(",") else ": " + text


def short(text: object, longest: int = 30) -> str:
    text = str(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence, not too long: "O", "Li and O", "Li, N and O"."""
    words = [short(w, 20) for w in words]
    if len(words) > 6:
        words = [*words[:6], "more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def several(frames: int) -> list[str]:
    """The note about a file of more than one structure."""
    return [f"the file holds {frames} structures; this is the last"] if frames > 1 else []


def far_out(fractions: list) -> list[str]:
    """A remark on fractions of the cell that look like lengths.  fractions: [n_atoms, 3]."""
    largest = max((abs(x) for place in fractions for x in place), default=0.0)
    if largest <= 2:
        return []
    return [f"coordinates in units of the cell are as large as {largest:.3g}: are they A (Cartesian)?"]


def few_enough(count: int, at_least: bool = False) -> None:
    """Complain about too many atoms before anything is done with them."""
    if count > MAX_ATOMS:
        raise Unusable(
            f"{f'more than {MAX_ATOMS}' if at_least else f'{count:,}'} atoms are too many: the limit is "
            f"{MAX_ATOMS}, because electrostatics over a larger cell takes too long "
            f"and too much memory here. Give a smaller periodic cell."
        )


def as_float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def numbers(line: str) -> list[float]:
    """The finite numbers with which a line begins."""
    found = []
    for word in line.split():
        number = as_float(word)
        if number is None or not math.isfinite(number):
            break
        found.append(number)
    return found


def coordinates(words: list[str], line: int, what: str = "three coordinates") -> list[float]:
    """Three numbers; complains about the first word that is not a finite one."""
    if len(words) < 3:
        raise Unusable(
            f", line {line}: {what} were expected, but there {'is' if len(words) == 1 else 'are'} only "
            f"{len(words)}"
        )
    for word in words:
        number = as_float(word)
        if number is None:
            raise Unusable(
                f", line {line}: {short(word)!r} was found where a number was expected, one of {what}"
            )
        if not math.isfinite(number):
            raise Unusable(f", line {line}: {short(word)!r} is not a finite number, one of {what}")
    return [float(word) for word in words]


def element(symbol: str, line: int) -> str:
    """The symbol, if it is one."""
    if symbol not in KNOWN:
        raise Unusable(f", line {line}: {short(symbol)!r} is no chemical element")
    return symbol


def two_letters(word: str) -> str | None:
    """A remark on a word in capitals, "NA" or "CO", that is read as one element but could be two."""
    one = word.capitalize()
    if re.fullmatch("[A-Z]{2}", word) and one in KNOWN and word[0] in KNOWN:
        return f"{word!r} is read as {one}"
    return None
