"""What was compiled is kept while a run lasts, and leaves nothing behind."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from xbar import compile_cache

EVENT = "/jax/compilation_cache/cache_hits"
FOLDER, SECONDS = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture
def hits(monkeypatch):
    """Events of functions that were found compiled, on a process without a cache."""
    monkeypatch.setattr(compile_cache, "WORTH_ONCE_S", 0)
    seen = []
    jax.monitoring.register_event_listener(lambda event, **_: seen.append(event))
    asked = {name: jax.config.values[name] for name in (FOLDER, SECONDS)}
    jax.config.update(FOLDER, None)
    compile_cache.compilation_cache.reset_cache()
    anew(0.0)  # JAX has looked for a cache, and found none
    yield lambda: seen.count(EVENT)
    for name, value in asked.items():
        jax.config.update(name, value)
    compile_cache.compilation_cache.reset_cache()
    jax.monitoring.clear_event_listeners()


def anew(shift):
    """The same function for XLA, another one for JAX each time."""
    return jax.jit(lambda x: jnp.sin(x) @ x + shift)(jnp.ones((3, 3)))


def test_a_function_made_anew_is_not_compiled_again(hits):
    with compile_cache.compiled_once():
        folder = Path(jax.config.values[FOLDER])
        anew(0.125)
        before = hits()
        anew(0.125)
        assert hits() > before
        assert any(folder.iterdir())
    assert not folder.exists()
    assert jax.config.values[FOLDER] is None
    before = hits()
    anew(0.125)
    assert hits() == before


def test_a_failed_run_leaves_nothing_behind(hits):
    seconds = jax.config.values[SECONDS]
    folders = []

    def stopped():
        with compile_cache.compiled_once():
            folders.append(Path(jax.config.values[FOLDER]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not folders[0].exists()
    assert jax.config.values[FOLDER] is None
    assert jax.config.values[SECONDS] == seconds


def test_a_cache_of_the_users_own_is_used_as_it_is(hits, tmp_path):
    jax.config.update(FOLDER, str(tmp_path))
    with compile_cache.compiled_once():
        assert jax.config.values[FOLDER] == str(tmp_path)
    assert jax.config.values[FOLDER] == str(tmp_path)
