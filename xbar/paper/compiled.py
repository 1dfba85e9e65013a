"""What XLA compiled, kept on disk while a run lasts: its sweeps have most of it in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import jax
from jax.experimental.compilation_cache import compilation_cache

# Seconds of compiling below which writing and reading the result gains nothing.
WORTH = 0.1


@contextmanager
def compiled_once() -> Iterator[None]:
    """Compile no function twice while this lasts; a cache of the user's own is used as it is.

    Each sweep makes its functions anew, and `jax.clear_caches` drops those in memory. The folder
    is temporary: what was compiled for one processor need not run on the next.
    """
    config = jax.config
    if config.values["jax_compilation_cache_dir"] is not None:
        yield
        return
    seconds = config.values["jax_persistent_cache_min_compile_time_secs"]
    with TemporaryDirectory(prefix="xbar-compiled-", ignore_cleanup_errors=True) as folder:
        try:
            config.update("jax_compilation_cache_dir", folder)
            config.update("jax_persistent_cache_min_compile_time_secs", WORTH)
            compilation_cache.reset_cache()  # JAX looks for its folder only once
            yield
        finally:
            config.update("jax_compilation_cache_dir", None)
            config.update("jax_persistent_cache_min_compile_time_secs", seconds)
            compilation_cache.reset_cache()
