"""The first segment, convolution by patches, levels and drift by hand.

Four things that other tools have as switches, each a line or two of array code here: another
convention of the first wire segment, a convolution as many products with one array, quantised
conductances, and a drift of your own.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)

# 1. No segment between the drivers and the first cells, none below the last: zeros in the wires.
g = jnp.asarray(rng.uniform(1e-6, 1e-4, (9, 8)))
word, bit = np.full((9, 8), 2.0), np.full((9, 8), 2.0)
word[:, 0], bit[-1, :] = 0.0, 0.0
t = xb.transfer(xb.Crossbar(g, xb.Wires(word, bit)))  # (8, 9) siemens

# 2. A 3x3 convolution of an image: every patch is an input of the same array.
image = jnp.asarray(rng.uniform(0, 0.2, (12, 12)))  # volt
patches = jax.lax.conv_general_dilated_patches(image[None, None], (3, 3), (1, 1), "VALID")
i_out = jnp.einsum("or,ryx->oyx", t, patches[0])  # (8, 10, 10) ampere: eight maps
print("eight filtered maps", i_out.shape)

# 3. Sixteen levels between 1 and 100 uS; gradients pass the rounding straight through.
step = (1e-4 - 1e-6) / 15
rounded = 1e-6 + step * jnp.round((g - 1e-6) / step)
levels = g + jax.lax.stop_gradient(rounded - g)
print("levels", len(np.unique(np.asarray(levels).round(12))))

# 4. Drift by a power law, each cell with its own exponent, from one second to a day.
nu = 0.05 + 0.01 * jax.random.normal(jax.random.key(0), g.shape)
for seconds in (1.0, 3600.0, 86_400.0):
    drifted = xb.Crossbar(levels * seconds**-nu, xb.Wires(word, bit))
    print(f"after {seconds:6.0f} s: {float(jnp.sum(xb.transfer(drifted))):.6f} S in all")

if len(sys.argv) > 1:  # a file for the figure
    xb.plots.array(levels, "sixteen levels").savefig(sys.argv[1])
