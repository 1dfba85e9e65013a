"""The reference: a page for each public module, an entry for each public name.

Public is what `xbar/__init__.pyi` and the `__init__.py` of each package below list as `X as X`.
A name that the top has too is described there alone.
"""

import ast
import tomllib
from pathlib import Path

# Packages whose names are public, with their title; docs/public.md says so in words.
MODULES = {
    "xbar": "xbar",
    "xbar.circuit": "Circuit",
    "xbar.cells": "Cells",
    "xbar.devices": "Devices",
    "xbar.nn": "Networks",
    "xbar.learn": "Training and correctors",
    "xbar.memory": "Memories",
    "xbar.sensitivity": "Sensitivity",
    "xbar.spice": "SPICE",
    "xbar.plots": "Pictures",
    "xbar.io": "Data and runs",
    "xbar.run": "Studies",
}

# What one looks for first is described first; the rest stays in the order of its file.
FIRST = ("Crossbar", "Wires", "solve", "transfer", "Solution", "batch_map", "Network", "Hardware")


def init_of(root, module):
    """The file that lists a module's public names, or None."""
    folder = root.joinpath(*module.split("."))
    for path in (folder / "__init__.pyi", folder / "__init__.py", folder.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def public(root, module):
    """Public names of a module, each with the dotted path of its definition."""
    names = {}
    for node in ast.parse(init_of(root, module).read_text(encoding="utf-8")).body:
        own = init_of(root, module).stem == module.rpartition(".")[2]  # a module without a folder
        if own and isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            names[node.name] = f"{module}.{node.name}"
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue  # `from . import cells` is a module, which has its own page
        for alias in node.names:
            if alias.asname == alias.name:
                source = f"{module}.{node.module or ''}".strip(".") if node.level else node.module
                where = definition(root, source, alias.name)
                if where is not None:
                    names[alias.name] = where
    return names


def definition(root, module, name):
    """Dotted path of what a module calls `name`; None for a package."""
    path = root.joinpath(*module.split("."))
    if (path / name).is_dir():
        return None
    file = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name and (node.module or "").startswith("xbar"):
                    return definition(root, node.module, alias.name)
    return f"{module}.{name}"


def all_public(root):
    """Of each public module that exists, the names that are described on its page."""
    seen, described = set(), {}
    for module in MODULES:
        if init_of(root, module) is None:
            continue
        names = {n: w for n, w in public(root, module).items() if w not in seen}
        seen |= set(names.values())
        described[module] = names
    return described


def pages(root):
    """Source URI and Markdown of each page."""
    return {uri(module): page(root, module, names) for module, names in all_public(root).items()}


def page(root, module, names):
    """Markdown of one module's page."""
    about = ast.get_docstring(ast.parse((init_of(root, module).with_suffix(".py")).read_text()))
    short = "xb" if module == "xbar" else module
    head = f"# `{module}`\n\n{about}\n\n"
    if module == "xbar":
        head += "Imported as `import xbar as xb` throughout.\n\n"
    table = root / "docs" / "_site" / "examples.toml"
    shown = tomllib.loads(table.read_text(encoding="utf-8")).get(module, {})
    parts = [head]
    order = {name: place for place, name in enumerate(FIRST)}
    for name, where in sorted(names.items(), key=lambda item: order.get(item[0], len(FIRST))):
        parts.append(f"## `{short}.{name}` {{ #{module}.{name} }}\n\n::: {where}\n\n")
        if name in shown:
            parts.append(f"```python\n{shown[name].strip()}\n```\n\n")
    return "".join(parts)


def uri(module):
    """Where a module's page is."""
    return f"reference/{module}.md"


def tree(root):
    """The pages as MkDocs takes them."""
    return [
        {title: uri(module)}
        for module, title in MODULES.items()
        if init_of(Path(root), module) is not None
    ]
