"""The tree of pages. A page that does not exist yet is left out."""

from pathlib import Path

import recipes
import reference

import notebooks

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "First steps": {
        "Start in five minutes": "start.md",
        "Which call, which solver": "choosing.md",
        "The first call": "first_call.md",
        "Coming from another tool": "coming_from.md",
    },
    "The circuit": {
        "Circuit and equations": "circuit.md",
        "Cells": "cells.md",
        "Lines": "lines.md",
        "Devices": "devices.md",
        "SPICE": "spice.md",
    },
    "Networks": {
        "Networks on arrays": "networks.md",
        "Training": "training.md",
        "Memories": "memory.md",
        "Which cells matter": "sensitivity.md",
        "Worst cases": "worst_case.md",
    },
    "Studies": {
        "The demo": "demo.md",
        "Sweeps": "studies.md",
        "The command line": "command_line.md",
        "The published study": "study.md",
        "How that study is done": "paper.md",
    },
    "Judge for yourself": {
        "Benchmarks": "benchmarks.md",
        "How exact": "accuracy.md",
        "What it does not do": "limits.md",
        "Four users": "users.md",
        "Public names": "public.md",
        "Glossary": "glossary.md",
        "Changes": "changes.md",
    },
}


def known():
    """File names of all pages, written or not."""
    return {page for pages in GROUPS.values() for page in pages.values()}


def tree(docs):
    """The pages in their order, as MkDocs takes them."""
    shown, made = [{"xbar": "index.md"}], {"changes.md"}
    for title, pages in GROUPS.items():
        there = [
            {name: page} for name, page in pages.items() if page in made or (docs / page).is_file()
        ]
        if title == "Studies":
            shown.append({"Recipes": [*recipes.tree(ROOT), *notebooks.tree(ROOT)]})
        shown.append({title: there})
    more = sorted(p.name for p in docs.glob("*.md") if p.name not in known() | {"index.md"})
    if more:
        shown.append({"More": more})
    shown.append({"Reference": reference.tree(ROOT)})
    return shown
