"""Cost tables as JSON objects, and back with every field checked."""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import NDArray

from hwnas.cost.term import Sum, Term
from hwnas.errors import BadInputError

__all__ = ["from_json", "to_json"]


def to_json(table: Sum) -> dict[str, object]:
    """See `CostTable.to_json`."""
    terms = [{"choices": list(term.choices), "values": _nested(term.values)} for term in table.terms]
    return {"unit": table.unit, "constant": table.constant, "terms": terms}


def from_json(value: object) -> tuple[float, list[Term], str]:
    """The constant, the terms and the unit; see `CostTable.from_json`."""
    if not isinstance(value, dict) or value.keys() != {"unit", "constant", "terms"}:
        raise BadInputError(
            f"A cost in JSON must be an object with unit, constant and terms; got {reprlib.repr(value)}."
        )
    unit, constant, terms = value["unit"], value["constant"], value["terms"]
    if not isinstance(unit, str) or not isinstance(constant, int | float) or not isinstance(terms, list):
        raise BadInputError(
            "A cost in JSON must have a string as unit, a number as constant and a list of terms; got "
            f"{reprlib.repr(value)}."
        )
    return constant, [_term(term) for term in terms], unit


def _nested(values: NDArray[np.float64]) -> object:
    entries = values.astype(object)
    entries[np.isinf(values)] = None
    return entries.tolist()


def _term(value: object) -> Term:
    if not isinstance(value, dict) or value.keys() != {"choices", "values"} or not isinstance(value["choices"], list):
        raise BadInputError(
            f"A term in JSON must be an object with the list choices, and values; got {reprlib.repr(value)}."
        )
    choices = value["choices"]
    if not all(isinstance(name, str) for name in choices):
        raise BadInputError(f"The choices of a term in JSON must be names; got {reprlib.repr(choices)}.")
    try:
        values = np.array(value["values"], dtype=np.float64)  # null becomes NaN
    except (TypeError, ValueError):
        raise BadInputError(
            f"The values of a term in JSON must be nested lists of numbers; got {reprlib.repr(value['values'])}."
        ) from None
    return Term(tuple(choices), np.where(np.isnan(values), -np.inf, values))
