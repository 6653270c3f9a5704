"""Imitate CuPy: an array module whose arrays refuse implicit conversion to NumPy.

Code that runs on proxy arrays does not call NumPy by mistake.
"""

from typing import Any

import numpy as np

from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.sampling import Tables


def unwrap(value: Any) -> Any:
    if isinstance(value, ProxyArray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array was handed to another array module")
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(each) for each in value)
    return value


def wrap(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(wrap(each) for each in value)
    return ProxyArray(value) if isinstance(value, (np.ndarray, np.generic)) else value


class ProxyArray:
    __array_ufunc__ = None  # so that NumPy scalars use the reflected operators of this class
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: Any) -> None:
        self.host = np.asarray(host)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to NumPy")

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.host, name)
        if not callable(value) or isinstance(value, np.dtype):
            return value if name in ("shape", "dtype", "ndim", "size") else wrap(value)
        return lambda *args, **kwargs: wrap(value(*unwrap(args), **kwargs))

    def __len__(self) -> int:
        return len(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __index__(self) -> int:
        return int(self.host)

    def __float__(self) -> float:
        return float(self.host)

    def __iter__(self) -> Any:
        return (wrap(each) for each in self.host)

    def __getitem__(self, key: Any) -> Any:
        return wrap(self.host[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[unwrap(key)] = unwrap(value)


def _operator(name: str) -> Any:
    def operate(self: ProxyArray, *others: Any) -> Any:
        return wrap(getattr(self.host, name)(*unwrap(others)))

    return operate


for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(ProxyArray, _form, _operator(_form))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "invert", "abs"):
    setattr(ProxyArray, f"__{_name}__", _operator(f"__{_name}__"))


class _Function:
    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self.function(*unwrap(args), **kwargs))

    def at(self, array: ProxyArray, ids: Any, values: Any) -> None:
        self.function.at(array.host, unwrap(ids), unwrap(values))


class ProxyModule:
    """Module to pass as xp instead of numpy or cupy."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        return value if isinstance(value, type) else _Function(value)

    def asarray(self, value: Any) -> ProxyArray:
        return value if isinstance(value, ProxyArray) else ProxyArray(value)


xp = ProxyModule()


def proxied(tables: Tables, *, streamed: bool) -> Tables:
    """Return tables with proxy arrays; the tokens stay in NumPy if streamed."""
    tokens = tables.tokens if streamed else xp.asarray(tables.tokens)
    bags = Bags(*map(xp.asarray, tables.bags)) if tables.bags else None
    return Tables(tokens, tables.sentences, xp.asarray(tables.keep_V), xp.asarray(tables.alias_V2), bags)
