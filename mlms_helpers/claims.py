"""What a notebook says of its numbers, checked whenever it runs."""

import os
from typing import Any

import numpy as np


class QuietBool(int):
    """True or False that a notebook does not show when it is the last value of a cell."""

    def _ipython_display_(self):
        pass

    def __repr__(self):
        return str(bool(self))


def claim(holds: Any, sentence: str) -> QuietBool:
    """Check what the text says; where it does not hold, say so in a line and go on.

    holds: True or False, or an array of them, of which all must be true.
    sentence: what is claimed, in plain words with its number: "the line errs by less than 0.3 eV".

    Returns whether it holds, as True or False.
    Raises AssertionError with the sentence, instead of the line, where the environment has MLMS_STRICT: the
    tests set it.
    """
    holds = QuietBool(np.all(holds))
    if not holds:
        if strict():
            raise AssertionError(sentence)
        print(
            f"This no longer holds: {sentence.rstrip('.')}. "
            "Text and titles that say so describe the data and settings as shipped."
        )
    return holds


def strict() -> bool:
    """Whether what does not hold is an error: in tests, and when notebooks are run to be saved."""
    return bool(os.environ.get("MLMS_STRICT"))
