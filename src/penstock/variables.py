"""Settings declared as typed attributes of a class and read from environment variables, checked all at once.

    class Settings(Variables, prefix="PENSTOCK_"):
        keep_days: float = Field(90, ge=0, description="…")     # PENSTOCK_KEEP_DAYS

Small on purpose: every task waits for it, and a library that does the same takes longer to import than a sync with
nothing to do takes to run. Types are str, bool, int, float and Path. Refused: a value that is not of its type or out of its
bounds, an argument that is no setting. A field with repr=False is a secret: no message repeats what it holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

from penstock.errors import SettingsError

_YES = frozenset({"1", "true", "yes", "on", "t", "y"})
_NO = frozenset({"0", "false", "no", "off", "f", "n", ""})


@dataclass(frozen=True)
class Variable:
    """One setting. `variable` is the environment's name of it; the bounds are inclusive but for `gt`."""

    default: Any
    description: str
    variable: str = ""
    repr: bool = True
    ge: float | None = None
    gt: float | None = None
    le: float | None = None


def Field(  # noqa: N802 - reads as a declaration, as in the libraries everyone knows
    default: Any,
    *,
    description: str,
    validation_alias: str = "",
    repr: bool = True,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> Any:
    """Declare a setting; `validation_alias` is its variable where that is not the prefix and its name."""
    return Variable(default, description, validation_alias, repr, ge, gt, le)


class Variables:
    """What settings inherit: `fields` tells how they were declared."""

    fields: ClassVar[dict[str, Variable]] = {}
    _types: ClassVar[dict[str, type]] = {}

    def __init_subclass__(cls, *, prefix: str) -> None:
        types = get_type_hints(cls)
        found = {name: value for name, value in vars(cls).items() if isinstance(value, Variable)}
        cls._types = {name: types[name] for name in found}
        cls.fields = {
            name: value if value.variable else _named(value, f"{prefix}{name}".upper())
            for name, value in found.items()
        }

    def __init__(self, environ: Mapping[str, str] | None = None, /, **given: object) -> None:
        """Read the environment; what is given by name wins.

        Raises: SettingsError naming each variable that cannot be used.
        """
        environ = os.environ if environ is None else environ
        faults = [f"'{name}' is no setting" for name in given if name not in self.fields]
        for name, field in self.fields.items():
            value = given.get(name, environ.get(field.variable, field.default))
            try:
                setattr(self, name, _typed(value, self._types[name], field))
            except ValueError as error:
                faults.append(f"{field.variable}: {error}")
        if faults:
            raise SettingsError(
                f"Settings cannot be used: {'; '.join(faults)}.",
                hint="docs/reference/settings.md lists them.",
            )

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name, field in self.fields.items() if field.repr)
        return f"{type(self).__name__}({', '.join(shown)})"


def _named(field: Variable, variable: str) -> Variable:
    return Variable(field.default, field.description, variable, field.repr, field.ge, field.gt, field.le)


def _typed(value: object, kind: type, field: Variable) -> object:
    """Return the value as its type; raises ValueError that says what it is not."""
    shown = f"'{value}'" if field.repr else "the value"
    if kind is bool:
        word = str(value).strip().lower()
        if word not in _YES | _NO:
            raise ValueError(f"{shown} is neither true nor false")
        return word in _YES
    if kind is Path:
        return Path(str(value))
    if kind is str:
        return str(value)
    try:
        number = kind(str(value).strip())
    except ValueError:
        raise ValueError(f"{shown} is no {'whole ' if kind is int else ''}number") from None
    for bound, broken, words in (
        (field.ge, field.ge is not None and not number >= field.ge, "less than"),
        (field.gt, field.gt is not None and not number > field.gt, "not more than"),
        (field.le, field.le is not None and not number <= field.le, "more than"),
    ):
        if broken:
            raise ValueError(f"{shown} is {words} {bound:g}")
    return number
