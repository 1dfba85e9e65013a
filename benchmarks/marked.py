"""What a script writes into a page between two lines that mark the place."""

import shutil
from pathlib import Path


def marked(text, name, content):
    """`text` with `content` between `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"got no lines {begin} and {end}, needs both")
    return f"{before}{begin}\n{content}\n{end}{after}"


def put(readme: Path, text: str, figure: Path, source: Path):
    """Write the text, and copy its figure to where it is below the text's folder."""
    target = readme.parent / figure
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    readme.write_text(text, encoding="utf-8")
