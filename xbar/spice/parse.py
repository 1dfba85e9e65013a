r"""A SPICE netlist of resistors and voltage sources, read: hierarchy flattened, values in numbers.

The first line is the title, as in SPICE. Read are comments (`*`, `;`, `$`, `//`), continuations
(`+`), upper and lower case alike, suffixes of numbers (`T G MEG K M U N P F A MIL`, letters after
them are units: `1MEGohm` is 1e6, `1M` is 1e-3), `.param` and subcircuit parameters with `{...}` or
`'...'` around arithmetic, `.subckt` with any depth of instances. Analyses, options and `.control`
sections say nothing about the circuit and are passed over. Anything else in the circuit, and any
file that would have to be read besides, is refused by name.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# Statements that do not change the circuit.
PASSED = {
    *(".op", ".dc", ".tran", ".ac", ".noise", ".tf", ".sens", ".pz", ".disto", ".four"),
    *(".print", ".plot", ".save", ".probe", ".meas", ".measure", ".width", ".backanno"),
    *(".options", ".option", ".opt", ".temp", ".title", ".end", ".ic", ".nodeset", ".global"),
}
SUFFIXES = {
    "meg": 1e6,
    "mil": 25.4e-6,
    "t": 1e12,
    "g": 1e9,
    "k": 1e3,
    "m": 1e-3,
    "u": 1e-6,
    "n": 1e-9,
    "p": 1e-12,
    "f": 1e-15,
    "a": 1e-18,
}
GROUND = "0"
GROUNDS = {"0", "gnd", "gnd!", "vss!"}
MAX_DEPTH = 20


class NetlistError(ValueError):
    """A netlist that is not a crossbar of resistors and voltage sources; says at which element."""


class Element(NamedTuple):
    """A resistor or a voltage source of the flat circuit."""

    name: str  # with the instances it lies in, x1.r3
    kind: str  # "r" or "v"
    a: str
    b: str
    value: float  # [ohm] or [V]
    line: int  # of the file, from 1


class _Line(NamedTuple):
    number: int
    words: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.words)


class _Subcircuit(NamedTuple):
    pins: list[str]
    defaults: dict[str, str]
    lines: list[_Line]
    inner: "dict[str, _Subcircuit]"


def parse(text: str) -> list[Element]:
    """The flat circuit of a netlist.

    Args:
        text: the netlist; its first line is the title.

    Returns:
        Its resistors and voltage sources, in the order of the text; node 0 is ground.

    Raises:
        NetlistError: an element, a value or a statement that cannot be read.
    """
    body, subcircuits = _sections(_lines(text), {})
    out: list[Element] = []
    _flatten(body, subcircuits, "", {}, {}, out, 0)
    return out


def value(word: str, names: Mapping[str, float] | None = None, where: str = "value") -> float:
    """The number that a word stands for.

    Args:
        word: such as 4.7k, 1MEG, 0.5m, {2*r0} or 'r0'.
        names: parameters.
        where: for messages.

    Raises:
        NetlistError: not a number.
    """
    inner = word.strip()
    if inner[:1] in "{'" and inner[-1:] in "}'":
        return _arithmetic(inner[1:-1], names or {}, where)
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([a-z]*)", inner.lower())
    if found is None:
        if names and inner.lower() in names:
            return names[inner.lower()]
        raise NetlistError(f"{where}: got {word!r}, needs a number")
    suffix = next((s for s in SUFFIXES if found[2].startswith(s)), "")
    return float(found[1]) * SUFFIXES.get(suffix, 1.0)


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def _arithmetic(text: str, names: Mapping[str, float], where: str) -> float:
    """A formula of numbers, parameters, + - * / ** and parentheses."""
    # Numbers with suffixes become plain ones first.
    plain = re.sub(
        r"(?<![\w.])(\d+\.?\d*|\.\d+)(e[+-]?\d+)?([a-z]*)",
        lambda m: repr(value(m[0], None, where)),
        text.lower(),
    )

    def found(node: Any) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](found(node.left), found(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](found(node.operand))
        raise NetlistError(f"{where}: got {text!r}, needs numbers and known parameters")

    try:
        return found(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, OverflowError, RecursionError):
        raise NetlistError(f"{where}: got {text!r}, needs a formula with a value") from None


def _lines(text: str) -> list[_Line]:
    """Statements without comments, continuations joined, `.control` sections left out."""
    out: list[_Line] = []
    in_control = False
    for number, raw in enumerate(text.splitlines()[1:], start=2):
        line = re.split(r";|\s\$\s?|//", raw)[0].strip()
        if not line or line.startswith(("$", "*")):
            continue
        lower = line.lower()
        if lower.startswith((".control", ".endc")):
            in_control = lower.startswith(".control")
            continue
        if in_control:
            continue
        words = _words(line)
        if line.startswith("+"):
            if not out:
                raise NetlistError(f"line {number}: got a continuation, needs a line before it")
            more = _words(line[1:])
            out[-1] = _Line(out[-1].number, out[-1].words + more)
            continue
        out.append(_Line(number, words))
        if lower == ".end":
            break
    return out


def _words(line: str) -> list[str]:
    """Words, formulas in braces or quotes whole; `a = b` is `a=b`."""
    joined = re.sub(r"\s*=\s*", "=", line.lower())
    return re.findall(r"(?:[^\s{}'(),]*(?:\{[^}]*\}|'[^']*')|[^\s{}'(),]+)", joined)


def _sections(
    lines: list[_Line], outer: dict[str, _Subcircuit]
) -> tuple[list[_Line], dict[str, _Subcircuit]]:
    """Statements outside of subcircuits, and the subcircuits."""
    body: list[_Line] = []
    found = dict(outer)
    k = 0
    while k < len(lines):
        line = lines[k]
        if line.words[0] == ".subckt":
            depth, end = 1, k + 1
            while end < len(lines) and depth:
                depth += {".subckt": 1, ".ends": -1}.get(lines[end].words[0], 0)
                end += 1
            if depth:
                raise NetlistError(f"line {line.number}: got .subckt without .ends, needs its end")
            if len(line.words) < 2:
                raise NetlistError(f"line {line.number}: got .subckt without a name, needs one")
            words = [w for w in line.words[2:] if w != "params:"]
            inside, inner = _sections(lines[k + 1 : end - 1], {})
            pins = [w for w in words if "=" not in w]
            defaults = dict(w.split("=", 1) for w in words if "=" in w)
            found[line.words[1]] = _Subcircuit(pins, defaults, inside, inner)
            k = end
            continue
        body.append(line)
        k += 1
    return body, found


def _flatten(
    lines: list[_Line],
    subcircuits: dict[str, _Subcircuit],
    prefix: str,
    nodes: Mapping[str, str],
    names: Mapping[str, float],
    out: list[Element],
    depth: int,
) -> None:
    """Append the elements of one level, instances replaced by what they hold."""
    names = dict(names)
    for line in lines:
        if line.words[0] in (".param", ".params"):
            for word in line.words[1:]:
                name, _, text = word.partition("=")
                names[name] = value(text, names, f"line {line.number}, .param {name}")

    def node(word: str) -> str:
        if word in GROUNDS:
            return GROUND
        return nodes.get(word, prefix + word)

    for line in lines:
        name, *words = line.words
        where = f"line {line.number}, {prefix}{name}"
        if name.startswith("."):
            _statement(name, where)
        elif name[0] == "x":
            if depth >= MAX_DEPTH:
                raise NetlistError(f"{where}: got more than {MAX_DEPTH} levels of instances")
            plain = [w for w in words if "=" not in w and w != "params:"]
            given = dict(w.split("=", 1) for w in words if "=" in w)
            if not plain or plain[-1] not in subcircuits:
                kind = plain[-1] if plain else "nothing"
                raise NetlistError(f"{where}: got subcircuit {kind!r}, needs one of this file")
            sub = subcircuits[plain[-1]]
            if len(plain) - 1 != len(sub.pins):
                raise NetlistError(
                    f"{where}: got {len(plain) - 1} nodes, needs {len(sub.pins)} of {plain[-1]!r}"
                )
            inside = {p: node(w) for p, w in zip(sub.pins, plain[:-1], strict=True)}
            own = dict(names)
            for key, text in sub.defaults.items():
                own[key] = value(text, own, f"{where}, {key}")
            for key, text in given.items():
                own[key] = value(text, names, f"{where}, {key}")
            known = {**subcircuits, **sub.inner}
            _flatten(sub.lines, known, f"{prefix}{name}.", inside, own, out, depth + 1)
        elif name[0] in "rv":
            if len(words) < 3 and not (name[0] == "v" and len(words) == 2):
                raise NetlistError(f"{where}: got {line.text!r}, needs two nodes and a value")
            number = (_ohms if name[0] == "r" else _volts)(words[2:], names, where)
            a, b = (node(word) for word in words[:2])
            out.append(Element(prefix + name, name[0], a, b, number, line.number))
        else:
            raise NetlistError(
                f"{where}: got element {name!r}, needs resistors (R) and voltage sources (V) only"
            )


def _statement(name: str, where: str) -> None:
    if name in (".include", ".inc", ".lib"):
        raise NetlistError(f"{where}: got another file, needs the circuit in one file")
    if name in (".param", ".params", ".model") or name in PASSED:
        return
    raise NetlistError(f"{where}: got a statement that is not known here")


def _ohms(words: list[str], names: Mapping[str, float], where: str) -> float:
    """Resistance, by position or as r= or resistance=."""
    options = dict(w.split("=", 1) for w in words if "=" in w)
    plain = [w for w in words if "=" not in w]
    text = options.get("r", options.get("resistance"))
    if text is None:
        if not plain:
            raise NetlistError(f"{where}: got no resistance, needs one [ohm]")
        text = plain[0]
    ohms = value(text, names, where)
    if not 0 <= ohms < float("inf"):
        raise NetlistError(f"{where}: got {ohms} ohm, needs a finite resistance >= 0")
    return ohms


def _volts(words: list[str], names: Mapping[str, float], where: str) -> float:
    """Constant voltage; a small signal (ac) beside it says nothing about the operating point."""
    if "ac" in words:
        words = words[: words.index("ac")]
    words = [w for w in words if w != "dc"]
    if not words:
        return 0.0
    if len(words) > 1 or not re.match(r"[\d.+'{-]|\w+$", words[0]):
        raise NetlistError(f"{where}: got {' '.join(words)!r}, needs one constant voltage [V]")
    return value(words[0].removeprefix("dc="), names, where)
