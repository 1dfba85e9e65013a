"""The lines that design section 6 draws through the package, and the house's limits on size.

Each check is a function from a source tree to the list of what breaks it. It runs on xbar, where
the list must be empty, and on a small broken tree, where it must name the offender.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent

import pytest

XBAR = Path(__file__).resolve().parents[1] / "xbar"

# Whatever is not outer is inner: the signal path, and what it uses. A new module is inner until it
# is named here.
OUTER = {
    "__main__",
    "cli",
    "io",
    "paper",
    "plots",
    "run",
    "sensitivity",
    "spice",
}
CIRCUIT = {"analysis", "circuit", "solvers", "solve", "nn"}
KNOW_NO_CIRCUIT = {"devices", "learn", "plots"}
# `import xbar` must load none of these.
HEAVY = ["h5py", "jinja2", "matplotlib", "sklearn", "typer"]
HEAVY_PARTS = ["cli", "io", "paper", "plots", "run", "spice"]

MAX_FILE, MAX_FUNCTION = 400, 60  # lines


@dataclass(frozen=True)
class Import:
    source: str  # module that imports
    target: str  # module imported
    line: int
    at_load: bool  # runs when the source is loaded: not in a function, not for type checkers only

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


@dataclass(frozen=True)
class Tree:
    """A package's source: `root` is its folder."""

    root: Path

    @cached_property
    def paths(self) -> dict[str, Path]:
        paths = {}
        for path in sorted(self.root.rglob("*.py")):
            parts = path.relative_to(self.root.parent).with_suffix("").parts
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return paths

    @cached_property
    def modules(self) -> dict[str, ast.Module]:
        """Of a package that loads its names lazily, the stub that lists them."""
        stubs = {name: path.with_suffix(".pyi") for name, path in self.paths.items()}
        return {
            name: ast.parse((stubs[name] if stubs[name].exists() else path).read_text())
            for name, path in self.paths.items()
        }

    def part(self, module: str) -> str:
        """The file or folder right under the root that a module belongs to; "" for the root."""
        return module.partition(".")[2].partition(".")[0]

    def targets(
        self, source: str, node: ast.Import | ast.ImportFrom
    ) -> list[tuple[str, str | None]]:
        """What an import statement of `source` names in this package, in its order.

        Either a module, and None, or the module and what is taken from it.
        """
        if isinstance(node, ast.Import):
            pairs = [(alias.name, None) for alias in node.names]
        else:
            package = source.split(".")
            if self.paths[source].name != "__init__.py":
                package.pop()
            package = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            pairs = [
                (f"{base}.{a.name}", None) if f"{base}.{a.name}" in self.modules else (base, a.name)
                for a in node.names
            ]
        return [pair for pair in pairs if pair[0].split(".")[0] == self.root.name]

    @cached_property
    def imports(self) -> list[Import]:
        return [
            Import(source, target, node.lineno, at_load)
            for source, tree in self.modules.items()
            for node, at_load in import_nodes(tree)
            for target, _ in self.targets(source, node)
        ]


HOUSE = Tree(XBAR)  # read once


def import_nodes(
    node: ast.AST, at_load: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_load
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from import_nodes(child, False)
        else:
            in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from import_nodes(child, at_load and not in_function)


# --- the checks -------------------------------------------------------------------------------


def inner_imports_outer(tree: Tree) -> list[str]:
    """Imports, also inside functions, that leave the signal path."""
    return [
        str(i)
        for i in tree.imports
        if tree.part(i.source) not in OUTER | {""} and tree.part(i.target) in OUTER | {""}
    ]


def circuit_where_none_is_known(tree: Tree) -> list[str]:
    """Imports of circuit modules, or of the root that holds them, where no circuit is known."""
    return [
        str(i)
        for i in tree.imports
        if tree.part(i.source) in KNOW_NO_CIRCUIT and tree.part(i.target) in CIRCUIT | {""}
    ]


def outer_from_sensitivity(tree: Tree) -> list[str]:
    """Imports by which `sensitivity` would know more than the signal path: files, figures."""
    return [
        str(i)
        for i in tree.imports
        if tree.part(i.source) == "sensitivity"
        and tree.part(i.target) in (OUTER | {""}) - {"sensitivity"}
    ]


def paper_from_outside(tree: Tree) -> list[str]:
    """Imports of the published study's package, which its command alone may use."""
    return [
        str(i)
        for i in tree.imports
        if tree.part(i.target) == "paper"
        and tree.part(i.source) != "paper"
        and not i.source.endswith(".cli.paper")
    ]


def import_cycles(tree: Tree) -> list[str]:
    """Modules whose loading leads back to themselves, each with the way."""
    graph: dict[str, set[str]] = {module: set() for module in tree.modules}
    for i in tree.imports:
        if i.at_load:
            # Loading a.b.c loads a and a.b before it, unless they are being loaded already.
            parts = i.target.split(".")
            loaded = [".".join(parts[: n + 1]) for n in range(len(parts))]
            graph[i.source] |= {
                m for m in loaded if m == i.target or not f"{i.source}.".startswith(f"{m}.")
            }
    found = []
    for start in graph:
        ways, queue = {start: start}, [start]
        while queue:
            module = queue.pop()
            for target in sorted(graph.get(module, ())):
                if target == start:
                    found.append(f"{ways[module]} -> {start}")
                elif target not in ways:
                    ways[target] = f"{ways[module]} -> {target}"
                    queue.append(target)
    return found


def import_side_effects(tree: Tree) -> list[str]:
    """What importing the package loads that it should not, and the settings of JAX it changes."""
    name = tree.root.name
    unwanted = HEAVY + [f"{name}.{part}" for part in HEAVY_PARTS]
    code = f"""
        import sys, jax
        before = dict(jax.config.values)
        import {name}
        assert {name}.__file__ == {str(tree.root / "__init__.py")!r}, {name}.__file__
        after = dict(jax.config.values)
        found = [f"loads {{m}}" for m in {unwanted} if m in sys.modules]
        found += [f"sets {{k}}" for k in after if after[k] != before.get(k)]
        for line in found: print(line)
    """
    command = [sys.executable, "-c", dedent(code)]
    run = subprocess.run(command, cwd=tree.root.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def too_long(tree: Tree) -> list[str]:
    """Files and functions over the house's limits; a function's docstring does not count."""
    found = []
    for name, module in tree.modules.items():
        lines = len(tree.paths[name].read_text().splitlines())
        if lines > MAX_FILE:
            found.append(f"{name} has {lines} lines, over {MAX_FILE}")
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = n_lines(node)
                if ast.get_docstring(node) is not None:
                    length -= n_lines(node.body[0])
                if length > MAX_FUNCTION:
                    found.append(f"{name}.{node.name} has {length} lines, over {MAX_FUNCTION}")
    return found


def n_lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def badly_exported(tree: Tree) -> list[str]:
    """Public names of the root that type checkers take for private, or without a docstring."""
    root = tree.root.name
    body = tree.modules[root].body
    listed = {
        element.value
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for element in ast.walk(node.value)
        if isinstance(element, ast.Constant)
    }
    found = []
    for node in body:
        for name, exported in bound_names(node):
            if name.startswith("_"):
                continue
            if not exported and name not in listed:
                found.append(f"{name} is neither in __all__ nor imported as `{name} as {name}`")
            if not docstring_of(tree, root, name):
                found.append(f"{name} has no docstring")
    return found


def bound_names(node: ast.stmt) -> list[tuple[str, bool]]:
    """Names that a statement binds, and whether the statement itself exports them."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(a.asname or a.name.split(".")[0], a.asname == a.name) for a in node.names]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [(node.name, True)]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [(target.id, True) for target in targets if isinstance(target, ast.Name)]
    return []


def docstring_of(tree: Tree, module: str, name: str) -> str | None:
    """The docstring at a name's definition, which may be in another module of the tree.

    That of an assigned name is the string below the assignment.
    """
    body = tree.modules[module].body
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if name not in [bound for bound, _ in bound_names(node)]:
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return ast.get_docstring(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            index = [bound for bound, _ in bound_names(node)].index(name)
            targets = tree.targets(module, node)
            if not targets:
                return None  # another package's
            target, original = targets[index]
            if original is None:
                return ast.get_docstring(tree.modules[target])
            return docstring_of(tree, target, original)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return str(below.value.value)
    return None


CHECKS = [
    inner_imports_outer,
    circuit_where_none_is_known,
    outer_from_sensitivity,
    paper_from_outside,
    import_cycles,
    import_side_effects,
    too_long,
    badly_exported,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_xbar_has_none(check):
    assert check(HOUSE) == []


# --- each check fails on a broken tree --------------------------------------------------------

LONG = "def f():\n" + "    x = 1\n" * MAX_FUNCTION
BROKEN = {
    "inner-absolute": (
        inner_imports_outer,
        {"nn": "from toy.io import load", "io": "load = 1"},
        ["toy.nn:1 imports toy.io"],
    ),
    "inner-in-function": (
        inner_imports_outer,
        {"solvers/cg": "def f():\n    from ..spice import run", "spice": ""},
        ["toy.solvers.cg:2 imports toy.spice"],
    ),
    "inner-unlisted-module-for-typing": (
        inner_imports_outer,
        {"new": "if TYPE_CHECKING:\n    import toy.run.config", "run/config": ""},
        ["toy.new:2 imports toy.run.config"],
    ),
    "inner-through-the-root": (
        inner_imports_outer,
        {"mapping": "import toy"},
        ["toy.mapping:1 imports toy"],
    ),
    "circuit-from-corrector": (
        circuit_where_none_is_known,
        {"learn": "from . import mlp, nn", "mlp": "", "nn": ""},
        ["toy.learn:1 imports toy.nn"],
    ),
    "circuit-from-plots": (
        circuit_where_none_is_known,
        {"plots": "def f():\n    import toy as t\n    from toy.solvers.cg import CG"},
        ["toy.plots:2 imports toy", "toy.plots:3 imports toy.solvers.cg"],
    ),
    "outer-from-sensitivity": (
        outer_from_sensitivity,
        {
            "sensitivity/a": "from toy.sensitivity import b\nfrom toy.run import c",
            "sensitivity/b": "def f():\n    from toy import plots",
            "run": "c = 1",
            "plots": "",
        },
        ["toy.sensitivity.a:2 imports toy.run", "toy.sensitivity.b:2 imports toy.plots"],
    ),
    "paper-from-studies": (
        paper_from_outside,
        {
            "run": "from toy.paper import run",
            "paper": "",
            "cli/paper": "from toy.paper import run",
            "cli/demo": "def f():\n    import toy.paper",
        },
        ["toy.cli.demo:2 imports toy.paper", "toy.run:1 imports toy.paper"],
    ),
    "cycle-of-two": (
        import_cycles,
        {"a": "from . import b", "b": "class C:\n    from toy.a import x"},
        ["toy.a -> toy.b -> toy.a", "toy.b -> toy.a -> toy.b"],
    ),
    "cycle-through-a-folder's-init": (
        import_cycles,
        {"a": "import toy.s.x", "s/__init__": "from .. import a", "s/x": ""},
        ["toy.a -> toy.s -> toy.a", "toy.s -> toy.a -> toy.s"],
    ),
    "cycle-through-the-root": (
        import_cycles,
        {"__init__": "from .a import f", "a": "from . import g"},
        ["toy -> toy.a -> toy", "toy.a -> toy -> toy.a"],
    ),
    "import-loads": (
        import_side_effects,
        {"__init__": "import h5py\nfrom . import io", "io": ""},
        ["loads h5py", "loads toy.io"],
    ),
    "import-sets-x64": (
        import_side_effects,
        {"__init__": "import jax\njax.config.update('jax_enable_x64', True)"},
        ["sets jax_enable_x64"],
    ),
    "long-file": (
        too_long,
        {"a": "x = 1\n" * (MAX_FILE + 1)},
        [f"toy.a has {MAX_FILE + 1} lines, over {MAX_FILE}"],
    ),
    "long-method": (
        too_long,
        {"a": "class C:\n" + "".join(f"    {line}\n" for line in LONG.splitlines())},
        [f"toy.a.f has {MAX_FUNCTION + 1} lines, over {MAX_FUNCTION}"],
    ),
    "not-exported": (
        badly_exported,
        {
            "__init__": "from .a import f\nfrom .a import g\nimport os\n__all__ = ['g']",
            "a": 'def f():\n    "Doc."\ndef g():\n    "Doc."',
        },
        [
            "f is neither in __all__ nor imported as `f as f`",
            "os is neither in __all__ nor imported as `os as os`",
            "os has no docstring",
        ],
    ),
    "no-docstring": (
        badly_exported,
        {
            "__init__": "from .s import C as C\nfrom .s import X as X\nfrom . import s as s",
            "s/__init__": "from toy.s.c import C, X",
            "s/c": "class C:\n    x = 1\nX = C()",
        },
        ["C has no docstring", "X has no docstring", "s has no docstring"],
    ),
}
# What lies close to what is broken, and is allowed.
SOUND = {
    "__init__": '"""Toy."""\nfrom .a import f as f\nfrom .s import X as X\n_hidden = 1',
    "a": "def f():\n" + '    """Doc.\n' + "\n" * MAX_FUNCTION + '    """\n    from . import b',
    "b": "if TYPE_CHECKING:\n    from .s import C\nfrom .a import f\nimport os.path",
    "s/__init__": "from .c import X as X, C as C",
    "s/c": 'from .base import B\nclass C(B):\n    "Doc."\nX = 1\n"""Doc."""',
    "s/base": "from ..a import f\nclass B: pass",
    "corrector": "from . import mlp",
    "io": "import h5py\nfrom .s import C",
    "cli": "import toy\nfrom . import io, corrector",
    "mlp": "",
}


def write_tree(folder: Path, files: dict[str, str]) -> Tree:
    root = folder.resolve() / "toy"
    for name, text in {"__init__": "", **files}.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for package in path.parents[: len(Path(name).parts)]:
            (package / "__init__.py").touch()
        path.write_text(text)
    return Tree(root)


@pytest.mark.parametrize(("check", "files", "named"), BROKEN.values(), ids=BROKEN)
def test_a_broken_tree_is_named(check, files, named, tmp_path):
    assert check(write_tree(tmp_path, files)) == named


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_tree_passes(check, tmp_path):
    assert check(write_tree(tmp_path, SOUND)) == []
