"""A topic's and a group's life, as Apache Kafka's own tools and the admin clients of others lead it."""

import json
import re
import time

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)
from kafka.admin import ConfigResource as PythonResource
from kafka.admin import ConfigResourceType, KafkaAdminClient
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as PythonPartition

from clients import java, kafkajs
from test_clients import create

START_MS = 1_700_000_000_000


def topics(server, *words):
    return java.tool("TopicCommand", server.address, *words)


def dated(address, topic, count):
    """Records whose number is the second of their timestamp."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5})
    for number in range(count):
        producer.produce(topic, str(number).encode(), partition=0, timestamp=START_MS + number * 1000)
    assert producer.flush(20) == 0


def test_java_tools_lead_a_topic_through_its_life(server, topic):
    topics(server, "--create", "--topic", topic, "--partitions", 2, "--replication-factor", 1,
           "--config", "segment.bytes=1048576")
    topics(server, "--alter", "--topic", topic, "--partitions", 3)
    said = topics(server, "--describe", "--topic", topic)
    assert "PartitionCount: 3" in said and "segment.bytes=1048576" in said, said
    configs = lambda *words: java.tool("kafka.admin.ConfigCommand", server.address, "--entity-type", "topics",
                                       "--entity-name", topic, *words)
    configs("--alter", "--add-config", "retention.ms=86400000,max.message.bytes=2000000")
    said = configs("--describe")
    assert "retention.ms=86400000" in said and "max.message.bytes=2000000" in said, said
    configs("--alter", "--delete-config", "retention.ms")
    assert "retention.ms=86400000" not in configs("--describe")
    topics(server, "--delete", "--topic", topic)
    assert topic not in topics(server, "--list").split()


def test_java_tools_lead_a_group_through_its_life(server, topic, tmp_path):
    """The console's producer and consumer, offsets by time, resets, deleted records, and the group's end."""
    group = f"group-{topic}"
    create(server.address, topic, 1)
    dated(server.address, topic, 100)
    got = java.tool("consumer.ConsoleConsumer", server.address, "--topic", topic, "--group", group, "--from-beginning",
                    "--max-messages", 100, "--timeout-ms", 30_000)
    assert got.split() == [str(number) for number in range(100)]
    groups = lambda *words: java.tool("consumer.group.ConsumerGroupCommand", server.address, *words)
    assert group in groups("--list").split()
    described = groups("--describe", "--group", group)
    assert re.search(rf"{topic}\s+0\s+100\s+100\s+0\b", described), described
    # Second 42 of the records, as the tool wants to be told.
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(START_MS // 1000 + 42))
    reset = groups("--group", group, "--topic", topic, "--reset-offsets", "--to-datetime", moment, "--execute")
    assert re.search(rf"{topic}\s+0\s+42\b", reset), reset
    got = java.tool("consumer.ConsoleConsumer", server.address, "--topic", topic, "--group", group,
                    "--max-messages", 58, "--timeout-ms", 30_000)
    assert got.split()[0] == "42" and len(got.split()) == 58
    records = tmp_path / "delete.json"
    records.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 30}]}))
    assert "low_watermark: 30" in java.tool("DeleteRecordsCommand", server.address, "--offset-json-file", records)
    assert java.tool("GetOffsetShell", server.address, "--topic", topic, "--time", "earliest").strip() == f"{topic}:0:30"
    assert "Successful" in groups("--delete-offsets", "--group", group, "--topic", topic)
    assert "successful" in groups("--delete", "--group", group)
    assert group not in groups("--list").split()


def test_java_performance_tools(server, topic):
    create(server.address, topic, 1)
    versions = java.tool("BrokerApiVersionsCommand", server.address)
    assert re.search(r"Produce\(0\): 0 to \d+", versions) and "JoinGroup(11)" in versions, versions
    producer = ["--topic", topic, "--num-records", 20_000, "--record-size", 100, "--throughput", -1]
    said = java.tool("ProducerPerformance", server.address, *producer, "--command-property", "acks=all")
    assert "20000 records sent" in said, said
    said = java.tool("ConsumerPerformance", server.address, "--topic", topic, "--num-records", 20_000,
                     "--timeout", 30_000)
    # Start, end, MB, MB a second, and then how many records came.
    assert said.splitlines()[-1].split(",")[4].strip() == "20000", said
    assert java.tool("GetOffsetShell", server.address, "--topic", topic).strip() == f"{topic}:0:20000"
    said = java.tool("EndToEndLatency", server.address, "--topic", topic, "--num-records", 200,
                     "--producer-acks", "all", "--record-size", 100)
    assert "99.9th" in said, said


def test_confluent_admin(server, topic):
    admin = AdminClient({"bootstrap.servers": server.address})
    one = lambda futures: next(iter(futures.values())).result(20)
    one(admin.create_topics([NewTopic(topic, 2, 1, config={"max.message.bytes": "500000"})]))
    one(admin.create_partitions([NewPartitions(topic, 5)]))
    assert len(admin.list_topics(topic, timeout=20).topics[topic].partitions) == 5
    assert len(one(admin.describe_topics(TopicCollection([topic]))).partitions) == 5
    resource = ConfigResource(ResourceType.TOPIC, topic)
    assert one(admin.describe_configs([resource]))["max.message.bytes"].value == "500000"
    change = ConfigEntry("retention.ms", "1234567", incremental_operation=AlterConfigOpType.SET)
    one(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])]))
    configs = one(admin.describe_configs([resource]))
    assert (configs["retention.ms"].value, configs["max.message.bytes"].value) == ("1234567", "500000")
    dated(server.address, topic, 10)
    assert one(admin.delete_records([TopicPartition(topic, 0, 4)])).low_watermark == 4
    offset = lambda spec: one(admin.list_offsets({TopicPartition(topic, 0): spec})).offset
    assert (offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())) == (4, 10)
    group = f"group-{topic}"
    committed = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])
    one(admin.alter_consumer_group_offsets([committed]))
    found = one(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    assert [(each.partition, each.offset) for each in found.topic_partitions] == [(0, 7)]
    assert group in {each.group_id for each in admin.list_consumer_groups().result(20).valid}
    assert one(admin.describe_consumer_groups([group])).state.name == "EMPTY"
    one(admin.delete_consumer_groups([group]))
    assert len(admin.describe_cluster().result(20).nodes) == 1
    one(admin.delete_topics([topic]))
    assert topic not in admin.list_topics(timeout=20).topics


def test_kafka_python_admin(server, topic):
    admin, place, group = KafkaAdminClient(bootstrap_servers=server.address), PythonPartition(topic, 0), f"group-{topic}"
    admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1,
                                 "configs": {"max.message.bytes": "500000"}}}, wait_for_metadata=True)
    admin.create_partitions({topic: 5})
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 5
    admin.alter_configs([PythonResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1234567"})])
    found = admin.describe_configs([PythonResource(ConfigResourceType.TOPIC, topic, None)])
    values = {name: value["value"] for name, value in next(iter(found.values()))[topic].items()}
    assert (values["retention.ms"], values["max.message.bytes"]) == ("1234567", "500000")
    dated(server.address, topic, 10)
    assert admin.delete_records({place: 4})[place]["low_watermark"] == 4
    # -2 asks for the earliest offset, -1 for the latest.
    assert [admin.list_partition_offsets({place: spec})[place].offset for spec in (-2, -1)] == [4, 10]
    admin.alter_group_offsets(group, {place: OffsetAndMetadata(7, "by hand", -1)})
    committed = admin.list_group_offsets(group)[group][place]
    assert (committed.offset, committed.metadata) == (7, "by hand")
    assert group in [each["group_id"] for each in admin.list_groups()]
    assert admin.describe_groups([group])[group]["group_state"] == "Empty"
    admin.delete_groups([group])
    assert group not in [each["group_id"] for each in admin.list_groups()]
    assert len(admin.describe_cluster()["brokers"]) == 1
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
    admin.close()


def test_kafkajs_admin(server, topic):
    assert kafkajs.admin(server.address, topic) == {
        "created": 2, "limit": "500000", "grown": 5, "offsets": [4, 10], "committed": 7, "listed": True,
        "state": "Empty", "forgotten": True, "brokers": 1, "deleted": True,
    }


def test_a_cluster_of_one_has_nothing_to_elect_or_to_move(server, topic):
    create(server.address, topic, 3)
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    try:
        described = admin.describe_topic_partitions([topic], response_partition_limit=2)
        assert [part["partition_index"] for part in described["topics"][0]["partitions"]] == [0, 1]
        cursor = described["next_cursor"]
        assert (cursor["topic_name"], cursor["partition_index"]) == (topic, 2)
        rest = admin.describe_topic_partitions([topic], response_partition_limit=2, cursor=cursor)
        assert [part["partition_index"] for part in rest["topics"][0]["partitions"]] == [2]
        assert rest["next_cursor"] is None
        node = rest["topics"][0]["partitions"][0]["leader_id"]
        # 84: ELECTION_NOT_NEEDED.
        (elected, partitions), = [result[:2] for result in admin.elect_leaders(0, {topic: [0, 1, 2]}).replica_election_results]
        assert elected == topic and sorted(tuple(part[:2]) for part in partitions) == [(0, 84), (1, 84), (2, 84)]
        first = PythonPartition(topic, 0)
        assert admin.alter_partition_reassignments({first: [node]}) == {first: None}
        assert admin.list_partition_reassignments() == {}
        assert admin.alter_partition_reassignments({first: [node, node + 1]})[first] is not None
        resources = admin.list_config_resources()
        assert topic in resources["topic"] and str(node) in resources["broker"]
    finally:
        admin.close()
