"""The analyses as cartlog defines them: analyses.json beside this file, which a test of cartlog's keeps current."""

import json
import re
from pathlib import Path

from dialect import translate

CATALOGUE = Path(__file__).with_name("analyses.json")
LIMIT = re.compile(r"\bLIMIT \d+\s*$")
MIN_USERS = re.compile(r"\bHAVING count\(\*\) >= \d+")
SEGMENT_RULES = {
    "recent_days": (r"(?<=recency_days <= )7\b", r"\d{1,9}"),
    "promising_days": (r"(?<=recency_days <= )21\b", r"\d{1,9}"),
    "loyal_orders": (r"(?<=orders >= )5\b", r"[1-9]\d{0,8}"),
    "returning_orders": (r"(?<=orders >= )2\b", r"[1-9]\d{0,8}"),
}
BANDS = re.compile(r"CASE WHEN price < .*? END AS band_from", re.DOTALL)


class DefinitionError(ValueError):
    """An analysis or a parameter that there isn't, or that takes other values."""


class Definition:
    """One analysis: its SQL with parameters, and the columns of its result."""

    def __init__(self, entry):
        self.name, self.sql = entry["name"], entry["sql"]
        self.columns = {column["name"]: column["type"] for column in entry["columns"]}
        self.rules = {}
        self.parameters = {parameter["name"] for parameter in entry["parameters"]}

    def set(self, name, value):
        """Sets a parameter in the definition, as `cartlog analyze --set NAME=VALUE` does for the kernel."""
        if name == "limit" and re.fullmatch(r"[1-9]\d{0,17}", value):
            self.sql = replaced(LIMIT, f"LIMIT {value}", self)
        elif name == "min_users" and re.fullmatch(r"[1-9]\d{0,17}", value):
            self.sql = replaced(MIN_USERS, f"HAVING count(*) >= {value}", self)
        elif name == "bands" and re.fullmatch(r"\d{1,15}(\s*,\s*\d{1,15})*", value):
            self.sql = replaced(BANDS, bands([int(bound) for bound in value.split(",")]), self)
        elif name in SEGMENT_RULES and re.fullmatch(SEGMENT_RULES[name][1], value):
            self.rules[name] = value
        else:
            raise DefinitionError(f"{self.name}: the parameter {name}={value} is not known or not such a value")

    def query(self):
        """The query over the views `events` and `events_with_epoch`, in Spark's dialect."""
        return translate(with_rules(self.sql, self.rules))


def replaced(pattern, text, definition):
    sql, count = pattern.subn(text, definition.sql)
    if count != 1:
        raise DefinitionError(f"{definition.name}: its SQL has {count} places for this parameter, expected one")
    return sql


def with_rules(sql, rules):
    """The definition with other bounds of the segments, all set at once: a new bound may be another one's default."""
    if not rules:
        return sql
    patterns = {name: pattern for name, (pattern, _) in SEGMENT_RULES.items() if name in rules}
    any_of = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in patterns.items()))
    return any_of.sub(lambda match: rules[match.lastgroup], sql)


def bands(bounds):
    if bounds[0] != 0 or any(left >= right for left, right in zip(bounds, bounds[1:])):
        raise DefinitionError(f"bands={bounds} must ascend from 0")
    cases = " ".join(f"WHEN price < {upper} THEN {lower}" for lower, upper in zip(bounds, bounds[1:]))
    return f"CASE {cases} ELSE {bounds[-1]} END AS band_from" if cases else "0 AS band_from"


def definitions(names=(), settings=()):
    """The definitions of these names (all, if none is given) with `NAME=VALUE` settings, each of which must fit one."""
    known = {entry["name"]: entry for entry in json.loads(CATALOGUE.read_text())}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DefinitionError(f"there is no analysis {unknown[0]!r}; there are: {', '.join(known)}")
    chosen = [Definition(known[name]) for name in names or known]
    for setting in settings:
        name, _, value = setting.partition("=")
        fitting = [definition for definition in chosen if name in definition.parameters]
        if not fitting:
            names = ", ".join(definition.name for definition in chosen)
            raise DefinitionError(f"--set {setting}: none of {names} has this parameter")
        for definition in fitting:
            definition.set(name, value)
    return chosen
