"""The recipes of examples/ and the code of the site's first pages run as they stand there."""

import re
import runpy
import sys
from pathlib import Path

import jax
import pytest

pytestmark = pytest.mark.optimized

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PAGES = ("start", "devices", "spice")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_recipe_runs_and_draws_its_figure(name, tmp_path, monkeypatch, no_shape_checks, capsys):
    figure = tmp_path / f"{name}.svg"
    monkeypatch.setattr(sys, "argv", [name, str(figure), str(tmp_path)])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out  # it says what it found
    shown = (ROOT / "docs" / "figures" / figure.name).is_file()
    assert figure.is_file() == shown  # the site has the figures that there are


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, no_shape_checks):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")))
    assert code
    exec(compile(code, page, "exec"), {"__name__": page})  # the repository's own text
    assert jax.config.jax_enable_x64


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_recipe_is_short_and_says_what_it_is(name):
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    title, blank = text.splitlines()[:2]
    assert title.endswith(".")
    assert not blank
    assert len(text.splitlines()) <= 80


def test_what_users_copy_takes_public_names_alone():
    shown = [*ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.py"), *ROOT.glob("notebooks/*.ipynb")]
    deep = re.compile(r"^\W*(?:from|import) (xbar(?:\.\w+){2,})", re.MULTILINE)
    taken = {path.name: deep.findall(path.read_text(encoding="utf-8")) for path in shown}
    del taken["paper.md"]  # the study's own code, which is not for others to build on
    assert {name: found for name, found in taken.items() if found} == {}


def test_the_readme_is_short_and_shows_code_at_once():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    assert text.splitlines().index("```python") < 40
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (ROOT / target).exists(), target
