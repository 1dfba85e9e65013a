"""Shared set-up: float64 everywhere, and hypothesis without wall-clock limits (JAX compiles)."""

import gc
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import jax
import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_enable_x64", True)

MAX_MAPPINGS = 30_000  # one file, or one slow test, compiles up to 20,000 more

# One piece of code a program: without its optimizer LLVM passes wide vectors (AVX-512) wrongly from
# one piece to another, and a network's outputs were off by half (jaxlib 0.10.2). XLA ends a process
# over an option that it does not know; these releases know all three.
QUICK_COMPILING = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1"
)
TRIED = (0, 8) <= tuple(int(part) for part in version("jaxlib").split(".")[:2]) <= (0, 10)


def pytest_configure(config: pytest.Config) -> None:
    """Let XLA compile without its optimizer, which takes up to four fifths of the time.

    Most tests are about laws. Not so where `XLA_FLAGS` says something else, and for slow tests
    marked `optimized`, which run as users do: random circuits, batches, derivatives, ngspice,
    examples and recipes.
    """
    quick = ("not slow", "slow and not optimized")
    if config.option.markexpr in quick and TRIED and "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = QUICK_COMPILING


# Tracing makes millions of objects that stay: Python's collector would take a tenth of the time.
gc.set_threshold(200_000, 20, 50)

settings.register_profile(
    "xbar",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("xbar")


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_functions() -> Iterator[None]:
    """Drop what XLA compiled when a process nears the memory mappings that it may hold.

    A whole suite in one process passed Linux's default limit (65,530) and crashed in the compiler;
    so did the slow tests of one file.
    """
    yield
    _forget_if_many()


@pytest.fixture(autouse=True)
def _forget_after_slow_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if request.node.get_closest_marker("slow"):
        _forget_if_many()


def _forget_if_many() -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_text().count("\n") > MAX_MAPPINGS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What commands keep for their user goes to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """As a user has it: without the import hook, whose own errors come first in the tests."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
