"""Logins and encryption: clients at a secured `cartlog broker`, and cartlog at a secured Apache Kafka."""

import os
import signal
import socket
import ssl
import stat
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

import servers
from cartlog import BINARY, Store, cartlog, environment

MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
USER, PASSWORD = "anna", "geheim=nuss"
JARS = Path(os.environ.get("CARTLOG_KAFKA_JARS", Path(__file__).parent / ".work/kafka-jars"))


def openssl(*words, cwd):
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A root, certificates of a server (RSA) and a client (EC) from it, and a root that nobody knows."""
    folder = tmp_path_factory.mktemp("certificates")
    for root in ["ca", "other"]:
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={root}", "-keyout", f"{root}.key", "-out", f"{root}.pem", cwd=folder)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    keys = {"server": ["rsa:2048"], "client": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}
    for name, key in keys.items():
        openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", cwd=folder)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{name}.pem", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def users(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "users"
    cartlog("users", "add", USER, "--users", path, "--password-stdin", stdin=PASSWORD.encode() + b"\n")
    cartlog("users", "add", "bert", "--users", path, "--password-stdin", stdin=b"another\n")
    return path


@pytest.fixture
def tls(certificates):
    return ["--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key"]


@pytest.fixture
def secured(tmp_path, users, tls):
    """The address of a broker with users and TLS."""
    with servers.cartlog_broker(tmp_path / "broker", "--users", users, *tls) as address:
        yield address


def login(address, mechanism="PLAIN", password=PASSWORD, ca=None, user=USER):
    """Settings of librdkafka."""
    settings = {"bootstrap.servers": address, "security.protocol": "SASL_SSL" if ca else "SASL_PLAINTEXT",
                "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password}
    return settings | ({"ssl.ca.location": str(ca / "ca.pem")} if ca else {})


def roundtrip(settings, topic="secured"):
    values = [f"value {number}".encode() * 50 for number in range(5_000)]
    producer = Producer({**settings, "linger.ms": 5, "acks": "all"})
    failed = []
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda error, _: failed.append(error) if error else 0)
        producer.poll(0)
    assert producer.flush(60) == 0 and not failed, failed[:3]
    consumer = Consumer({**settings, "group.id": "interop", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    got = []
    while len(got) < len(values):
        messages = consumer.consume(1_000, timeout=30)
        assert messages, f"only {len(got)} came"
        assert not any(message.error() for message in messages)
        got += [message.value() for message in messages]
    consumer.close()
    assert got == values


def is_refused(settings, word=None):
    """Whether a client gets no metadata; `word` stands in what it is told."""
    told = []
    admin = AdminClient({**settings, "error_cb": lambda error: told.append(error.str()), "log_level": 0})
    try:
        admin.list_topics(timeout=9)
    except KafkaException:
        admin.poll(0)
        assert word is None or any(word in text for text in told), told
        return True
    return False


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_librdkafka_logs_in(mechanism, secured, certificates):
    roundtrip(login(secured, mechanism, ca=certificates))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_user_or_nothing_at_all_is_refused(mechanism, secured, certificates):
    assert is_refused(login(secured, mechanism, password="wrong", ca=certificates), "wrong user or password")
    assert is_refused(login(secured, mechanism, user="nobody", ca=certificates), "wrong user or password")
    assert is_refused({"bootstrap.servers": secured, "security.protocol": "SSL",
                       "ssl.ca.location": str(certificates / "ca.pem")})
    assert not is_refused(login(secured, mechanism, ca=certificates)), "and others go on"


def test_login_without_encryption_on_loopback(tmp_path, users):
    with servers.cartlog_broker(tmp_path / "broker", "--users", users) as address:
        for mechanism in MECHANISMS:
            roundtrip(login(address, mechanism), f"plain-{mechanism}")
        assert is_refused({"bootstrap.servers": address})


def test_encryption_without_login(tmp_path, tls, certificates):
    with servers.cartlog_broker(tmp_path / "broker", *tls) as address:
        settings = {"bootstrap.servers": address, "security.protocol": "SSL"}
        roundtrip(settings | {"ssl.ca.location": str(certificates / "ca.pem")})
        assert is_refused(settings | {"ssl.ca.location": str(certificates / "other.pem")}, "certificate")


def test_client_certificates(tmp_path, tls, certificates):
    with servers.cartlog_broker(tmp_path / "broker", *tls, "--tls-client-ca", certificates / "ca.pem") as address:
        settings = {"bootstrap.servers": address, "security.protocol": "SSL",
                    "ssl.ca.location": str(certificates / "ca.pem")}
        shown = {"ssl.certificate.location": str(certificates / "client.pem"),
                 "ssl.key.location": str(certificates / "client.key")}
        roundtrip(settings | shown)
        assert is_refused(settings)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_of_tls(version, secured, certificates):
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.minimum_version = context.maximum_version = version
    host, port = secured.split(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        with context.wrap_socket(plain, server_hostname=host) as encrypted:
            assert encrypted.version() == version.name.replace("_", ".")


def test_silent_and_large_strangers_cost_only_their_own_connection(secured, users, tmp_path, certificates):
    host, port = secured.split(":")
    silent = [socket.create_connection((host, int(port)), 20) for _ in range(20)]
    assert not is_refused(login(secured, ca=certificates))
    with servers.cartlog_broker(tmp_path / "plain", "--users", users) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), 5) as large:
            large.sendall((65 << 10).to_bytes(4, "big"))
            assert large.recv(1) == b"", "a frame of 65 KiB before a login"
    start = time.monotonic()
    for each in silent:
        assert each.recv(1) == b""
        each.close()
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_kcat(mechanism, secured, certificates):
    # Debian's librdkafka 2.0 repeats its part of the nonce in SCRAM's final message; Kafka takes that as well.
    options = [f"-X{name}={value}" for name, value in login(secured, mechanism, ca=certificates).items()
               if name != "bootstrap.servers"]
    topic = f"kcat-{mechanism}"
    subprocess.run(["kcat", "-b", secured, *options, "-t", topic, "-P", "-p", "0"], input=b"line\n", check=True,
                   timeout=60)
    got = subprocess.run(["kcat", "-b", secured, *options, "-t", topic, "-C", "-p", "0", "-o", "beginning", "-e", "-q"],
                         capture_output=True, check=True, timeout=60)
    assert got.stdout == b"line\n"


def jaas(mechanism, user=USER, password=PASSWORD):
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    return f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";'


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_java_tools(mechanism, secured, certificates, tmp_path):
    properties = tmp_path / "client.properties"
    properties.write_text(
        f"security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.jaas.config={jaas(mechanism)}\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={certificates / 'ca.pem'}\n"
    )
    topic = f"java-{mechanism}"
    java = ["java", "-Xmx256m", "-cp", f"{JARS}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    tools = "org.apache.kafka.tools"
    subprocess.run([*java, f"{tools}.ConsoleProducer", "--bootstrap-server", secured, "--topic", topic,
                    "--command-config", properties], input=b"one\ntwo\n", check=True, timeout=90)
    got = subprocess.run([*java, f"{tools}.consumer.ConsoleConsumer", "--bootstrap-server", secured, "--topic", topic,
                          "--command-config", properties, "--partition", "0", "--offset", "earliest",
                          "--max-messages", "2", "--timeout-ms", "20000"],
                         capture_output=True, timeout=90)
    others = subprocess.run([*java, f"{tools}.GetOffsetShell", "--bootstrap-server", secured, "--topic", topic,
                             "--command-config", properties], capture_output=True, text=True, check=True, timeout=90)
    sent = sum(int(line.rsplit(":", 1)[1]) for line in others.stdout.splitlines())
    assert sent == 2, (others.stdout, got.stdout, got.stderr)


def run(*words, password=PASSWORD, expect=0):
    """cartlog as a client; gives both outputs."""
    done = subprocess.run([BINARY, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, env={**environment(), "CARTLOG_PASSWORD": password})
    assert done.returncode == expect, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_cartlog_as_client(secured, certificates, tmp_path):
    base = ["topics", "--brokers", secured, "--store", tmp_path / "store"]
    ca = ["--tls-ca", certificates / "ca.pem"]
    for mechanism in MECHANISMS:
        name = ["--sasl", mechanism.lower(), "--username", USER]
        assert mechanism in run(*base, *ca, *name, "create", mechanism)
    assert "--password-file" in run(*base, *ca, *name, "list", password="wrong", expect=1)
    assert "--tls-ca" in run(*base, "--tls", *name, "list", expect=1)
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    config = tmp_path / "cartlog.toml"
    config.write_text(f"brokers = '{secured}'\n[security]\ntls-ca = '{certificates / 'ca.pem'}'\nsasl = 'plain'\n"
                      f"username = '{USER}'\npassword-file = '{secret}'\n")
    assert "PLAIN" in run("topics", "--config", config, "list", password="unused")


def test_cartlog_at_a_port_without_tls(broker, certificates):
    assert "leave --tls away" in run("topics", "--brokers", broker, "--tls", "list", expect=1)


def test_flags_that_are_for_another_side_say_so(tls, secured, tmp_path):
    """A client without TLS at a port that speaks it, a client's flags at a broker, and a load past every log."""
    assert "if this port speaks TLS, say --tls" in run("topics", "--brokers", secured, "list", expect=1)
    assert "no name to check a certificate by" in run("topics", "--brokers", "[::1]:9093", "--tls", "list", expect=1)
    for flag in (["--sasl", "plain"], ["--username", "me"], ["--tls"]):
        assert f"{flag[0]} is for connections to other brokers" in run("broker", *flag, "--store", tmp_path / "log", expect=2)
    assert "`cartlog run`" in run("load", "events.csv", "--brokers", secured, "--store", tmp_path / "store", expect=2)
    assert not any(tmp_path.joinpath(name).exists() for name in ["log", "store"])


def test_addresses_that_others_can_reach_need_login_and_encryption(tmp_path, users, tls):
    everywhere = ["broker", "--store", tmp_path / "store", "--listen", "0.0.0.0:0"]
    for words in [[], ["--users", users], tls]:
        told = run(*everywhere, *words, expect=1)
        assert "--users" in told and "--tls-cert" in told and "--insecure" in told
    served = subprocess.Popen([BINARY, *map(str, [*everywhere, "--users", users, *tls])], stdout=subprocess.PIPE,
                              text=True, env=environment())
    try:
        assert served.stdout.readline().startswith("Kafka clients: 0.0.0.0:")
    finally:
        served.kill()
        served.wait()
        served.stdout.close()


def test_the_users_file_is_private_and_holds_no_password(users, tmp_path):
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    assert PASSWORD not in users.read_text() and "another" not in users.read_text()
    assert cartlog("users", "list", "--users", users).split() == [b"anna", b"bert"]
    copy = tmp_path / "users"
    copy.write_bytes(users.read_bytes())
    cartlog("users", "remove", "bert", "--users", copy)
    cartlog("users", "remove", "bert", "--users", copy, expect=1)
    assert cartlog("users", "list", "--users", copy).split() == [b"anna"]


# What StorageTool is told, so that the user is there from the start.
SCRAM_USERS = [word for name in MECHANISMS[1:]
               for word in ["--add-scram", f'{name}=[name={USER},password="{PASSWORD}"]']]


def key_store(certificates, folder):
    """The server's key and certificate in one file, as Kafka takes them."""
    store, pkcs8 = folder / "server.pem", folder / "server.key"
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", certificates / "server.key", "-out", pkcs8, cwd=folder)
    store.write_text(pkcs8.read_text() + (certificates / "server.pem").read_text())
    return store


def with_login(text, store, certificates):
    """Properties of Apache Kafka whose listener asks for a login over TLS."""
    text = text.replace("PLAINTEXT://127.0.0.1:", "SECURE://127.0.0.1:").replace(
        "inter.broker.listener.name=PLAINTEXT", "inter.broker.listener.name=SECURE").replace(
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT,SECURE:SASL_SSL")
    scram = "\n".join(f"listener.name.secure.{name.lower()}.sasl.jaas.config={jaas(name)}" for name in MECHANISMS[1:])
    plain = jaas("PLAIN").replace(";", f' user_{USER}="{PASSWORD}";')
    return text + (f"\nsasl.enabled.mechanisms={','.join(MECHANISMS)}\nsasl.mechanism.inter.broker.protocol=PLAIN\n"
                   f"listener.name.secure.plain.sasl.jaas.config={plain}\n{scram}\n"
                   f"ssl.keystore.type=PEM\nssl.keystore.location={store}\n"
                   f"ssl.truststore.type=PEM\nssl.truststore.location={certificates / 'ca.pem'}\n")


@pytest.fixture(scope="module")
def secured_kafka(certificates, tmp_path_factory):
    """Apache Kafka with a listener that asks for a login over TLS."""
    folder = tmp_path_factory.mktemp("secured-kafka")
    port, controller = servers.free_ports(2)
    store = key_store(certificates, folder)
    text = servers.PROPERTIES.format(port=port, controller=controller, folder=folder)
    properties = folder / "server.properties"
    properties.write_text(with_login(text, store, certificates))
    java = ["java", "-Xmx512m", "-cp", f"{JARS}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    tool = [*java, "kafka.tools.StorageTool"]
    cluster = subprocess.run([*tool, "random-uuid"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*tool, "format", "--standalone", "-t", cluster, "-c", properties, *SCRAM_USERS], check=True,
                   capture_output=True)
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen([*java, "kafka.Kafka", properties], stdout=log, stderr=log, cwd=folder)
        try:
            address = f"127.0.0.1:{port}"
            servers.wait_for(lambda: not is_refused(login(address, ca=certificates)), server, folder / "server.log")
            yield address
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_cartlog_at_apache_kafka(mechanism, secured_kafka, certificates, small_rows, tmp_path):
    options = ["--brokers", secured_kafka, "--tls-ca", certificates / "ca.pem", "--sasl", mechanism.lower(),
               "--username", USER, "--topic", f"rows-{mechanism}"]
    run("run", small_rows, "--no-analyses", "--store", tmp_path / "one", *options)
    run("ingest", "--store", tmp_path / "two", *options)
    one, two = (Store(tmp_path / name).analyze("top_interactions", "csv") for name in ["one", "two"])
    assert one == two and one.count(b"\n") > 1
    assert "--password-file" in run("topics", "list", *options, password="wrong", expect=1)
