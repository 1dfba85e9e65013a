"""Programs that XLA has compiled, kept on disk for the next process, or while a run lasts."""

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
from filelock import FileLock
from jax.experimental.compilation_cache import compilation_cache
from platformdirs import user_cache_path

MOST_BYTES = 2 * 2**30  # a run of the paper's experiments leaves about a tenth of it
WORTH_S = 0.05  # of compiling; reading an entry takes some milliseconds
WORTH_ONCE_S = 0.1  # the same in `compiled_once`, which begins with an empty folder
UNUSED_S = 30 * 86400.0  # after which folders of other versions go
_LOCK = ".lockfile"  # JAX's own name for it


def keep_compiled(folder: Path | str | None = None, most_bytes: int = MOST_BYTES) -> Path:
    """Keep what JAX compiles from now on, for this process and the next ones.

    A first call of `xbar.solve` takes seconds, nearly all of them for compiling; read from here it
    takes some tenths of a second. Every `xbar` command does so; the library never by itself.

    ```python
    xb.keep_compiled()  # once, before the first call
    ```

    A cache that JAX has been told of already (`JAX_COMPILATION_CACHE_DIR`, or
    `jax_compilation_cache_dir` in `jax.config`) is used as it is, and so are the other
    settings of the cache where an environment variable gives them.

    Args:
        folder: where; made if it is not there. None is the user's cache folder, below it one folder
            for each processor and versions of xbar and jax, as programs of others need not run.
        most_bytes: size of the folder; beyond it, what was not used for longest goes [byte].

    Returns:
        The folder in use.

    Raises:
        OSError: the folder cannot be made.
    """
    if (known := jax.config.values["jax_compilation_cache_dir"]) is not None:
        return Path(known)
    if folder is None:
        folder = user_cache_path("xbar") / "compiled" / _key()
        _forget_unused(folder)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _mend(folder)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": most_bytes,
        "jax_persistent_cache_min_compile_time_secs": WORTH_S,
    }
    for name, value in settings.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX looks for its folder only once
    return folder


def kept_in() -> Path | None:
    """The folder in which compiled programs are kept; None if they are not."""
    known = jax.config.values["jax_compilation_cache_dir"]
    return None if known is None else Path(known)


def _key() -> str:
    """Versions and processor: a program compiled for one need not run on the other."""
    words = [platform.machine(), platform.processor()]
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        for name in ("model name", "flags", "Features"):
            words += re.findall(rf"^{name}\s*:(.*)$", text, re.MULTILINE)[:1]
    processor = hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]
    return f"xbar-{version('xbar')}-jax-{version('jax')}-{processor}"


def _mend(folder: Path) -> None:
    """Remove entries that a killed process began: JAX writes an entry, then its time of use."""
    with suppress(OSError), FileLock(folder / _LOCK, timeout=10):
        for entry in folder.glob("*-cache"):
            if not entry.with_name(f"{entry.name.removesuffix('-cache')}-atime").exists():
                entry.unlink(missing_ok=True)


def _forget_unused(folder: Path) -> None:
    """Remove folders of other versions and processors that nobody has used for a month."""
    for other in folder.parent.glob("xbar-*-jax-*") if folder.parent.is_dir() else ():
        with suppress(OSError):
            used = (other / _LOCK).stat().st_mtime
            if other != folder and time.time() - used > UNUSED_S:
                shutil.rmtree(other)


@contextmanager
def compiled_once() -> Iterator[None]:
    """Compile no function twice while this lasts; a cache of the user's own is used as it is.

    For runs of many sweeps, which have most of what they compile in common. Each sweep makes its
    functions anew, and `jax.clear_caches` drops those in memory. The folder
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
            config.update("jax_persistent_cache_min_compile_time_secs", WORTH_ONCE_S)
            compilation_cache.reset_cache()  # JAX looks for its folder only once
            yield
        finally:
            config.update("jax_compilation_cache_dir", None)
            config.update("jax_persistent_cache_min_compile_time_secs", seconds)
            compilation_cache.reset_cache()
