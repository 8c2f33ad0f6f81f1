"""Helpers of the course *machine learning for materials science*.

Importing does nothing but choose where Keras computes, and only where the reader has not chosen:
JAX, with its compiled programs kept in the user's cache folder so that they are compiled once.
"""

import os as _os
from pathlib import Path as _Path

_os.environ.setdefault("KERAS_BACKEND", "jax")
_os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(_Path(_os.environ.get("XDG_CACHE_HOME") or _Path.home() / ".cache") / "mlms" / "jax"),
)
_os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
_os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# On some processors JAX 0.10.1 calls every program from that folder one for another machine, in two lines of
# stderr that end in the reader's cell; it is a false alarm (jax issue 38445), and the program runs.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
