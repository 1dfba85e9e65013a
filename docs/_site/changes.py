"""The changelog as a page."""


def pages(root):
    """Source URI and Markdown of the page."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    return {"changes.md": text}
