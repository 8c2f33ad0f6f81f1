"""Read by every Python kernel of this environment as it starts: `import keras` computes with JAX, not TensorFlow."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
