"""Put a candidate's code into modules that are already imported: no second import, every reference sees it.

Functions keep their identity and get the candidate's code object; what a module or class body computes anew (plain
constants, new names, defaults) is taken from one execution of the new source beside the old one.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import gc
import sys
import types
from typing import Any, Tuple

Value = Any  # values of the code under test: anything at all
Names = Tuple[str, ...]

_PLAIN = (int, float, str, bytes, bool, type(None), list, tuple, dict, set, frozenset)


class TransplantError(Exception):
    """The candidate changes something that can't be put into a running program."""


def compiled(source: bytes, filename: str) -> types.CodeType:
    """The module's code object."""
    return compile(source, filename, "exec", dont_inherit=True)


def tree(code: types.CodeType) -> dict[Names, types.CodeType]:
    """Every code object of a module by the names on the way to it; equal names are told apart by a number."""
    found: dict[Names, types.CodeType] = {(): code}
    _grow(code, (), found)
    return found


def _grow(code: types.CodeType, names: Names, found: dict[Names, types.CodeType]) -> None:
    taken: dict[str, int] = {}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            count = taken.get(constant.co_name, 0)
            taken[constant.co_name] = count + 1
            path = (*names, constant.co_name if not count else f"{constant.co_name}#{count}")
            found[path] = constant
            _grow(constant, path, found)


def fingerprint(code: types.CodeType) -> tuple[Value, ...]:
    """What a code object does, without line numbers and without the code objects inside it."""
    constants = tuple(
        (type(item).__name__, repr(item)) if not isinstance(item, types.CodeType) else ("code", item.co_name)
        for item in code.co_consts
    )
    return (code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)


def changed(old: dict[Names, types.CodeType], new: dict[Names, types.CodeType]) -> set[Names]:
    """The code objects that a candidate edits, adds or removes."""
    return {
        names
        for names in set(old) | set(new)
        if names not in old or names not in new or fingerprint(old[names]) != fingerprint(new[names])
    }


def functions_of(filename: str) -> dict[tuple[str, int], list[types.FunctionType]]:
    """All living functions compiled from one file, by name and first line."""
    found: dict[tuple[str, int], list[types.FunctionType]] = {}
    for item in gc.get_objects():
        if type(item) is types.FunctionType and item.__code__.co_filename == filename:
            found.setdefault((item.__code__.co_name, item.__code__.co_firstlineno), []).append(item)
    return found


class Module:
    """One imported source file of the base: its code objects and the functions that live from them."""

    def __init__(self, module: types.ModuleType, filename: str, source: bytes) -> None:
        """Find the functions once; candidates come and go in forked children."""
        self.module = module
        self.filename = filename
        self.codes = tree(compiled(source, filename))
        self.living = functions_of(filename)
        self.source = source

    def edited(self, source: bytes) -> set[Names]:
        """The names of the code objects that another source of this file changes; raises SyntaxError."""
        return changed(self.codes, tree(compiled(source, self.filename)))

    def install(self, source: bytes) -> None:
        """Make the running module behave as the other source; raises TransplantError where that can't be done."""
        new = tree(compiled(source, self.filename))
        differing = changed(self.codes, new)
        around = {names[:size] for names in differing for size in range(1, len(names) + 1)}
        for names in sorted(around):
            if names in self.codes and names in new and _function(self.codes[names]):
                self._swap(self.codes[names], new[names])
        bodies = any(names in self.codes and not _function(self.codes[names]) for names in differing)
        if bodies or _defaults_may_differ(self.codes[()], new[()]):
            self._rerun(new[()])

    def _swap(self, old: types.CodeType, new: types.CodeType) -> None:
        for function in self.living.get((old.co_name, old.co_firstlineno), ()):
            try:
                function.__code__ = new
            except ValueError as error:
                if not _closes_over_itself(function):
                    raise TransplantError(str(error)) from error

    def _rerun(self, new: types.CodeType) -> None:
        before = self._namespace(compiled(self.source, self.filename))
        after = self._namespace(new)
        self._carry(before, after, self.module.__dict__)

    def _namespace(self, code: types.CodeType) -> dict[str, Value]:
        space = {
            name: self.module.__dict__[name]
            for name in ("__name__", "__package__", "__file__", "__spec__", "__loader__", "__path__", "__builtins__")
            if name in self.module.__dict__
        }
        exec(code, space)  # noqa: S102 (this is the sandboxed program itself)
        return space

    def _carry(self, before: dict[str, Value], after: dict[str, Value], living: dict[str, Value]) -> None:
        for name in sorted(after):
            if name.startswith("__") and name.endswith("__"):
                continue
            old, new, here = before.get(name), after[name], living.get(name)
            if name not in before:
                living[name] = self._own(new)
            elif isinstance(new, _PLAIN):
                if type(old) is not type(new) or old != new:
                    living[name] = new
            else:
                self._carry_code(old, new, here)

    def _carry_code(self, old: Value, new: Value, here: Value) -> None:
        new, old, here = _bare(new), _bare(old), _bare(here)
        if isinstance(new, types.FunctionType) and isinstance(here, types.FunctionType):
            if isinstance(old, types.FunctionType) and repr(old.__defaults__) != repr(new.__defaults__):
                here.__defaults__ = new.__defaults__
            here.__kwdefaults__ = new.__kwdefaults__
        elif isinstance(new, type) and isinstance(here, type) and isinstance(old, type):
            if [base.__name__ for base in new.__mro__] != [base.__name__ for base in here.__mro__]:
                raise TransplantError("bases")
            if getattr(here, "__module__", None) == self.module.__name__:
                self._carry_class(old, new, here)
        elif type(new) is not type(here):
            raise TransplantError("replaced")

    def _carry_class(self, old: type, new: type, here: type) -> None:
        for name, item in sorted(new.__dict__.items()):
            if name in ("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__firstlineno__"):
                continue
            if name not in old.__dict__:
                setattr(here, name, self._own(item))
            elif isinstance(item, _PLAIN):
                if item != old.__dict__[name]:
                    setattr(here, name, item)
            elif type(item) is not type(old.__dict__[name]):
                setattr(here, name, self._own(item))
            else:
                self._carry_code(old.__dict__[name], item, here.__dict__.get(name))

    def _own(self, value: Value) -> Value:
        if isinstance(value, types.FunctionType) and value.__globals__ is not self.module.__dict__:
            made = types.FunctionType(
                value.__code__, self.module.__dict__, value.__name__, value.__defaults__, value.__closure__
            )
            made.__kwdefaults__ = value.__kwdefaults__
            return made
        return value


def _bare(value: Value) -> Value:
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return value


def _closes_over_itself(function: types.FunctionType) -> bool:
    """Whether it is an inner function that calls itself: it outlives its call by that, but nobody calls it any more."""
    for cell in function.__closure__ or ():
        try:
            if cell.cell_contents is function:
                return True
        except ValueError:  # not set yet
            continue
    return False


def _function(code: types.CodeType) -> bool:
    return bool(code.co_flags & 0x01)  # CO_OPTIMIZED: bodies of functions, not of modules or classes


def _defaults_may_differ(old: types.CodeType, new: types.CodeType) -> bool:
    return fingerprint(old) != fingerprint(new)


def loaded(path: str) -> types.ModuleType | None:
    """The imported module whose source lies at an absolute path."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == path:
            return module
    return None
