"""Servers that speak Kafka's protocol: Apache Kafka, and `cartlog broker`."""

import contextlib
import json
import signal
import socket
import struct
import subprocess
import time

from cartlog import BINARY, environment

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextlib.contextmanager
def apache_kafka(jars, folder, heap="512m"):
    port, controller = free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller=controller, folder=folder))
    java = ["java", f"-Xmx{heap}", "-cp", f"{jars}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    tool = [*java, "kafka.tools.StorageTool"]
    cluster = subprocess.run([*tool, "random-uuid"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(
        [*tool, "format", "--standalone", "-t", cluster, "-c", properties], check=True, capture_output=True
    )
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen([*java, "kafka.Kafka", properties], stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(lambda: answers(f"127.0.0.1:{port}"), server, folder / "server.log")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def offers(address, api_key):
    """Whether the broker announces an API, asked with the oldest form of ApiVersions."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        _, _, error, count = struct.unpack(">iihi", answer.read(14))
        assert error == 0, f"ApiVersions was answered with error {error}"
        return api_key in [struct.unpack(">hhh", answer.read(6))[0] for _ in range(count)]


def answers(address):
    asked = subprocess.run(["kcat", "-b", address, "-L", "-m", "2"], capture_output=True, text=True)
    return asked.returncode == 0 and "broker 1 at" in asked.stdout


def wait_for_port(address, server, seconds=30):
    """Waits until a server that was just started takes connections."""
    host, port = address.rsplit(":", 1)
    end = time.monotonic() + seconds
    while True:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, f"no answer after {seconds} s"
            time.sleep(0.01)


def wait_for(condition, server, log, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert server.poll() is None, f"the server ended:\n{log.read_text(errors='replace')[-3000:]}"
        assert time.monotonic() < end, f"no answer after {seconds} s:\n{log.read_text(errors='replace')[-3000:]}"
        time.sleep(0.2)


@contextlib.contextmanager
def cartlog_broker(store, *words):
    """Runs `cartlog broker` on a free port, stopped as Ctrl-C does it."""
    server = subprocess.Popen(
        [BINARY, "broker", "--store", store, "--listen", "127.0.0.1:0", "--json", *words],
        stdout=subprocess.PIPE, text=True, env=environment(),
    )
    try:
        yield json.loads(server.stdout.readline())["address"]
        assert server.poll() is None, f"the broker ended by itself with {server.returncode}"
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
        server.stdout.close()
