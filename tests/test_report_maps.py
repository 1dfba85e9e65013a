"""Maps that answer to the mouse: what the page holds is what was given; a browser reads it."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from jinja2 import Environment, PackageLoader

from xbar.run.reports.page import MOST, CellMap, as_json

G = np.array([[1.23456, -np.nan], [1e-9, 3e4], [0.0, -7.0]])
MAPS = [CellMap("layer 0", {"a [V]": G, "b": G + 1}), CellMap("</script>", {"a [V]": G, "b": G})]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def test_numbers_keep_three_digits_and_nan_is_nothing():
    first = json.loads(as_json(MAPS))[0]
    assert (first["rows"], first["columns"]) == (3, 2)
    assert first["quantities"]["a [V]"] == [1.23, None, 1e-9, 3e4, 0.0, -7.0]


def test_no_name_ends_the_script():
    assert "</script" not in as_json(MAPS)
    assert json.loads(as_json(MAPS))[1]["title"] == "</script>"


def test_maps_past_the_limit_are_left_out_whole():
    large = np.zeros((1, MOST - 1))
    assert len(json.loads(as_json([CellMap("a", {"x": large}), CellMap("b", {"x": G})]))) == 1


def page(tmp_path: Path, after: str = "") -> Path:
    """A page with the maps, and a script that runs behind theirs."""
    environment = Environment(loader=PackageLoader("xbar.run.reports"), autoescape=True)
    text = '{% extends "base.html.j2" %}{% from "maps.html.j2" import cell_maps %}'
    text += "{% block body %}{{ cell_maps(data) }}<script>{{ after|safe }}</script>{% endblock %}"
    path = tmp_path / "page.html"
    rendered = environment.from_string(text).render(data=as_json(MAPS), after=after)
    path.write_text(rendered, encoding="utf-8")
    return path


def test_the_page_fetches_nothing(tmp_path):
    assert not re.search(r"(src|href)=|https?://|@import|fetch\(", page(tmp_path).read_text())


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium")
def test_a_browser_says_which_cell_is_under_the_pointer(tmp_path):
    after = """
    const canvas = document.querySelector("canvas.cells"), box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new MouseEvent("mousemove", {
      clientX: box.left + 0.75 * box.width, clientY: box.top + 0.5 * box.height}));
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command = [browser, *flags, f"--user-data-dir={tmp_path}", page(tmp_path, after).as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    said = html.unescape(re.search(r'class="said">([^<]*)<', dumped)[1])
    assert said == "layer 0, word line 1, bit line 1 (minus): a [V] 30000; b 30000"
    assert dumped.count("<canvas") == 2
    scale = re.findall(
        r'class="small">([^<]*)<span class="bar" style="background[^>]*></span>([^<]*)', dumped
    )
    assert scale[0] == ("layer 0, a [V]: -3.00e+4 ", " 3.00e+4; magenta: not known")
