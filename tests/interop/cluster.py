"""Three nodes of Apache Kafka, each broker and controller, that are killed and started again one by one."""

import contextlib
import signal
import subprocess

from servers import PROPERTIES, answers, free_ports, wait_for

# Other than those of one node: three copies of everything, and what makes a cluster notice a lost node as fast as a test needs it.
CLUSTER = """
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=5000
controlled.shutdown.enable=true
"""


class Node:
    """One node; `is_up` says whether it serves clients at its address."""

    def __init__(self, number, folder, properties, jars, address, is_up):
        self.number, self.folder, self.address, self.is_up = number, folder, address, is_up
        folder.mkdir()
        self.properties = folder / "server.properties"
        self.properties.write_text(properties)
        self.java = ["java", "-Xmx450m", "-cp", f"{jars}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self.log = folder / "server.log"
        self.process = None

    def format(self, cluster, *words):
        tool = [*self.java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties, *words]
        subprocess.run(tool, check=True, capture_output=True)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.java, "kafka.Kafka", self.properties], stdout=log, stderr=log,
                                            cwd=self.folder)

    def wait(self, seconds=240):
        wait_for(lambda: self.is_up(self.address), self.process, self.log, seconds=seconds)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Stops it as an operator does: its partitions get other leaders first."""
        self.process.terminate()
        self.process.wait(60)

    def end(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Cluster:
    """All nodes, by the addresses that clients use."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.brokers = ",".join(node.address for node in nodes)


@contextlib.contextmanager
def apache_kafka_cluster(jars, folder, adapt=lambda properties: properties, is_up=answers, format_words=()):
    """Three nodes that are up; `adapt` may change their properties."""
    ports, controllers = free_ports(3), free_ports(3)
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1))
    nodes = []
    for number, (port, controller) in enumerate(zip(ports, controllers), 1):
        home = folder / f"node-{number}"
        text = PROPERTIES.format(port=port, controller=controller, folder=home)
        replaced = {"node.id": str(number), "controller.quorum.bootstrap.servers": None, "controller.quorum.voters": voters}
        replaced |= dict(line.split("=", 1) for line in CLUSTER.split())
        lines = [line for line in text.splitlines() if line.split("=", 1)[0] not in replaced]
        lines += [f"{name}={value}" for name, value in replaced.items() if value is not None]
        nodes.append(Node(number, home, adapt("\n".join(lines) + "\n"), jars, f"127.0.0.1:{port}", is_up))
    tool = [*nodes[0].java, "kafka.tools.StorageTool", "random-uuid"]
    identity = subprocess.run(tool, check=True, capture_output=True, text=True).stdout.strip()
    try:
        for node in nodes:
            node.format(identity, *format_words)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()
        yield Cluster(nodes)
    finally:
        for node in nodes:
            node.end()
