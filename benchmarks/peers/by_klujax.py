"""klujax: KLU inside `jax.jit`, its analysis and pivots kept, its factor renewed in place.

Its primitives are called directly: the functions around them sort the pattern in every call. Its
own derivative (`jax.grad`) factors twice, so the gradient is also written by hand, with one more
solve on the same factor; the faster of the two counts.
"""

from typing import Any

import jax
import jax.numpy as jnp
import klujax
import numpy as np

from benchmarks.peers.case import AMPERE, Case
from benchmarks.peers.jax_nodal import assembly, operation
from benchmarks.peers.nodal import Entries, Nodal
from benchmarks.peers.tuning import fastest

jax.config.update("jax_enable_x64", True)


class Klu:
    """The matrix of one size: its pattern sorted, analysed and factored once."""

    def __init__(self, case: Case):
        self.case, self.nodal = case, Nodal(case, "full")
        entries = self.nodal.entries
        order = np.lexsort((entries.col, entries.row))
        self.nodal.entries = Entries(*(part[order] for part in entries))
        self.i = jnp.asarray(entries.row[order], jnp.int32)
        self.j = jnp.asarray(entries.col[order], jnp.int32)
        self.values = assembly(self.nodal)
        # These own the factor's memory; the handles that the compiled functions get do not.
        self.analysis = klujax.analyze(self.i, self.j, self.nodal.size)
        first = self.values(jnp.asarray(case.g[0]))
        self.numeric = klujax.factor(self.i, self.j, first, self.analysis)
        self.handle = jnp.asarray(self.analysis.raw, jnp.uint64)
        self.factor = jnp.asarray(self.numeric.as_list(), jnp.uint64)

    def differentiable(self, values: jax.Array, b: jax.Array) -> jax.Array:
        many = b.reshape(1, b.shape[0], -1)
        x = klujax.solve_with_symbol_f64.bind(self.i, self.j, values[None], many, self.handle)
        return x[0].reshape(b.shape)

    def renewed(self, values: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
        many = b.reshape(1, b.shape[0], -1)
        x, factor = klujax.refactor_and_solve_f64.bind(
            self.i, self.j, values[None], many, self.handle, self.factor
        )
        return x[0].reshape(b.shape), factor

    def again(self, factor: jax.Array, b: jax.Array) -> jax.Array:
        many = b.reshape(1, b.shape[0], -1)
        x = klujax.solve_with_numeric_f64.bind(self.handle, factor, many)
        return x[0].reshape(b.shape)


def by_hand(klu: Klu, op: str) -> Any:
    """Gradients with one factorization; the matrix is its own transpose."""
    nodal, data = klu.nodal, jnp.asarray(klu.case.data)
    word, bit = nodal.word, nodal.bit
    inputs = klu.case.v if op == "gradient" else np.eye(klu.case.shape[0])
    b = jnp.asarray(nodal.drive(inputs))

    def gradient(g: jax.Array) -> jax.Array:
        x, factor = klu.renewed(klu.values(g), b)
        currents = nodal.g_bit * x[nodal.outputs]
        if op == "gradient":
            pull = currents / AMPERE**2
        else:
            pull = (data @ currents.T).T @ data / (len(data) * AMPERE**2)
        adjoint = klu.again(factor, jnp.zeros(b.shape).at[nodal.outputs].set(nodal.g_bit * pull))
        across = (adjoint[word] - adjoint[bit]) * (x[word] - x[bit])
        return -(across if op == "gradient" else jnp.sum(across, axis=-1))

    return jax.jit(gradient)


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    klu, single = Klu(case), op.removesuffix("_all")
    arrays = [jnp.asarray(g) for g in case.g]

    def make(option: str) -> Any:
        if option == "jax.grad":
            one = operation(single, case, klu.nodal, klu.differentiable)
        elif single.startswith("gradient"):
            gradient = by_hand(klu, single)
            one = lambda k: gradient(arrays[k % len(arrays)])  # noqa: E731
        else:
            one = operation(single, case, klu.nodal, lambda values, b: klu.renewed(values, b)[0])
        if op.endswith("_all"):  # one factor, renewed array by array
            return lambda k: np.stack([np.asarray(one(n)) for n in range(len(arrays))])
        return one

    options = ("one factor", "jax.grad") if single.startswith("gradient") else ("one factor",)
    option, call = fastest(options, make, settings)
    return call, {"options": f"{option}, analysis and pivots kept", "option": options.index(option)}
