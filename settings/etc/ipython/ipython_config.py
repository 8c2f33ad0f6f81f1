"""Read by every Python kernel of this environment: `import keras` computes with JAX, not TensorFlow."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
