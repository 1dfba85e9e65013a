"""Noise of an array's output currents, exactly: no sampling of circuits.

A noise current q parallel to cell c moves output o by L_oc q, with L_o the cell voltages that 1 V
in series with every cell of column o gives instead of the inputs (reciprocity; so the units agree:
L is V per V). A noise voltage s in series with a line segment moves output o by J_o s, with J_o the
current through that segment in the same circuit. With the densities of all elements, which are
independent of each other,

    covariance = L diag(S_cells) L^T + J diag(S_segments) J^T

    S_cells    = 4 k T g + 2 q |i|      thermal and shot noise, one-sided [A^2/Hz]
    S_segments = 4 k T r                thermal noise of metal, which has no shot noise [V^2/Hz]

times the bandwidth. Segments of 0 ohm have no noise, and nothing is divided by a resistance. At
rest this is Nyquist's theorem, covariance = 4 k T Y with Y the admittance matrix seen from the
outputs, of which every off-diagonal is negative: current that a cell draws is missed elsewhere.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from xbar.checks import checked, finite_above_0, finite_from_0, is_concrete
from xbar.circuit import RESULTS, Crossbar, Solution
from xbar.programs import program
from xbar.solve import legal_problem, solve
from xbar.solvers import AbstractSolver, Auto
from xbar.solvers.derivatives import cells, marked
from xbar.solvers.lines import BIT, WORD, product, running_sum

BOLTZMANN = 1.380649e-23
"""k [J/K], exact since 2019."""
CHARGE = 1.602176634e-19
"""Charge of an electron [C], exact since 2019."""

Covariance = Float[Array, "cols cols *n"]


def output_noise(
    array: Crossbar,
    v_in: Any,
    temperature: Any = 300.0,
    shot: bool | Literal["tunnel"] = True,
    bandwidth: Any = 1.0,
    solver: AbstractSolver | None = None,
    *,
    throw: bool = True,
) -> Covariance:
    """Covariance of the output currents' noise, from every cell, segment, source and sense.

    One solve for each column; memory of some ``rows cols^2`` numbers. Differentiable (which cells
    make the noise?) and under `jit` and `vmap`. An amplifier's noise is
    none of it: where `sense` holds its input resistance R_f / (1 + A), which is an effect of its
    gain and no resistor, solve an array without. Noise of reads (1/f, telegraph) belongs to the
    devices: `xbar.devices`.

    ```python
    covariance = xb.output_noise(array, v_in, bandwidth=1e8)
    sigma = jnp.sqrt(jnp.diagonal(covariance))  # of each output current [A]
    ```

    Args:
        array: the circuit.
        v_in: driver voltages (rows,) or (rows, n) [V], which set the shot noise.
        temperature: () [K].
        shot: True adds the full shot noise 2 q |i| to each cell's thermal noise, an upper limit;
            False leaves it out; "tunnel" takes 2 q |i| coth(q |u| / (2 k T)) for both together, as
            a tunnel junction in thermal equilibrium has it.
        bandwidth: of the readout, one-sided, () [Hz]; at 1 Hz the result is the density.
        solver: as for `xbar.solve`.
        throw: as for `xbar.solve`; without it, and inside `jit`, what failed is NaN.

    Returns:
        Covariance (cols, cols) or (cols, cols, n) [A^2], symmetric.

    Raises:
        TypeError, ValueError, RuntimeError: as `xbar.solve`; or a negative temperature or
            bandwidth, or another word for shot.
    """
    kelvin = checked("temperature", temperature, "a finite value >= 0 [K]", finite_from_0, 0)
    hertz = checked("bandwidth", bandwidth, "a finite value > 0 [Hz]", finite_above_0, 0)
    if shot not in (True, False, "tunnel"):
        raise ValueError(f"shot: got {shot!r}, needs True, False or 'tunnel'")
    solver = Auto() if solver is None else solver
    solution = solve(array, v_in, solver, throw=throw)
    found, ok = _output_noise(array, solution, kelvin, hertz, shot, solver)
    if throw and is_concrete(ok) and not bool(ok):
        raise RuntimeError(RESULTS[RESULTS.tolerance_missed])
    return found


@program(static_argnames=("shot", "solver"))
def _output_noise(
    array: Crossbar,
    solution: Solution,
    temperature: Array,
    bandwidth: Array,
    shot: bool | str,
    solver: AbstractSolver,
) -> tuple[Covariance, Bool[Array, ""]]:
    dtype = solution.i_out.dtype
    problem, _ = legal_problem(array, dtype)
    adjoint = cells(solver, problem, jnp.eye(problem.g.shape[1], dtype=dtype)[:, None, :])
    ok = jnp.all(adjoint.ok) & (solution.result == RESULTS.successful)
    thermal = 4 * (BOLTZMANN * temperature.astype(dtype))
    # Sources and senses are in series with the first segments of their lines: one resistance.
    word, bit = problem.segments()
    noise = thermal * (
        _gram(running_sum(adjoint.i_cell, WORD, reverse=True), word)
        + _gram(running_sum(adjoint.i_cell, BIT, reverse=False), bit)
    )
    u = solution.v_word - solution.v_bit
    if shot == "tunnel":
        ratio = (CHARGE / (2 * BOLTZMANN)) / temperature.astype(dtype) * u
        of_cells = thermal * _along(problem.g, u) * _x_coth_x(ratio)
    else:
        of_cells = thermal * _along(problem.g, u)
        of_cells = of_cells + (2 * CHARGE) * jnp.abs(solution.i_cell) if shot else of_cells
    if u.ndim == 2:
        noise = noise + _gram(adjoint.u, of_cells)
    else:
        each = jax.vmap(_gram, in_axes=(None, -1), out_axes=-1)
        noise = noise[..., None] + each(adjoint.u, of_cells)
    noise = noise * bandwidth.astype(dtype)
    return marked(noise, ~ok, jnp.where(ok, noise, jnp.nan)), ok


def _gram(
    answers: Float[Array, "cols rows cols"], densities: Float[Array, "rows cols"]
) -> Float[Array, "cols cols"]:
    """Answers diag(densities) answers^T over all elements, symmetric to the last bit."""
    flat = answers.reshape(len(answers), -1)
    found = product(flat * densities.reshape(-1), flat.T)
    return (found + found.T) / 2


def _along(x: Array, like: Array) -> Array:
    """Numbers of the cells, for each of the inputs that there are."""
    return x if like.ndim == 2 else jnp.broadcast_to(x[..., None], like.shape)


def _x_coth_x(x: Array) -> Array:
    """X coth x, which is 1 at 0: by its series where it is near."""
    near = jnp.abs(x) < 1e-2  # the next term, 2 x^6 / 945, is 2e-15 there
    safe = jnp.where(near, 1, x)
    return jnp.where(near, 1 + x**2 / 3 - x**4 / 45, safe / jnp.tanh(safe))
