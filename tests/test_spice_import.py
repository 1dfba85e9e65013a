"""Netlists of any writing become arrays, or a sentence says at which element they are none."""

import numpy as np
import pytest
from line_cases import KINDS, exact, random_case
from typer.testing import CliRunner

import xbar as xb
from xbar.spice import array_netlist
from xbar.spice.importing import netlist_as_array, read_netlist
from xbar.spice.parse import NetlistError, parse, value
from xbar.spice.wiring import wired_netlist

SOLVER = xb.CG(rtol=1e-12)


def currents(found) -> np.ndarray:
    return np.asarray(xb.solve(found.array, found.bias, SOLVER).i_out)


# Uniform wires, a continuation, comments of every kind, M for milli and MEG for a million.
HAND_WRITTEN = """a 2x3 array, written by hand
* sources
Vrow1 a0 0 DC 0.2   ; the first row
VROW2 b0 GND 200m   $ and the second
+
R1 a0 a1 2.5
R2 a1 a2 2.5
R3 a2 a3 2.5
r4 b0 b1 2500m
R5 b1 b2 2.5ohm
R6 b2 b3
+ 2.5
* cells
Rc11 a1 p1 10k
Rc12 a2 q1 1MEG
Rc13 a3 s1 1e5
Rc21 b1 p2 0.05Meg
Rc22 b2 q2 20kOhm
Rc23 b3 s2 47.5k   // the last
* bit lines to ground through the amplifiers
Rp p1 p2 1
Rq q1 q2 1
Rs s1 s2 1
Rpa p2 0 50
Rqa q2 gnd 50
Rsa s2 0 50
.op
.control
run
print all
.endc
.end
"""

# A cell is a subcircuit, a row one of cells; parameters and formulas; lines driven from the right.
HIERARCHICAL = """* crossbar with hierarchy
.param rw=2 rb={rw/2} ron=10k
.subckt cell wl wr bt bb params: r=1k
Rw wr wl 'rw'
Rb bt bb {rb}
Rm wl bt {r}
.ends cell
.subckt row w p0 q0 p1 q1 ra=ron rb0=1Meg
X2 n1 w q0 q1 cell r={rb0}
X1 n0 n1 p0 p1 cell r={ra}
.ends
V1 in1 0 0.1
V2 in2 0 0.3
X1 in1 p0 q0 p1 q1 row
X2 in2 p1 q1 p2 q2 row ra={2*ron} rb0=30k
VP p2 0 0
VQ q2 0 dc 0
.end
"""

# No wires at all, ammeters of 0 V in series, odd names, the outputs' sources first.
IDEAL = """ideal crossbar
Vam1 sum1 0 0
Vam2 sum2 0 0
Rshort out_b sum2 0
Vammeter out_a sum1 0
Rx in_x out_a 4.7k
Rz in_x out_b 2MEG
Ry in_y out_a 100k
Rt in_y out_b 3.3k
VX in_x 0 0.5
VY in_y 0 -0.25
"""


def test_a_hand_written_netlist():
    found = netlist_as_array(HAND_WRITTEN)
    expected = xb.Crossbar(
        1 / np.array([[1e4, 1e6, 1e5], [5e4, 2e4, 4.75e4]]), xb.Wires(2.5, 1.0, 0.0, 49.0)
    )
    assert found.array.g.shape == (2, 3)
    np.testing.assert_allclose(found.array.g, expected.g, rtol=1e-15)
    right = np.asarray(xb.solve(expected, np.full(2, 0.2), SOLVER).i_out)
    np.testing.assert_allclose(currents(found), right, rtol=1e-11)
    assert found.nodes["a2"] == ("word", 0, 1)
    assert found.nodes["s2"] == ("bit", 1, 2)
    assert found.cells[1, 2] == "rc23"


def test_hierarchy_parameters_and_lines_driven_from_the_right():
    """Seen from the drivers on, column q comes first."""
    found = netlist_as_array(HIERARCHICAL)
    g = 1 / np.array([[1e6, 1e4], [3e4, 2e4]])
    expected = xb.Crossbar(g, xb.Wires(2.0, 1.0))
    np.testing.assert_allclose(found.array.g, g, rtol=1e-15)
    right = np.asarray(xb.solve(expected, np.array([0.1, 0.3]), SOLVER).i_out)
    np.testing.assert_allclose(currents(found), right, rtol=1e-11)
    assert found.cells[1, 0] == "x2.x2.rm"


def test_lines_without_wires():
    found = netlist_as_array(IDEAL)
    by_name = {
        name: 1 / float(r) for name, r in (("rx", 4.7e3), ("rz", 2e6), ("ry", 1e5), ("rt", 3.3e3))
    }
    for (i, j), name in found.cells.items():
        np.testing.assert_allclose(found.array.g[i, j], by_name[name], rtol=1e-15)
    volts = np.asarray(found.bias.word)
    assert sorted(volts) == [-0.25, 0.5]
    np.testing.assert_allclose(currents(found), np.asarray(found.array.g).T @ volts, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_round_trip_of_a_plain_array(seed):
    """Out and in again: the same cells, wires and drivers, not just the same currents."""
    case = random_case(np.random.default_rng(seed), 3, 4, "mild", KINDS["plain"])
    case = case._replace(bit=np.zeros(4), g=np.maximum(case.g, 1e-7))
    for name in ("word_line", "bit_line", "source", "sense"):
        case = case._replace(**{name: np.maximum(getattr(case, name), 0.01)})
    found = netlist_as_array(array_netlist(case.array(), case.word))
    for name in ("g", "word_line", "bit_line", "source", "sense"):
        ours = found.array.g if name == "g" else getattr(found.array.wires, name)
        np.testing.assert_allclose(ours, getattr(case, name), rtol=1e-14, err_msg=name)
    np.testing.assert_array_equal(found.bias.word, case.word)
    assert found.nodes["w_1_2"] == ("word", 1, 2)


@pytest.mark.parametrize("kind", ["floats", "both ends", "opens"])
def test_round_trip_of_an_array_with_any_lines(kind):
    """Broken lines come back as lines of their own: the terminals' currents are the same."""
    case = random_case(np.random.default_rng(11), 3, 4, "mild", KINDS[kind])
    case = case._replace(g=np.maximum(case.g, 1e-7))
    array = case.array(max_open=7) if case.word_open is not None else case.array()
    found = netlist_as_array(wired_netlist(array, case.bias()))
    sol, right = xb.solve(found.array, found.bias, SOLVER), exact(case)
    ours = np.concatenate([np.ravel(sol.i_word), np.ravel(sol.i_out)])
    theirs = np.concatenate([right.i_word, right.i_out])
    ours, theirs = (np.sort(np.abs(x[np.abs(x) > 1e-9 * right.largest])) for x in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * right.largest)
    assert abs(float(sol.p_total) - right.p_total) <= 1e-10 * right.largest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t\nC1 a 0 1p\nR1 a 0 1k\n", "line 2, c1: got element 'c1'"),
        ("t\nR1 a b\n", "line 2, r1: got 'r1 a b'"),
        ("t\nR1 a b 1x0\n", "line 2, r1: got '1x0', needs a number"),
        ("t\nR1 a b -5\n", "needs a finite resistance >= 0"),
        ("t\nV1 a 0 SIN(0 1 1k)\nR1 a 0 1k\n", "line 2, v1: got 'sin 0 1 1k'"),
        ("t\nV1 a b 1\nR1 a b 1k\n", "v1: got 1.0 V between a and b"),
        ("t\nV1 a 0 1\nV2 a 0 2\nR1 a 0 1k\n", "v2: got 2.0 V at node a"),
        ("t\nX1 a b cell\n", "line 2, x1: got subcircuit 'cell'"),
        ("t\n.subckt c a b\nR1 a b 1\n.ends\nX1 a c\n", "x1: got 1 nodes, needs 2"),
        ("t\n.subckt c a b\nR1 a b 1\n", "without .ends"),
        ("t\n.subckt c a b\nX1 a b c\n.ends\nX1 a b c\n", "levels of instances"),
        ("t\n.include cells.sp\n", "got another file"),
        ("t\n.verilog\n", "got a statement that is not known"),
        ("t\nV1 a 0 1\n", "got no resistor"),
        ("t\nV1 a 0 1\nR1 a b 1k\nR2 b c 1k\nR3 c a 1k\n", "r[123]|source"),
        (IDEAL + "Rbad in_x in_y 1k\n", "rbad|line"),
        (HAND_WRITTEN.replace(".op", "Rbad a1 b2 2.5"), "rbad: got a branch of a line"),
        (HAND_WRITTEN.replace(".op", "Rbad a1 q1 9k"), "rbad"),
    ],
)
def test_what_is_no_crossbar_is_named(text, words):
    with pytest.raises(NetlistError, match=words):
        netlist_as_array(text)


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("1m", 1e-3),
        ("1M", 1e-3),
        ("1MEG", 1e6),
        ("4.7kOhm", 4.7e3),
        ("-.5", -0.5),
        ("1e-3k", 1.0),
        ("2mil", 50.8e-6),
        ("3V", 3.0),
        ("10pF", 1e-11),
        ("{2*(1k+1)}", 2002.0),
    ],
)
def test_numbers(word, number):
    assert value(word) == pytest.approx(number, rel=1e-15)


def test_the_first_line_is_the_title():
    assert [e.name for e in parse("R0 a b 1\nR1 a b 1\n")] == ["r1"]


def test_the_command(tmp_path):
    from xbar.cli import app

    path = tmp_path / "array.sp"
    path.write_text(HAND_WRITTEN)
    assert read_netlist(path).array.g.shape == (2, 3)
    shown = CliRunner().invoke(app, ["spice", "import", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "2 x 3" in shown.output
    path.write_text("t\nC1 a 0 1p\n")
    refused = CliRunner().invoke(app, ["spice", "import", str(path)])
    assert refused.exit_code != 0
