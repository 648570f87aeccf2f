"""What a filter and a sort mean, said once more in the plainest way: the judge of what the server answers."""

import functools
from datetime import datetime

MISSING = object()


class Moment(datetime):
    """A point in time that was a text: it compares as the one and begins like the other."""


RANKS = {bool: 0, float: 1, int: 1, Moment: 2, str: 3}


def instant(text):
    """A text that is a date, as a point in time; None for others."""
    try:
        moment = Moment.fromisoformat(text)
    except ValueError:
        return None
    moment.text = text
    return moment if moment.tzinfo and "T" in text else None


def found(document, path, instants=()):
    """What lies at `attributes.…`; null and ways through other things than objects are missing."""
    value = document
    for name in path.split(".")[1:]:
        value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
        if value is MISSING:
            break
    if value is None:
        return MISSING
    if path.removeprefix("attributes.") in instants and isinstance(value, str):
        return instant(value) or value
    return value


def same_type(a, b):
    return is_scalar(a) and is_scalar(b) and RANKS[type(a)] == RANKS[type(b)]


def is_scalar(value):
    return type(value) in RANKS


def equal(value, operand):
    if operand is None:
        return value is MISSING
    return same_type(value, operand) and value == operand


def below(a, b):
    return a.encode() < b.encode() if isinstance(a, str) else a < b


def test_of(operator, value, operand, read):
    """Whether the value at a field passes one operator."""
    match operator:
        case "$eq":
            return equal(value, read(operand))
        case "$in":
            return any(equal(value, read(one)) for one in operand)
        case "$exists":
            return (value is not MISSING) == operand
        case "$contains":
            return isinstance(value, list) and any(equal(read(one), read(operand)) for one in value)
        case "$prefix":
            value = getattr(value, "text", value)
            return isinstance(value, str) and value.startswith(operand)
        case "$ne" | "$nin":
            return not test_of({"$ne": "$eq", "$nin": "$in"}[operator], value, operand, read)
        case "$not":
            return not tests(value, operand, read)
    operand = read(operand)
    if not same_type(value, operand):
        return False
    return {
        "$gt": below(operand, value),
        "$lt": below(value, operand),
        "$gte": not below(value, operand),
        "$lte": not below(operand, value),
    }[operator]


def tests(value, condition, read):
    if not isinstance(condition, dict):
        condition = {"$eq": condition}
    return all(test_of(operator, value, operand, read) for operator, operand in condition.items())


def matches(document, wanted, instants=()):
    """Whether a filter over attributes means the document."""
    for name, condition in wanted.items():
        match name:
            case "$and":
                holds = all(matches(document, part, instants) for part in condition)
            case "$or":
                holds = any(matches(document, part, instants) for part in condition)
            case "$not":
                holds = not matches(document, condition, instants)
            case path:
                dates = path.removeprefix("attributes.") in instants
                read = (lambda one: isinstance(one, str) and instant(one) or one) if dates else (lambda one: one)
                holds = tests(found(document, path, instants), condition, read)
        if not holds:
            return False
    return True


def in_order(documents, sort, instants=()):
    """The places of the documents in the order of the sort; missing, lists and objects come last both ways."""

    def compare(a, b):
        for by in sort:
            [(path, direction)] = by.items()
            x, y = (found(documents[place], path, instants) for place in (a, b))
            x, y = (value if is_scalar(value) else MISSING for value in (x, y))
            if x is MISSING or y is MISSING:
                if (x is MISSING) != (y is MISSING):
                    return 1 if x is MISSING else -1
                continue
            x, y = ((RANKS[type(value)], value.encode() if isinstance(value, str) else value) for value in (x, y))
            if x != y:
                return direction if x > y else -direction
        return -1 if a < b else 1

    return sorted(range(len(documents)), key=functools.cmp_to_key(compare))
