"""What MkDocs adds to docs/*.md: the reference, the recipes, the measurements, and equations.

Pages link to files of the repository as they do there (`../benchmarks/results/wires.md`); the files
so linked come along. Equations, `$...$` and `$$...$$`, become MathML, which browsers draw by
themselves.
"""

import re
import sys
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
import changes  # beside this file
import nav
import recipes
import reference

import notebooks

LINK = re.compile(
    r"(\]\(|src=\")(?:\.\./)+((?:benchmarks|examples|notebooks|xbar|tests)[^)#\"\s]*)"
)
# A page of the tree beside the linking one; it may not be written yet, and is then no link.
PAGE = re.compile(r"\[([^]]*)\]\((" + "|".join(sorted(nav.known())) + r")(?:#[^)]*)?\)")
FETCHED = re.compile(
    r"<(?:script|img|iframe|link rel=\"stylesheet\")[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*"
)
ELSEWHERE = "https://unpkg.com/iframe-worker/shim"
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
BLOCK = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\w$\\])\$([^$\n]+?)\$(?![\w$])")


def on_config(config):
    """Make the tree of pages of those that exist."""
    config.nav = nav.tree(ROOT / "docs")
    return config


def on_files(files, config):
    """Add the pages that are made here, and the files that pages link to."""
    for made in (reference, recipes, notebooks, changes):
        for uri, content in made.pages(ROOT).items():
            files.append(File.generated(config, uri, content=content))
    texts = {f.src_uri: f.content_string for f in files.documentation_pages()}
    found, todo = set(), list(texts.items())
    while todo:
        uri, text = todo.pop()
        for path in _linked(uri, text):
            if path in found or not (ROOT / path).is_file():
                continue
            found.add(path)
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                todo.append((path, (ROOT / path).read_text(encoding="utf-8")))
    return files


def _linked(uri, text):
    """Files of the repository that a page links to, as paths from its root."""
    yield from (match[2] for match in LINK.finditer(text))
    if uri.startswith("benchmarks/"):
        for match in re.finditer(r"\]\(([^):#]+)\)", text):
            yield str((Path(uri).parent / match[1]).as_posix())


def on_page_markdown(markdown, page, config, files):
    """Point links at what came along, and write equations as MathML."""
    up = "../" * (len(Path(page.file.src_uri).parts) - 1)
    markdown = LINK.sub(lambda m: f"{m[1]}{up}{m[2]}", markdown)
    markdown = PAGE.sub(lambda m: m[0] if files.get_file_from_path(m[2]) else m[1], markdown)
    parts = CODE.split(markdown)
    parts[::2] = [_mathml(part) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output, page, config):
    """Nothing is fetched from elsewhere, also not what the search needs without a server."""
    return output.replace(ELSEWHERE, "../" * page.url.count("/") + "_js/search_from_file.js")


def on_post_template(output_content, template_name, config):
    """The same for the page of what is not found."""
    return output_content.replace(ELSEWHERE, "_js/search_from_file.js")


def on_post_build(config):
    """Hold that to it: a page that would fetch something fails the build."""
    for path in Path(config.site_dir).rglob("*.html"):
        if found := FETCHED.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.name}: got {found[0]}, needs a file of the site")


def _mathml(text):
    text = BLOCK.sub(lambda m: convert(m[1].strip(), display="block"), text)
    # In a span, since Markdown takes a <math> at the start of a line for a block.
    return INLINE.sub(lambda m: f"<span>{convert(m[1].strip())}</span>", text)
