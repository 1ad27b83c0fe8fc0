"""Disks and systems that fail under a real process: the error says what and where, nothing acknowledged is lost.

`faults.c` makes chosen system calls of the process fail. After each failure the same command is run again without it, and
the store must equal one that nothing happened to.
"""

import contextlib
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import servers
from cartlog import BINARY, Store, cartlog, environment, refusal, summary

ROWS = 6_000
BAD = b"no event\n"
CAPABILITIES_OVER_PERMISSIONS = [1, 2]  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
PR_CAPBSET_DROP = 24


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("failures") / "events.csv"
    cartlog("generate", "--events", ROWS, "--seed", 91, "--out", path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2_000] = BAD
    path.write_bytes(b"".join(lines))
    return path


def content(store):
    exported = sorted(cartlog("export", "--format", "csv", "--store", store).splitlines())
    return exported, [(reject["line"], reject["raw"]) for reject in Store(store).rejects()]


@pytest.fixture(scope="module")
def expected(rows, tmp_path_factory):
    store = tmp_path_factory.mktemp("expected") / "store"
    assert Store.load(store, rows, "--no-log").counts() == (ROWS, ROWS - 1, 1, 0)
    return content(store)


def check(store, rows, expected, *words):
    """Once nothing fails any more, the load ends as if nothing had."""
    summary("run", rows, "--store", store, "--no-analyses", *words)
    cartlog("verify", "--store", store)
    assert content(store) == expected


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    source = Path(__file__).parent / "faults.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


class Faulty:
    """Runs cartlog with failing system calls."""

    def __init__(self, library, folder):
        self.library, self.folder = library, folder

    def run(self, *words, **faults):
        variables = {f"FAULT_{name.upper()}": str(value) for name, value in faults.items()}
        return subprocess.run(
            [BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
            env={**environment(), "LD_PRELOAD": str(self.library), "FAULT_FOLDER": str(self.folder), **variables},
        )


def test_a_full_disk_stops_a_following_load_and_room_lets_it_go_on(rows, expected, tmp_path):
    """A file system of its own, as small as the store is not."""
    with small_file_system(tmp_path / "small", "2m") as folder:
        filler = folder / "filler"
        filler.write_bytes(bytes((2 << 20) - (160 << 10)))
        said = refusal("run", rows, "--store", folder / "data", "--no-analyses", "--no-log")
        assert "No space left on device" in said and "store file" in said, said
        filler.unlink()
        check(folder / "data", rows, expected, "--no-log")


def test_a_full_disk_under_the_embedded_log_is_told_at_once(rows, expected, tmp_path):
    with small_file_system(tmp_path / "small", "3m") as folder:
        filler = folder / "filler"
        filler.write_bytes(bytes((3 << 20) - (200 << 10)))
        start = time.monotonic()
        said = refusal("run", rows, "--store", folder / "data", "--no-analyses")
        assert time.monotonic() - start < 30
        assert "No space left on device" in said and len(said.splitlines()) < 20, said
        filler.unlink()
        check(folder / "data", rows, expected)


@pytest.mark.parametrize("words", [["inspect"], ["verify"], ["analyze", "top_categories"], ["analyze", "--list"], ["--help"]])
def test_output_that_nobody_takes(words, rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows, "--no-log")
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, *words, *(["--store", store] if words != ["--help"] else [])], stdout=full,
                              stderr=subprocess.PIPE, text=True, env=environment())
    assert "panicked" not in done.stderr and done.returncode in (0, 1), done
    if words != ["--help"]:
        assert done.returncode == 1 and "No space left" in done.stderr, done
    # Nor is it an error that nobody reads.
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([BINARY, *words, "-v", "--store", store], stdout=writer, stderr=writer, env=environment())
    os.close(writer)
    assert done.returncode in (0, 1), done


@contextlib.contextmanager
def small_file_system(folder, size):
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_limit_on_file_sizes(rows, expected, tmp_path):
    """`ulimit -f`: writes beyond it fail as they do at a quota."""
    store = tmp_path / "store"
    done = run_limited(["run", rows, "--store", store, "--no-analyses", "--no-log"], resource.RLIMIT_FSIZE, 40_000)
    assert done.returncode == 1 and "File too large" in done.stderr and "segment-" in done.stderr, done.stderr
    check(store, rows, expected, "--no-log")


def run_limited(words, limit, value):
    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit, (value, value))

    return subprocess.run([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, env=environment(), preexec_fn=prepare, restore_signals=False)


def without_privilege():
    """Permissions count for root too."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for capability in CAPABILITIES_OVER_PERMISSIONS:
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and os.geteuid() == 0:
            os._exit(99)


def test_a_folder_that_can_only_be_read(rows, expected, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows, "--no-log")
    more = tmp_path / "more.csv"
    cartlog("generate", "--events", 100, "--seed", 92, "--out", more)
    before = content(store)
    folder = store / "store"
    held = {path: path.stat().st_mode for path in [folder, *folder.iterdir()]}

    def run(*words):
        return subprocess.run([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment(), preexec_fn=without_privilege)

    try:
        for path in held:
            path.chmod(0o555 if path.is_dir() else 0o444)
        loads = run("run", more, "--store", store, "--no-analyses", "--no-log")
        if loads.returncode == 99:
            pytest.skip("this root can't give up its privilege over permissions")
        for words in [["compact"], ["compact", "--drop-before", "2019-10-02"], ["rejects", "--replay"]]:
            done = run(*words, "--store", store)
            assert done.returncode == 1 and "Permission denied" in done.stderr, done
        assert loads.returncode == 1 and "Permission denied" in loads.stderr, loads
        # Who only reads needs no more than that.
        for words in [["verify"], ["inspect"], ["rejects"], ["analyze", "top_categories"]]:
            done = run(*words, "--store", store)
            assert done.returncode == 0, done
    finally:
        for path, mode in held.items():
            path.chmod(mode)
    assert content(store) == before == expected
    assert Store.load(store, more, "--no-log").counts() == (100, 100, 0, 0)


def test_a_log_that_can_only_be_read_is_verified(rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows)

    def verify():
        held = {path: path.stat().st_mode for path in [store, *store.rglob("*")]}
        try:
            for path in held:
                path.chmod(0o555 if path.is_dir() else 0o444)
            done = subprocess.run([BINARY, "verify", "--store", store], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, env=environment(), preexec_fn=without_privilege)
        finally:
            for path, mode in held.items():
                path.chmod(mode)
        if done.returncode == 99:
            pytest.skip("this root can't give up its privilege over permissions")
        return done

    with servers.cartlog_broker(store):
        served = verify()
        assert served.returncode == 1 and "in use" in served.stderr, served
    locks = [store / "log" / name for name in [".lock", ".groups.lock"]]
    for are_there in [True, False]:
        assert all(lock.exists() for lock in locks) == are_there
        done = verify()
        assert done.returncode == 0 and "all sound" in done.stdout and "log:" in done.stdout, done
        for lock in locks:
            lock.unlink(missing_ok=True)


def test_too_many_maps(shim, rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows, "--no-log")
    faulty = Faulty(shim, store / "store")
    done = faulty.run("analyze", "top_categories", "--store", store, calls="map", at=0, times=1000, error=errno.ENOMEM)
    assert done.returncode == 1, done
    for part in ["segment-", "Cannot allocate memory", "vm.max_map_count", "cartlog compact"]:
        assert part in done.stderr, done.stderr
    cartlog("analyze", "top_categories", "--store", store)


def test_two_writers(rows, expected, tmp_path):
    """The second is told so at once, whatever it wants to write; readers go on."""
    store = tmp_path / "store"
    summary("run", rows, "--store", store, "--no-analyses", "--no-log")
    lines = rows.read_bytes().splitlines(keepends=True)
    writer = subprocess.Popen(
        [BINARY, "run", "-", "--store", store, "--no-analyses", "--no-log", "--json"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )
    try:
        writer.stdin.write(b"".join(lines))
        writer.stdin.flush()
        wait_until_locked(store)
        for words in [["run", rows, "--no-analyses", "--no-log"], ["compact"], ["compact", "--drop-before", "2019-10-02"],
                      ["rejects", "--replay"]]:
            said = refusal(*words, "--store", store)
            assert "locked by another writer" in said, said
        assert content(store) == expected
        writer.stdin.close()
        assert writer.wait(60) == 0, writer.stderr.read().decode()
    finally:
        writer.kill()
        writer.wait()
    check(store, rows, expected, "--no-log")


def wait_until_locked(store):
    import fcntl
    import time

    end = time.monotonic() + 30
    while True:
        with open(store / "store/lock", "r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        assert time.monotonic() < end, "the writer never took its lock"
        time.sleep(0.02)


def test_a_store_that_was_copied_while_closed(rows, expected, tmp_path):
    Store.load(tmp_path / "store", rows)
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    shutil.rmtree(tmp_path / "store")
    check(tmp_path / "copy", rows, expected)
    assert summary("run", rows, "--store", tmp_path / "copy", "--no-analyses")["rows_stored"] == 0


@pytest.mark.parametrize("kind", ["segment", "dictionary", "rejects", "manifest"])
def test_a_file_that_is_missing_or_of_another_version(kind, rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows, "--no-log")
    path = sorted((store / "store").glob(f"{kind}*"))[0]
    whole = path.read_bytes()
    more = ["run", rows, "--store", store, "--no-analyses", "--no-log"]

    path.unlink()
    said = refusal(*more)
    assert ("manifest is missing" if kind == "manifest" else path.name) in said, said
    if kind not in ("manifest", "rejects"):
        said = refusal("analyze", "top_categories", "--store", store)
        assert path.name in said and "missing" in said, said

    for what, at, value, wanted in [("version", 8, 99, "version 99"), ("foreign", 0, 0x58, path.name)]:
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1:])
        if kind in ("dictionary", "rejects") and what == "version":
            continue  # Their headers have a checksum, and only a real newer version has the right one.
        command = ["rejects"] if kind == "rejects" else ["analyze", "top_categories"]
        said = refusal(*command, "--store", store)
        assert wanted in said and path.name in said, said

    path.write_bytes(whole)
    cartlog("verify", "--store", store)
    assert summary(*more)["rows_duplicate"] == ROWS


def test_a_look_at_what_is_not_there_makes_nothing(tmp_path):
    for words in [["topics"], ["topics", "describe", "events"], ["inspect"], ["verify"], ["analyze"]]:
        said = refusal(*words, "--store", tmp_path / "typo")
        assert "there is no" in said and "typo" in said, said
    assert not (tmp_path / "typo").exists()


def test_a_store_without_its_manifest_is_damaged(rows, tmp_path):
    store = tmp_path / "store"
    Store.load(store, rows)
    (store / "store" / "manifest").unlink()
    assert "damaged in 1 place" in refusal("verify", "--store", store)
    assert "manifest" in refusal("verify", "--repair", "--store", store)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_variable_for_a_flag(value, rows, tmp_path):
    done = subprocess.run([BINARY, "load", rows, "--store", tmp_path / "store"], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, env=environment() | {"CARTLOG_JSON": value, "CARTLOG_QUIET": "0"})
    assert done.returncode == 0 and json.loads(done.stdout)["rows_stored"] > 0, done
