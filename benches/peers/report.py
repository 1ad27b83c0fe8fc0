"""The table of what was measured, as Markdown, and its place in docs/BENCHMARKS.md."""

import os
import platform
import statistics

OURS = "cartlog"
BEGIN, END = "<!-- begin: benches/peers/analyses.py -->", "<!-- end: benches/peers/analyses.py -->"


def table(known, rows):
    """The results of all engines, one analysis a row, with how many times the best of the others takes cartlog's time."""
    others = [name for name in known if name != OURS]
    ways = ["hot", "again", "cold"]
    ours = [known.get(OURS, {}).get(way, {}) for way in ways]
    names = [*ours[0], *sorted({name for other in others for name in known[other].get("hot", {})} - set(ours[0]))]
    head = ["analysis", "cartlog", *(f"cartlog, {way}" for way in ways[1:]),
            *(f"{name} {known[name].get('version', '')}" for name in others),
            "best ÷ cartlog", *(f"best ÷ {way}" for way in ways[1:])]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    ratios = [[] for _ in ways]
    for name in names:
        times = [median(known[other].get("hot", {}).get(name)) for other in others]
        best = min((time for time in times if time is not None), default=None)
        mine = [median(times.get(name)) for times in ours]
        quotients = [best / time if best and time else None for time in mine]
        for kept, quotient in zip(ratios, quotients):
            kept.extend([quotient] if quotient else [])
        cells = [seconds(time, time == best) for time in times]
        lines.append("| " + " | ".join([name, *map(seconds, mine), *cells, *map(times_as_fast, quotients)]) + " |")
    means = [times_as_fast(statistics.geometric_mean(kept) if kept else None) for kept in ratios]
    lines.append("| geometric mean " + "| " * (len(ways) + len(others)) + "| " + " | ".join(means) + " |")
    machine = f"{rows:,} rows, {platform.machine()}, {os.cpu_count()} cores; seconds, medians; the best of the others in bold."
    return f"{machine}\n\n" + "\n".join(lines) + "\n"


def median(times):
    return statistics.median(times) if times else None


def seconds(time, is_best=False):
    if time is None:
        return ""
    text = f"{time:.4f}" if time < 0.1 else f"{time:.3f}" if time < 1 else f"{time:.2f}"
    return f"**{text}**" if is_best else text


def times_as_fast(quotient):
    return "" if quotient is None else f"{quotient:.1f}"


def write(path, text):
    """Puts the text between the two markers of the page."""
    page = path.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path}: the lines {BEGIN} and {END} are not there; add them where the table belongs")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
