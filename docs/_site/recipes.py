"""The recipes: a page for each script of examples/, with its figure from docs/figures/."""

import ast


def scripts(root):
    """Name, title, text below the title and code of each script."""
    for path in sorted((root / "examples").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        about = ast.get_docstring(ast.parse(text)) or path.stem
        title, _, rest = about.partition("\n")
        code = text.split('"""', 2)[2].strip() if text.startswith('"""') else text
        yield path.stem, title.strip().rstrip("."), rest.strip(), code


def pages(root):
    """Source URI and Markdown of each page."""
    made = {}
    for name, title, rest, code in scripts(root):
        figure = root / "docs" / "figures" / f"{name}.svg"
        shown = f"![{title}](../figures/{name}.svg)\n\n" if figure.is_file() else ""
        made[f"recipes/{name}.md"] = (
            f"# {title}\n\n{rest}\n\n{shown}```python\n{code}\n```\n\n"
            f"The whole script: [examples/{name}.py](../examples/{name}.py); "
            f"`python examples/{name}.py` runs it.\n"
        )
    return made


def tree(root):
    """The pages as MkDocs takes them."""
    return [{title: f"recipes/{name}.md"} for name, title, _, _ in scripts(root)]
