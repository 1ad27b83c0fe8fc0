"""Damaged lines: kept verbatim, each with its place and reason, while everything else is stored."""

import json
import re

import pytest

from cartlog import Store, cartlog, refusal, summary
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


def test_mended_lines_are_replayed_once(tmp_path):
    """Export, mend with a text tool, replay; again; and the store equals one that was loaded from sound lines."""
    good = [GOOD_LINE.replace("2019-10-01 00:00:", f"2019-10-01 00:{minute:02}:") for minute in range(60)]
    assert len(set(good)) == 60
    bad = [line.replace(",", ";", 1) if index % 7 == 3 else line for index, line in enumerate(good)]
    sound, damaged, mended = (tmp_path / name for name in ["sound.csv", "damaged.csv", "mended.txt"])
    sound.write_text("".join(line + "\n" for line in good))
    damaged.write_text("".join(line + "\n" for line in bad))
    store = Store.load(tmp_path / "store", damaged)
    assert store.counts() == (60, 51, 9, 0)
    replay = ["rejects", "--replay", mended, "--store", store.path]

    exported = summary("rejects", "--export", mended, "--store", store.path)
    assert exported["rejects"] == 9 and exported["files"] == [str(mended)]
    assert "is there already" in refusal("rejects", "--export", mended, "--store", store.path)
    untouched = summary(*replay)
    assert (untouched["rows_read"], untouched["rows_stored"], untouched["rows_rejected"]) == (9, 0, 9)

    lines = mended.read_text().splitlines()
    fixed = [line if line.startswith("#") else line.replace(";", ",", 1) for line in lines]
    fixed[-1] = lines[-1]
    mended.write_text("\n".join(fixed))
    first = summary(*replay)
    assert (first["rows_read"], first["rows_stored"], first["rows_rejected"], first["rejects_left"]) == (9, 8, 1, 1)
    assert first["refused"][0]["place"] == f"{mended}:{len(lines)}"
    mended.write_text("\n".join(fixed).replace(lines[-1], lines[-1].replace(";", ",", 1)))
    second = summary(*replay)
    assert (second["rows_read"], second["rows_stored"], second["rows_duplicate"], second["rejects_left"]) == (9, 1, 8, 0)
    assert summary(*replay)["rows_duplicate"] == 9
    assert store.rejects() == []

    inspected = json.loads(cartlog("inspect", "--json", "--store", store.path))
    counts = [inspected[name] for name in ["rows_read", "rows_stored", "rows_rejected", "rows_duplicate"]]
    assert counts == [60, 60, 0, 0]
    expected = Store.load(tmp_path / "expected", sound)
    export = lambda store: sorted(cartlog("export", "--format", "csv", "--store", store.path).splitlines())
    assert export(store) == export(expected)
    assert store.again(damaged).counts() == (60, 0, 0, 60)
    cartlog("verify", "--store", store.path)


def test_rejects_are_exported_as_they_were(tmp_path):
    """Whatever bytes a line has, its export is tried as the line itself is."""
    content, places = mix(((GOOD_LINE + "\n") * 2000).encode(), kinds(), 10)
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    store = Store.load(tmp_path / "store", path)
    rejects = store.rejects()
    cartlog("rejects", "--export", tmp_path / "rejects.txt", "--store", store.path)
    exported = (tmp_path / "rejects.txt").read_bytes()
    for _, _, _, bad, _ in places:
        assert b"\n" + bad + b"\n" in exported, bad
    done = summary("rejects", "--replay", tmp_path / "rejects.txt", "--store", store.path)
    assert (done["rows_read"], done["rows_stored"], done["rows_rejected"]) == (len(places), 0, len(places))
    assert summary("rejects", "--replay", "--store", store.path)["rows_rejected"] == len(places)
    assert store.rejects() == rejects
