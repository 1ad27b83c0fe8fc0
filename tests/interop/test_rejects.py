"""Damaged lines: kept verbatim, each with its place and reason, while everything else is stored."""

import re

import pytest

from cartlog import Store, cartlog, summary
from damage import GOOD_LINE, kinds
from engine import Engine, read


def mix(rows, damaged, every, line_end=b"\n"):
    """The rows with a damaged line after each `every` of them; the damaged lines' numbers and offsets."""
    out, places, offset, number, left = [], [], 0, 0, list(damaged)
    for index, line in enumerate(rows.splitlines()):
        out.append(line + line_end)
        offset, number = offset + len(out[-1]), number + 1
        if left and index and index % every == 0:
            name, bad, reason = left.pop(0)
            places.append((number + 1, offset, name, bad, reason))
            out.append(bad + line_end)
            offset, number = offset + len(out[-1]), number + 1
    assert not left, "more damaged lines than places"
    return b"".join(out), places


def test_there_are_a_hundred_kinds():
    names = [name for name, _, _ in kinds()]
    assert len(names) >= 100 and len(set(names)) == len(names)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_each_damaged_line_is_rejected_where_it_is(line_end, real_rows, tmp_path):
    rows = real_rows.read_bytes()
    content, places = mix(rows, kinds(), 90, line_end)
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    store = Store.load(tmp_path / "store", path)
    assert store.counts() == (17_434 + len(places), 17_434, len(places), 0)
    rejects = {reject["line"]: reject for reject in store.rejects()}
    wrong = []
    for line, offset, name, bad, reason in places:
        got = rejects.pop(line, None)
        if got is None:
            wrong.append(f"{name}: line {line} is not among the rejects")
        elif got["byte_offset"] != offset:
            wrong.append(f"{name}: at byte {got['byte_offset']}, expected {offset}")
        elif not re.search(reason, got["reason"], re.IGNORECASE):
            wrong.append(f"{name}: {got['reason']!r} says nothing of {reason!r}")
        elif not got["source"].endswith("damaged.csv"):
            wrong.append(f"{name}: source {got['source']!r}")
        elif got["raw"].removesuffix("\r") != bad.decode(errors="replace"):
            wrong.append(f"{name}: kept as {got['raw'][:80]!r}")
    wrong += [f"line {line} was rejected: {reject['reason']}" for line, reject in rejects.items()]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    kept = cartlog("rejects", "--raw", "--store", store.path)
    assert sorted(kept.replace(b"\r\n", b"\n").split(b"\n")[:-1]) == sorted(bad for _, _, _, bad, _ in places)
    engine = Engine(real_rows)
    exported = store.export(tmp_path / "events.parquet")
    assert engine.differences(read(exported.read_bytes(), "parquet", None)) == (0, 0)
    assert store.again(path).counts() == (17_434 + len(places), 0, 0, 17_434 + len(places))


def test_damage_among_generated_rows(generated_rows, generated_store, tmp_path):
    """Blocks are cut anywhere; line numbers and offsets must not notice."""
    rows = generated_rows.read_bytes()
    count = rows.count(b"\n") - 1
    damaged = kinds()
    content, places = mix(rows, damaged, count // (len(damaged) + 1))
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    store = Store.load(tmp_path / "store", path)
    assert store.counts() == (count + len(places), count, len(places), 0)
    got = [(reject["line"], reject["byte_offset"]) for reject in store.rejects()]
    assert got == [(line, offset) for line, offset, *_ in places]


def test_rejects_survive_a_replay(tmp_path):
    """Reading the log back finds the same rejects at the same places."""
    content, places = mix(((GOOD_LINE + "\n") * 2000).encode(), kinds(), 10)
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    teed, replayed = Store.load(tmp_path / "teed", path), Store(tmp_path / "replayed")
    summary("produce", path, "--store", replayed.path)
    done = summary("ingest", "--store", replayed.path)
    assert done["rows_rejected"] == len(places)
    place = lambda reject: (reject["line"], reject["byte_offset"], reject["reason"], reject["raw"])
    assert [place(reject) for reject in teed.rejects()] == [place(reject) for reject in replayed.rejects()]


def test_a_line_of_nine_mebibytes(tmp_path):
    path = tmp_path / "long.csv"
    good = (GOOD_LINE + "\n").encode()
    path.write_bytes(good * 3 + b"x" * (9 << 20) + b"\n" + good * 2)
    store = Store.load(tmp_path / "store", path)
    assert store.counts() == (6, 5, 1, 0)
    [reject] = store.rejects()
    assert (reject["line"], reject["byte_offset"]) == (4, 3 * len(good))


def test_limits_on_rejects(tmp_path):
    path = tmp_path / "damaged.csv"
    path.write_text(f"{GOOD_LINE}\n" * 50 + "damaged\n" + f"{GOOD_LINE}\n" * 49)
    cartlog("run", path, "--store", tmp_path / "strict", "--no-analyses", "--strict", expect=1)
    cartlog("run", path, "--store", tmp_path / "percent", "--no-analyses", "--max-rejected", "0.5%", expect=1)
    Store.load(tmp_path / "one", path, "--max-rejected", "1")
    Store.load(tmp_path / "two percent", path, "--max-rejected", "2%")
