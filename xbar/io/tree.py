"""Any frozen module <-> a tree of arrays that describe themselves, as HDF5 and shards keep it.

| in Python | in the tree |
|---|---|
| module, dataclass | `{"class": "xbar.devices.mapping.Pairs", "g_plus": ...}`, a child a field |
| tuple, list, dict | `{"class": "tuple", "0": ..., "1": ...}` |
| array | `Field`: values, with unit, axes and meaning from the metadata of the module's field |
| number, word, None, tuple of these | by name in one text of JSON, "plain values" |
| key of JAX | `{"class": "key", "data": ..., "plain values": '{"impl": ...}'}` |
| function | `{"class": "function", "plain values": '{"name": ...}'}`, of `PURE` packages alone |

Stacked modules lead with a further axis in every array. No name of a field is "class" or "plain
values". Classes and functions are looked up by name among xbar's own; nothing is ever unpickled.
"""

import dataclasses
import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple, get_type_hints

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import AbstractArray, jaxtyped

from xbar.io.files import StoreError

CLASS, PLAIN = "class", "plain values"
PURE = ("xbar.devices.", "xbar.cells.", "xbar.activations.")
"""Where functions are of numbers alone, so that a file may name any of them."""


class Field(NamedTuple):
    """One array with what a reader needs to know of it.

    Args:
        values: the numbers.
        unit: SI unit, "1" for pure numbers, "" where nobody says.
        axes: one name per axis.
        about: what it is, in a sentence.
    """

    values: Any
    unit: str
    axes: tuple[str, ...]
    about: str


def encode(item: Any, lead: tuple[str, ...] = (), name: str = "it", about: Any = None) -> Any:
    """What a module, array or container is in a tree.

    Args:
        item: a module of xbar, an array, a key, or a tuple, list or dict of these.
        lead: names of the axes that a stack of modules leads with.
        name: of the item, for messages.
        about: metadata of the field that holds it, as `xbar.fields.described` gives it.

    Returns:
        A `Field`, or a dictionary.

    Raises:
        TypeError: something that is none of these, such as a function or another package's class.
    """
    about = about or {}
    if not isinstance(item, type) and hasattr(type(item), "__dataclass_fields__"):  # modules have
        children = {f.name: (getattr(item, f.name), f.metadata) for f in dataclasses.fields(item)}
        return {CLASS: _name_of(type(item), name)} | _children(children, lead, name)
    if isinstance(item, tuple | list) and not hasattr(item, "_fields"):
        children = {str(n): (child, about) for n, child in enumerate(item)}
        kind = "list" if isinstance(item, list) else "tuple"
        return {CLASS: kind} | _children(children, lead, name)
    if type(item) is dict:
        children = {str(key): (child, about) for key, child in item.items()}
        return {CLASS: "dict"} | _children(children, lead, name)
    if inspect.isfunction(item):
        full = f"{item.__module__}.{item.__qualname__}"
        if _function(full) is item:
            return {CLASS: "function", PLAIN: json.dumps({"name": full})}
    if isinstance(item, jax.Array) and jnp.issubdtype(item.dtype, jax.dtypes.prng_key):
        impl, data = str(jax.random.key_impl(item)), np.asarray(jax.random.key_data(item))
        axes = _axes(data.ndim, lead, (*about.get("axes", ()), "word"))
        return {CLASS: "key", PLAIN: json.dumps({"impl": impl}), "data": Field(data, "1", axes, "")}
    values = np.asarray(item) if isinstance(item, jax.Array | np.ndarray | np.generic) else None
    if values is None or values.dtype.kind not in "biufcU":
        got = type(item).__name__ if values is None else f"an array of {values.dtype}"
        raise TypeError(f"{name}: got {got}, needs modules of xbar, numbers, words or None")
    axes = _axes(values.ndim, lead, about.get("axes", ()))
    return Field(values, about.get("unit", ""), axes, about.get("about", ""))


def _children(
    items: Mapping[str, tuple[Any, Any]], lead: tuple[str, ...], name: str
) -> dict[str, Any]:
    plain, found = {}, {}
    for key, (child, about) in items.items():
        if key in (CLASS, PLAIN) or "/" in key:
            raise TypeError(f"{name}: got the name {key!r}, needs one without '/' that is not ours")
        if _is_plain(child):
            plain[key] = child
        else:
            found[key] = encode(child, lead, f"{name}.{key}", about)
    return ({PLAIN: json.dumps(plain)} if plain else {}) | found


def _is_plain(item: Any) -> bool:
    if type(item) is tuple:
        return all(_is_plain(part) for part in item)
    return item is None or type(item) in (bool, int, float, str)


def _axes(ndim: int, lead: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    """Names of an array's axes: those it leads with, then its own, as many as there are."""
    behind = ndim - len(lead)
    if behind <= 0:
        return lead[:ndim]
    if behind < len(own):
        return (*lead, *(f"axis_{n}" for n in range(behind)))
    return (*lead, *(f"batch_{n}" for n in range(behind - len(own))), *own)


def decode(tree: Any, place: str = "it") -> Any:
    """What `encode` took apart, with NumPy's arrays.

    Args:
        tree: nested dictionaries of arrays and words, as `read_results` gives them.
        place: where it was found, for messages.

    Returns:
        The module, or a dictionary of what is in the tree.

    Raises:
        StoreError: a class that xbar does not have, or not such fields.
    """
    if not isinstance(tree, Mapping):
        return tree
    children = {n: decode(item, f"{place}/{n}") for n, item in tree.items() if n != CLASS}
    if CLASS not in tree:
        return children
    name, words = tree[CLASS], children.pop(PLAIN, "{}")
    for child in children:
        if not isinstance(tree[child], Mapping | np.ndarray):
            raise StoreError(f"{place}/{child}: got a word, needs an array or a group")
    try:
        plain = {n: _tuples(value) for n, value in json.loads(words).items()}
    except (TypeError, ValueError, AttributeError, RecursionError):
        raise StoreError(f"{place}: got {str(words)[:40]!r}, needs plain values as JSON") from None
    children = plain | children
    if name in ("tuple", "list"):
        if set(children) != {str(n) for n in range(len(children))}:
            raise StoreError(f"{place}: got members {sorted(children)}, needs 0, 1, 2, ...")
        items = [children[str(n)] for n in range(len(children))]
        return items if name == "list" else tuple(items)
    if name == "dict":
        return children
    if name == "key":
        return _key(children, place)
    if name == "function":
        if (found := _function(str(children.get("name")))) is None:
            raise StoreError(f"{place}: got no function of xbar, needs one of {', '.join(PURE)}")
        return found
    return _module(class_of(str(name), place), children, place)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _key(children: Mapping[str, Any], place: str) -> Any:
    try:
        return jax.random.wrap_key_data(children["data"], impl=children["impl"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{place}: got no key of JAX ({error})") from None


def _module(kind: type, children: Mapping[str, Any], place: str) -> Any:
    """The module, as unflattening makes it, and whatever its class checks of a finished one."""
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(children) - set(known)):
        raise StoreError(f"{place}: got {unknown[0]!r}, which {kind.__name__} does not have")
    module = object.__new__(kind)
    for name, field in known.items():
        if name in children:
            value = children[name]
        elif field.default is not dataclasses.MISSING:
            value = field.default
        else:
            raise StoreError(f"{place} lacks {name!r}, which {kind.__name__} needs")
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biufc":
            raise StoreError(f"{place}/{name}: got text, needs numbers")
        object.__setattr__(module, name, value)
    try:
        for base in reversed(kind.__mro__):
            base.__dict__.get("__check_init__", lambda _: None)(module)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise StoreError(f"{place}: {error}") from error
    return module


def check_shapes(item: Any, place: str = "it") -> None:
    """Raise unless the arrays of a module, not of a stack, have the shapes that it is typed with.

    Raises:
        StoreError: another number of axes or kind of number, or two that do not fit each other.
    """
    if isinstance(item, tuple | list):
        for n, child in enumerate(item):
            check_shapes(child, f"{place}/{n}")
    if not isinstance(item, eqx.Module):
        return
    with jaxtyped("context"):
        for name, hint in _hints(type(item)).items():
            value = getattr(item, name)
            if not isinstance(hint, type) or not issubclass(hint, AbstractArray):
                check_shapes(value, f"{place}/{name}")
            elif not isinstance(value, hint):
                got = f"{getattr(value, 'dtype', type(value).__name__)} {np.shape(value)}"
                needs = f"{hint.__name__} that fits the rest"
                raise StoreError(f"{place}/{name}: got {got}, needs {needs}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def class_of(name: str, place: str = "it") -> type:
    """One of xbar's own modules by its full name.

    Raises:
        StoreError: there is none of that name.
    """
    found = _attribute(name)
    ours = inspect.isclass(found) and dataclasses.is_dataclass(found)
    if not ours or inspect.isabstract(found) or name.rpartition(".")[2].startswith("_"):
        raise StoreError(
            f"{place}: got a {name[:80]!r}, which this xbar does not have; read it with the xbar "
            "that wrote it"
        )
    return found


def _attribute(name: str) -> Any:
    """What a module of xbar defines under a name, None where it does not."""
    path, _, last = name.rpartition(".")
    # No module with an underscore: `xbar.__main__` would start the command line.
    if not path.startswith("xbar.") or not all(
        part.isidentifier() and part[0] != "_" for part in path.split(".")
    ):
        return None
    try:
        found = getattr(importlib.import_module(path), last, None)
    except ImportError:
        return None
    return found if getattr(found, "__module__", None) == path else None


def _function(name: str) -> Any:
    found = _attribute(name) if name.startswith(PURE) else None
    return found if inspect.isfunction(found) else None


def _name_of(kind: type, name: str) -> str:
    full = f"{kind.__module__}.{kind.__qualname__}"
    try:
        class_of(full)
    except StoreError:
        raise TypeError(f"{name}: got a {full}, needs one of xbar's own modules") from None
    return full


def describe(tree: Mapping[str, Any], known: Mapping[str, tuple[str, tuple[str, ...], str]]) -> Any:
    """The tree with what is known of its arrays; modules and fields describe themselves.

    Args:
        tree: nested dictionaries.
        known: unit, axes and meaning by a pattern of names, such as "maps/*/slope"; the first that
            fits counts.

    Raises:
        KeyError: nothing is known of an array.
    """

    def field(name: str, item: Any) -> Any:
        if not isinstance(item, np.ndarray | np.generic | jax.Array):
            return item
        pattern = next((p for p in known if fnmatchcase(name, p)), None)
        if pattern is None:
            raise KeyError(f"{name}: nothing is known of its unit, axes and meaning")
        return Field(item, *known[pattern])

    return nest({name: field(name, item) for name, item in flatten(tree)})


def flatten(tree: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, Any]]:
    """What is in a nested tree by names like "network/layers/0/pairs/g_plus"."""
    for name, item in tree.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{below}{name}/")
        else:
            yield f"{below}{name}", item


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The tree that `flatten` took apart."""
    tree: dict[str, Any] = {}
    for name, item in flat.items():
        *groups, last = name.split("/")
        group = tree
        for part in groups:
            group = group.setdefault(part, {})
        group[last] = item
    return tree
