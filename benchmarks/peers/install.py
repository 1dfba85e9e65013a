"""Makes the peers' environments and writes down which peers are there: `make bench` runs it.

    python benchmarks/peers/install.py

.venv/bench has xbar and the peers that work beside it, .venv/bench-jax those that need Python 3.12.
Each peer is installed by itself, so that one that fails takes no other with it; what fails is
written to .venv/bench/peers.json with what helps, and is a row of every table. Run again, it tries
again only what is missing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAIN = Path(os.environ.get("XBAR_BENCH_ENV", ROOT / ".venv" / "bench"))
JAX = MAIN.with_name(MAIN.name + "-jax")
# Per contestant: environment, module, what to install (and why this bound), and what helps.
PEERS = {
    "cholmod": (
        MAIN,
        "sksparse.cholmod",
        ["scikit-sparse>=0.4.15,<0.5", "threadpoolctl"],  # 0.5 needs SuiteSparse 7; Debian 12: 5.12
        # CHOLMOD's supernodal mode is as fast as the BLAS that the system has.
        "Debian, Ubuntu: apt install gcc libsuitesparse-dev libopenblas0-pthread",
    ),
    "splu": (MAIN, "scipy.sparse.linalg", [], "pip install scipy"),
    "badcrossbar": (
        MAIN,
        "badcrossbar",
        ["badcrossbar>=1.1"],
        "Debian, Ubuntu: apt install gcc pkg-config libcairo2-dev",
    ),
    "sparsax": (JAX, "sparsax", ["sparsax>=0.11", "scipy"], "a newer pip, or another platform"),
    "klujax": (JAX, "klujax", ["klujax>=0.5.2", "scipy"], "a newer pip, or another platform"),
}


def main() -> int:
    found = {}
    have = {MAIN: _environment(MAIN, sys.executable), JAX: _environment(JAX, _newer_python())}
    if have[MAIN] and not _works(have[MAIN], "xbar"):
        print(f"Installing xbar into {MAIN} ...", flush=True)
        _pip(have[MAIN], ["--editable", str(ROOT)])
    for name, (environment, module, packages, how) in PEERS.items():
        python = have[environment]
        if python is None:
            why = "needs Python 3.12 or newer with its venv module"
            found[name] = {"missing": why, "how": "install one; pyenv's are found too"}
            continue
        trouble = ""
        if not _works(python, module):
            print(f"Installing {name} into {environment} ...", flush=True)
            trouble = _pip(python, packages)
        if _works(python, module):
            found[name] = {"python": str(python)}
        else:
            found[name] = {"missing": trouble or f"{module} cannot be imported", "how": how}
    if shutil.which("ngspice"):
        found["ngspice"] = {"python": str(have[MAIN])}
    else:
        found["ngspice"] = {"missing": "no ngspice", "how": "Debian, Ubuntu: apt install ngspice"}
    (MAIN / "peers.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, entry in found.items():
        state = f"NOT INSTALLED: {entry['missing']} ({entry['how']})" if "how" in entry else "there"
        print(f"{name}: {state}")
    return 0


def _environment(folder: Path, base: str | None) -> Path | None:
    """The environment's Python; made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists() and base is not None:
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
    return python if python.exists() else None


def _newer_python() -> str | None:
    """A Python that sparsax supports: this one, one on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    kept = sorted(pyenv.glob("versions/3.1[2-4]*/bin/python"))
    test = "import ensurepip, sys; sys.exit(not (3, 12) <= sys.version_info < (3, 15))"
    for python in (sys.executable, *filter(None, names), *map(str, kept)):
        if subprocess.run([python, "-c", test], capture_output=True).returncode == 0:
            return python
    return None


def _works(python: Path, module: str) -> bool:
    run = subprocess.run([python, "-c", f"import {module}"], capture_output=True, cwd=ROOT)
    return run.returncode == 0


def _pip(python: Path, packages: list[str]) -> str:
    """Install packages; returns the last line of what went wrong, or nothing."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    run = subprocess.run(command, capture_output=True, text=True)
    errors = [line for line in run.stderr.splitlines() if "error" in line.lower()]
    return errors[-1].strip()[:200] if run.returncode and errors else ""


if __name__ == "__main__":
    sys.exit(main())
