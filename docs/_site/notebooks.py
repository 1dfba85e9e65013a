"""The notebooks as pages, with the outputs that are stored in them."""

import json

from nbconvert import MarkdownExporter


def paths(root):
    """The notebooks, in their order."""
    return sorted((root / "notebooks").glob("*.ipynb"))


def pages(root):
    """Source URI and content of each page and of its pictures."""
    made = {}
    for path in paths(root):
        text, resources = MarkdownExporter().from_filename(path)
        folder = f"{path.stem}_files"
        for name, data in resources["outputs"].items():
            text = text.replace(f"({name})", f"({folder}/{name})")
            made[f"notebooks/{folder}/{name}"] = data
        made[f"notebooks/{path.stem}.md"] = (
            f"{text}\n\nThe notebook: [{path.name}](../notebooks/{path.name}).\n"
        )
    return made


def tree(root):
    """The pages as MkDocs takes them."""
    return [{f"Notebook: {title(path)}": f"notebooks/{path.stem}.md"} for path in paths(root)]


def title(path):
    """The heading of a notebook, which its first cell begins with."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    text = "".join(first).splitlines()[0]
    assert text.startswith("# "), f"{path.name}: got {text!r} first, needs a heading"
    return text[2:]
