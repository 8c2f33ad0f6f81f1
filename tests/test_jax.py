"""JAX itself: a build that computes wrong numbers must not train our models (jax-ml/jax issue 39103)."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", sys.argv[1] == "float64")
for rows in (1, 10, 1_000, 16_384, 16_385, 32_768, 32_769, 100_000):
    w, x = jnp.ones((32, 32), sys.argv[1]), jnp.ones((rows, 32), sys.argv[1])
    got = float(jax.jit(lambda x: jnp.sum(jax.vmap(lambda r: w @ r)(x)))(x))
    if abs(got / (rows * 32 * 32) - 1) > 1e-4:
        sys.exit(f"JAX {jax.__version__} computes wrong numbers: a sum over {rows} products of ones [32, 32] "
                 f"with ones [32] is {got:.6g} in {sys.argv[1]}, not {rows * 1024}: install another one")
"""


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_products_summed_over_rows_are_right(precision):
    """In a process of its own: the precision of JAX is a setting of the whole process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, precision], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
