"""From the dialect of the definitions (DuckDB's) to Spark's.

The definitions are plain SQL; few things differ, and those few are a table here instead of a translator as dependency:
`spark-submit` on a cluster then needs nothing but these files, and a general translator would keep neither the exact
averages nor the place of missing values. What is rewritten:

| definition | Spark | because |
|---|---|---|
| `"name"` | `` `name` `` | quotes around names |
| `'it''s'` | `'it\\'s'` | a backslash escapes in Spark |
| `avg(x)` | `CAST(sum(x) * 10000 AS DOUBLE) / (count(x) * 10000)` | Spark's average of a decimal is a rounded decimal |
| `a / b` | `CAST(a * 10000 AS DOUBLE) / (b * 10000)` | likewise; of whole numbers, so that it is rounded once; `CAST(a AS DOUBLE) / b` means the same in both |
| `ORDER BY x` | `ORDER BY x NULLS LAST` | Spark puts missing values first |
| `isodow(t)` | `weekday(t) + 1` | 1 is Monday |
| `datediff('day', a, b)` | `datediff(b, a)` | |
| `starts_with(a, b)` | `startswith(a, b)` | |
| `make_timestamp(us)` | `timestamp_micros(us)` | |

A function that is neither in this table nor known to mean the same in both dialects is refused: a new definition can't
change its meaning unnoticed.
"""

import re

TOKEN = re.compile(
    r"(?P<skip>\s+|--[^\n]*)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")"
    r"|(?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?P<number>\d+(?:\.\d+)?)|(?P<sign><>|<=|>=|!=|[-+*/%<>=,.()])"
)
# The same name and meaning in both dialects. Spark's percentile_disc gives a double, which the result's type mends.
SAME = {
    "cast", "coalesce", "count", "date_trunc", "hour", "max", "min", "nullif", "percentile_disc", "rank", "row_number",
    "sqrt", "sum",
}
# What a parenthesis may follow without being a call.
KEYWORDS = {
    "all", "and", "as", "by", "distinct", "exists", "from", "in", "join", "not", "or", "select", "using", "when", "where",
}
# Money has four digits after its point: so many times it is a whole number.
UNITS = "10000"


class DialectError(ValueError):
    """SQL that has no known meaning in Spark."""


class Group(list):
    """What stands between parentheses."""


class Unit(str):
    """An operand that needs no parentheses: a name, a number, a call with what belongs to it."""


def translate(sql):
    """The same query, or condition, in Spark's dialect."""
    return " ".join(rewritten(nested(tokens(sql))))


def tokens(sql):
    at = 0
    while at < len(sql):
        found = TOKEN.match(sql, at)
        if not found:
            raise DialectError(f"the SQL has {sql[at]!r} at {at}, which is not known here: {sql[at:at + 40]!r}")
        at = found.end()
        if found.lastgroup == "text":
            text = found.group()[1:-1].replace("''", "'")
            yield Unit("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'")
        elif found.lastgroup == "quoted":
            yield Unit("`" + found.group()[1:-1].replace('""', '"').replace("`", "``") + "`")
        elif found.lastgroup == "sign":
            yield found.group()
        elif found.lastgroup != "skip":
            yield Unit(found.group())


def nested(stream):
    """The tokens with each pair of parentheses as one `Group`."""
    groups = [[]]
    for token in stream:
        if token == "(":
            groups.append(Group())
        elif token == ")" and len(groups) > 1:
            closed = groups.pop()
            groups[-1].append(closed)
        elif token == ")":
            raise DialectError("the SQL closes a parenthesis that it didn't open")
        else:
            groups[-1].append(token)
    if len(groups) > 1:
        raise DialectError("the SQL doesn't close a parenthesis")
    return groups[0]


def rewritten(tree):
    """The words of a tree in Spark's dialect, an operand each where one is."""
    return missing_last(quotients(calls(tree)))


def parenthesised(tree):
    return Unit("(" + " ".join(rewritten(tree)) + ")")


def calls(tree):
    """Calls with their FILTER, WITHIN GROUP and OVER become operands."""
    words, at = [], 0
    while at < len(tree):
        word, at = tree[at], at + 1
        if isinstance(word, Group):
            words.append(parenthesised(word))
        elif is_name(word) and at < len(tree) and isinstance(tree[at], Group):
            arguments, at = tree[at], at + 1
            after = ""
            while at < len(tree) and is_name(tree[at]) and tree[at].upper() in {"FILTER", "WITHIN", "OVER"}:
                kind = tree[at].upper()
                at += 2 if kind == "WITHIN" else 1
                if at >= len(tree) or not isinstance(tree[at], Group):
                    raise DialectError(f"{kind} of {word} has no parenthesis")
                # The values of an ordered set: missing ones have no place in it.
                inside = f"({' '.join(calls(tree[at]))})" if kind == "WITHIN" else parenthesised(tree[at])
                after += f" {kind} GROUP {inside}" if kind == "WITHIN" else f" {kind} {inside}"
                at += 1
            words.append(call(word, arguments, after))
        else:
            words.append(word)
    return words


def is_name(word):
    return isinstance(word, Unit) and (word[0].isalpha() or word[0] == "_") and word.lower() not in KEYWORDS


def call(name, arguments, after):
    """One call, `after` being the FILTER and the like that follow it."""
    inside = " ".join(rewritten(arguments))
    match name.lower(), split(arguments):
        case "avg", [_]:
            return Unit(quotient(f"sum({inside}){after}", f"nullif(count({inside}){after}, 0)"))
        case "isodow", [_]:
            return Unit(f"(weekday({inside}) + 1)")
        case "datediff", [["'day'"], start, end]:
            return Unit(f"datediff({' '.join(rewritten(end))}, {' '.join(rewritten(start))})")
        case "starts_with", [_, _]:
            return Unit(f"startswith({inside})")
        case "make_timestamp", [_]:
            return Unit(f"timestamp_micros({inside})")
        case known, _ if known in SAME:
            return Unit(f"{name}({inside}){after}")
    raise DialectError(f"the function {name} with these arguments ({inside}) has no known translation to Spark")


def split(arguments):
    """The arguments of a call, each a tree."""
    parts = [[]]
    for word in arguments:
        if word == ",":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def quotient(above, below):
    if above.startswith("CAST(") and above.endswith(" AS DOUBLE)"):
        return f"({above} / {below})"
    return f"(CAST({above} * {UNITS} AS DOUBLE) / ({below} * {UNITS}))"


def quotients(words):
    done, at = [], 0
    while at < len(words):
        if words[at] == "/":
            operands = done[-1:] + words[at + 1:at + 2]
            chained = set(done[-2:-1] + words[at + 2:at + 3]) & {"*", "/", "%"}
            if len(operands) < 2 or chained or not all(isinstance(operand, Unit) for operand in operands):
                around = " ".join(words[max(0, at - 3):at + 4])
                raise DialectError(f"a quotient needs parentheses around its sides: {around}")
            done[-1] = Unit(quotient(*operands))
            at += 2
        else:
            done.append(words[at])
            at += 1
    return done


def missing_last(words):
    """Each term of an ORDER BY says where missing values go."""
    done, ordering, said = [], False, False
    for at, word in enumerate([*words, ";"]):
        upper = word.upper()
        if ordering and upper in {",", ";", "LIMIT", "ROWS", "RANGE"}:
            done += [] if said else ["NULLS", "LAST"]
            ordering, said = upper == ",", False
        said = said or upper == "NULLS"
        if upper == "BY" and at and words[at - 1].upper() == "ORDER":
            ordering, said = True, False
        done.append(word)
    return done[:-1]
