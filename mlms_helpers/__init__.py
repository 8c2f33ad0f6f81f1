"""Helpers of the course *machine learning for materials science*.

Importing does nothing but choose where Keras computes, and only where the reader has not chosen:
JAX, with its compiled programs kept in the user's cache folder so that they are compiled once.
"""

import os as _os
from pathlib import Path as _Path

_os.environ.setdefault("KERAS_BACKEND", "jax")
_os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(
    _Path(_os.environ.get("XDG_CACHE_HOME") or _Path.home() / ".cache") / "mlms" / "jax"))
_os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
_os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

__version__ = "0.1.0"
