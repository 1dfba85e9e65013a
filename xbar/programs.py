"""How the package's own programs are compiled: faster, and for less memory.

XLA has two ways to write loops for a processor. The older one compiles faster, and what it writes
is as fast, but for the elimination of severe drop, which takes a third as long again
(docs/first_call.md), and training, thousands of small products in a loop, which takes up to half as
long again and so keeps plain `jit`.

It also has two orders for a program's operations: by default the one that lets most of them run at
once, with more numbers in memory at a time. What a call reserves beyond 32 MiB, the C library maps
anew each time, and every page of it costs a microsecond: a third of the time of a gradient.

JAX lets nobody but the outermost `jit` choose: what is called inside a `jit`, `vmap` or derivative
of the caller's goes along with whatever that chose.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import jax
from jax.core import Tracer

from xbar.checks import is_concrete

Function = Callable[..., Any]  # as of what `jax.jit` returns, nothing more is known
OPTIONS = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


def program(jit: Callable[..., Any] = jax.jit, **options: Any) -> Callable[[Function], Function]:
    """`jax.jit` for functions of this package that a user may call outside of one.

    ```python
    @program(static_argnames="solver")
    def solved(array, solver): ...
    ```

    Args:
        jit: or `equinox.filter_jit`.
        options: of `jit`.
    """

    def decorate(function: Function) -> Function:
        inner = jit(function, **options)

        @cache
        def outer() -> Any:
            known = compiler_options()
            return jit(function, compiler_options=known, **options) if known else inner

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if is_outermost(args, kwargs):
                try:
                    return outer()(*args, **kwargs)
                except ValueError as error:
                    # What a function of the caller's closes over, a derivative may be taken of.
                    if "compiler_options" not in str(error):
                        raise
            return inner(*args, **kwargs)

        return call

    return decorate


def is_outermost(*values: Any) -> bool:
    """Whether a program with these arguments would be compiled by itself, inside of no other."""
    return is_concrete(*values) and not isinstance(jax.device_put(_number()), Tracer)


@cache
def _number() -> jax.Array:
    """A number on the device, which takes a third of the time of one that is still to get there."""
    with jax.ensure_compile_time_eval():
        return jax.device_put(0.0)


def compiler_options() -> dict[str, Any]:
    """Options for a `jax.jit` of your own around calls of this package, on a CPU.

    Those that its own programs take: first calls of 65x100 take a fifth to a third less time, and
    programs less memory. Batches of small arrays in float32 take up to a fifth longer to run, the
    elimination of severe drop a third, training up to a half (docs/first_call.md). JAX takes
    options for the outermost `jit` alone, so for a gradient ``jit(grad(f), compiler_options=...)``.

    ```python
    import jax
    import jax.numpy as jnp
    import xbar as xb

    array = xb.Crossbar(jnp.full((3, 4), 1e-5), xb.Wires(1.0, 1.0))
    transfer = jax.jit(xb.transfer, compiler_options=xb.compiler_options())
    print(transfer(array).shape)  # (4, 3)
    ```

    Returns:
        For `compiler_options` of `jax.jit`, without those that this release of XLA does not know.
    """
    return {name: value for name, value in OPTIONS.items() if _is_known(name, value)}


@cache
def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
    except Exception:  # noqa: BLE001 - which one is not documented; without it all is well
        return False
    return True
