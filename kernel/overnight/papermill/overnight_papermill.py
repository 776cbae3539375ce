"""Parameters of papermill for the Overnight kernel: `papermill in.ipynb out.ipynb -p hours 8`.

Each becomes an environment variable, which magics and shell commands read as `$hours`, and a Rust variable
of the same name. papermill loads this module for its engine, and so gets the translator.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from typing import Any

from papermill.engines import NBClientEngine
from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

ASSIGNMENT = re.compile(r"^%env\s+(?P<name>[A-Za-z_]\w*)=(?P<value>.*?)(?:\s+//\s*(?P<help>.*))?$")


class Engine(NBClientEngine):
    """papermill's own engine."""


class OvernightTranslator(Translator):
    """Writes and reads cells of parameters."""

    @classmethod
    def comment(cls, cmt_str: str) -> str:
        return f"// {cmt_str}"

    @classmethod
    def translate_none(cls, val: None) -> str:
        return "None::<f64>"

    @classmethod
    def translate_str(cls, val: str) -> str:
        return f'String::from("{"".join(map(escaped, val))}")'

    @classmethod
    def translate_int(cls, val: int) -> str:
        return f"{val}_i64" if -(2**63) <= val < 2**63 else cls.translate_float(float(val))

    @classmethod
    def translate_float(cls, val: float) -> str:
        if math.isnan(val):
            return "f64::NAN"
        if math.isinf(val):
            return "f64::INFINITY" if val > 0 else "f64::NEG_INFINITY"
        return f"{val!r}_f64"

    @classmethod
    def translate_list(cls, val: list[Any]) -> str:
        return f"vec![{', '.join(map(cls.translate, val))}]"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        pairs = (f"({cls.translate_str(str(key))}, {cls.translate(value)})" for key, value in val.items())
        return f"std::collections::BTreeMap::from([{', '.join(pairs)}])"

    @classmethod
    def codify(cls, parameters: dict[str, Any], comment: str = "Parameters") -> str:
        # Magics first: the rest of a cell is Rust.
        magics = [f"%env {name}={shlex.quote(plain(value))}" for name, value in parameters.items()]
        rust = [f"let {name} = {cls.translate(value)};" for name, value in parameters.items()]
        return "\n".join([cls.comment(comment), *magics, *rust, ""])

    @classmethod
    def inspect(cls, parameters_cell: Any) -> list[Parameter]:
        found = filter(None, map(ASSIGNMENT.match, parameters_cell["source"].splitlines()))
        return [Parameter(name=each["name"], inferred_type_name="None", default=each["value"], help=each["help"] or "")
                for each in found]


def escaped(character: str) -> str:
    """A character within a Rust string."""
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def plain(value: Any) -> str:
    """A value as an environment variable has it."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


papermill_translators.register("overnight", OvernightTranslator)
papermill_translators.register("rust", OvernightTranslator)
