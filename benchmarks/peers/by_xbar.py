"""xbar through its public functions, compiled; settings choose solver, tolerance, precision."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import xbar as xb
from benchmarks.peers.case import AMPERE, Case

Function = Callable[[jax.Array], Any]


def start() -> None:
    """Start JAX's runtime, which is no part of a solve's memory."""
    jax.block_until_ready(jnp.zeros(8) + 1)


def functions(case: Case, solver: xb.AbstractSolver | None, dtype: Any) -> dict[str, Function]:
    """Each operation as a function of one array's conductances."""
    wires = xb.Wires(jnp.asarray(case.r_word, dtype), jnp.asarray(case.r_bit, dtype))
    v, data = jnp.asarray(case.v, dtype), jnp.asarray(case.data, dtype)

    def solve(g: jax.Array) -> jax.Array:
        return xb.solve(xb.Crossbar(g, wires), v, solver).i_out

    def steps(g: jax.Array) -> jax.Array:
        return xb.solve(xb.Crossbar(g, wires), v, solver).steps

    def transfer(g: jax.Array) -> jax.Array:
        return xb.transfer(xb.Crossbar(g, wires), solver)

    def loss(g: jax.Array) -> jax.Array:
        return jnp.sum((solve(g) / AMPERE) ** 2) / 2

    def loss_data(g: jax.Array) -> jax.Array:
        return jnp.sum((data @ (transfer(g).T / AMPERE)) ** 2) / (2 * len(data))

    return {
        "solve": solve,
        "steps": steps,
        "transfer": transfer,
        "gradient": jax.grad(loss),
        "gradient_data": jax.grad(loss_data),
    }


def solver_of(settings: dict[str, Any]) -> xb.AbstractSolver | None:
    """The default solver, or the one that the settings name."""
    if settings.get("solver") is None:
        return None
    kind = getattr(xb, settings["solver"])
    if settings["solver"] == "Ideal":
        return kind()
    fused = {"fused": True} if settings.get("fused") else {}
    return kind(rtol=settings.get("rtol"), **fused)


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """The executable and how long making it took, tracing included [s]."""
    start = time.perf_counter()
    executable = jax.jit(function).lower(*args).compile()
    return executable, time.perf_counter() - start


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    dtype = jnp.dtype(settings["precision"])
    chosen = functions(case, solver_of(settings), dtype)
    if op.endswith("_all"):
        return _batch(chosen[op.removesuffix("_all")], chosen["steps"], case, dtype, settings)
    arrays = [jnp.asarray(g, dtype) for g in case.g]
    if not settings.get("jit", True):
        return lambda k: chosen[op](arrays[k % len(arrays)]), {"options": "default"}
    executable, compile_s = compiled(chosen[op], arrays[0])
    detail = {"options": str(settings.get("solver") or "default"), "compile_s": compile_s}
    if settings.get("steps"):
        detail["steps"] = int(jax.jit(chosen["steps"])(arrays[0]))
    return lambda k: executable(arrays[k % len(arrays)]), detail


def over_all(function: Function, chunk: int | None = None) -> Function:
    """`function` over the leading axis of a pytree, over all devices; at most `chunk` at a time.

    They are named, since inside `jit` a batch stays on one device otherwise.
    """
    return lambda xs: xb.batch_map(function, xs, chunk=chunk, devices=jax.local_devices())


def devices_of(executable: Any) -> int:
    """Over how many devices a compiled program spreads its results."""
    shardings = jax.tree.leaves(executable.output_shardings)
    return max(len(sharding.device_set) for sharding in shardings)


def _batch(
    function: Function, steps: Function, case: Case, dtype: Any, settings: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """All arrays in one call.

    A `copies` above 1 makes the batch larger without sending it here: array k is array k mod n of
    the case, scaled by 1 + 0.001 (k // n), so that all are different.
    """
    scales = (1 + 0.001 * jnp.arange(settings.get("copies", 1))).astype(dtype)
    stacked = jnp.asarray(case.g, dtype)[None] * scales[:, None, None, None]
    stacked = stacked.reshape(-1, *case.shape)
    chunk = settings.get("chunk")
    executable, compile_s = compiled(over_all(function, chunk), stacked)
    solver, devices = settings.get("solver") or "default", devices_of(executable)
    options = f"{solver}, devices: {devices}" + ("" if chunk is None else f", chunks of {chunk}")
    detail = {"options": options, "compile_s": compile_s}
    if settings.get("steps"):
        detail["steps"] = int(jnp.max(jax.jit(jax.vmap(steps))(stacked[: len(case.g)])))
    return lambda k: executable(stacked), detail
