"""The first minute: help at once, programs that are kept, what presets there are."""

import io
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from cli_cases import run_cli
from rich.console import Console

import xbar as xb
from xbar import compile_cache
from xbar.devices.mapping import WINDOWS
from xbar.run.folders.progress import Stages, compiling
from xbar.run.settings import presets

COMMANDS = ("", "demo", "study", "sensitivity", "show", "presets", "paper", "spice")
# Loaded by nothing that only prints help: each takes longer than all the rest together.
HEAVY = {"jax", "equinox", "numpy", "scipy", "h5py", "matplotlib", "sklearn", "xarray"}


def fresh(code):
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "spice export", "spice verify"])
def test_help_is_whole_at_80_columns_and_loads_nothing_heavy(command):
    code = f"""
import sys
sys.argv = ["xbar", *{command.split()}, "--help"]
from xbar.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
print("loaded:", *sorted({HEAVY} & set(sys.modules)))
"""
    *help_lines, loaded = fresh(code).splitlines()
    assert loaded == "loaded:"
    assert max(map(len, help_lines)) <= 80
    summary = help_lines[help_lines.index("Commands:") :] if "Commands:" in help_lines else []
    assert not any(line.endswith("...") for line in summary)  # Typer cuts what is too long


def test_importing_xbar_loads_a_name_when_it_is_used():
    code = f"""
import sys, xbar
print(xbar.__version__, *({HEAVY} & set(sys.modules)))
xbar.Crossbar
print("jax" in sys.modules, "optax" in sys.modules)
import xbar.nn  # whose own import of the file xbar.solve must not hide the function
print(callable(xbar.solve), callable(xbar.transfer))
"""
    assert fresh(code).splitlines() == [xb.__version__, "True False", "True True"]


def test_every_public_name_is_there():
    assert {"solve", "Network", "keep_compiled"} <= set(dir(xb))
    for name in dir(xb):
        assert getattr(xb, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = xb.nothing


def test_the_version_and_the_shells_completion(monkeypatch, capsys):
    assert run_cli(monkeypatch, capsys, "--version") == (0, f"xbar {xb.__version__}\n", "")
    monkeypatch.setenv("_XBAR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "xbar sen")
    monkeypatch.setenv("COMP_CWORD", "1")
    code, out, _ = run_cli(monkeypatch, capsys)
    assert (code, out.split()) == (0, ["sensitivity"])


def test_presets_have_values_and_sources(monkeypatch, capsys):
    assert set(presets.SOURCES) == set(WINDOWS)
    code, out, _ = run_cli(monkeypatch, capsys, "presets")
    assert code == 0
    for text in ("stanford", "218,600", "MemTorch", "circle-complement", "0.785", "the plus cell"):
        assert text in out


def test_one_device_prints_its_laws_with_units_range_and_source(monkeypatch, capsys):
    code, out, _ = run_cli(monkeypatch, capsys, "presets", "pcm")
    assert code == 0
    for text in ("0 to 25 uS", "Drift", "Nature Communications 11, 2473"):
        assert text in out
    code, _, error = run_cli(monkeypatch, capsys, "presets", "pmc")
    assert code == 2
    assert "DEVICE: got 'pmc', needs one of" in error


@pytest.fixture
def jax_without_a_cache(monkeypatch):
    """JAX as a user has it, and afterwards as before."""
    names = [
        "jax_compilation_cache_dir",
        "jax_compilation_cache_max_size",
        "jax_persistent_cache_min_compile_time_secs",
    ]
    before = {name: jax.config.values[name] for name in names}
    for name in names:
        monkeypatch.delenv(name.upper(), raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compile_cache.compilation_cache.reset_cache()


@pytest.mark.usefixtures("jax_without_a_cache")
def test_what_is_compiled_is_kept_in_the_users_folder_and_bounded(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile_cache.kept_in() is None
    monkeypatch.setattr(compile_cache, "WORTH_S", 0.0)
    folder = xb.keep_compiled()
    assert folder == compile_cache.kept_in()
    assert folder.is_relative_to(tmp_path / "xbar")
    assert f"xbar-{xb.__version__}-jax-{jax.__version__}-" in folder.name
    assert folder.stat().st_mode & 0o077 == 0  # programs that others wrote are never run
    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
    for _ in range(2):
        jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 3))).block_until_ready()
        jax.clear_caches()
    assert len(list(folder.glob("*-cache"))) >= 1
    assert "/jax/compilation_cache/cache_hits" in events  # read back the second time
    assert jax.config.values["jax_compilation_cache_max_size"] == compile_cache.MOST_BYTES


@pytest.mark.usefixtures("jax_without_a_cache")
def test_a_cache_of_the_users_own_is_used_as_it_is(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert xb.keep_compiled() == xb.keep_compiled(tmp_path / "other") == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("jax_without_a_cache")
def test_what_killed_processes_began_and_what_nobody_uses_goes(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = xb.keep_compiled()
    for name in ("whole-cache", "whole-atime", "begun-cache"):
        (folder / name).write_bytes(bytes(8))
    old, young = (folder.with_name(f"xbar-0.0.{k}-jax-0.8.0-0") for k in (1, 2))
    for other in (old, young):
        other.mkdir()
        (other / ".lockfile").touch()
    monkeypatch.setattr(compile_cache.time, "time", lambda: 0.0)
    jax.config.update("jax_compilation_cache_dir", None)
    (old / ".lockfile").touch()
    os.utime(old / ".lockfile", (-1e9, -1e9))
    xb.keep_compiled()
    assert {f.name for f in folder.iterdir()} >= {"whole-cache", "whole-atime"}
    assert not (folder / "begun-cache").exists()
    assert not old.exists()
    assert young.exists()


def test_progress_says_that_it_compiles(monkeypatch):
    monkeypatch.setattr("xbar.run.folders.progress.HEARTBEAT_S", 0.01)
    file = io.StringIO()

    def slow(x):
        for k in range(300):  # a program that takes long enough to be seen
            x = jnp.sin(x + k) @ x
        return x

    with Stages(Console(file=file)).stage("many", 2, "circuits"):
        jax.jit(slow)(jnp.ones((2, 2))).block_until_ready()
    assert "compiling" in file.getvalue()
    assert compiling().spent > 0
    assert not compiling().now
