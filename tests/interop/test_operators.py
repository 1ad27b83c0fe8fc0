"""What an operator sees of a broker: `cartlog topics` beside confluent-kafka's own view of the same broker."""

import json
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

import servers
from cartlog import cartlog, refusal


def shown(brokers, *words, **options):
    return json.loads(cartlog("topics", *words, "--json", "--brokers", brokers, **options))


def produce(brokers, topic, counts):
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 5})
    for partition, count in enumerate(counts):
        for number in range(count):
            producer.produce(topic, value=f"{number}" * 20, partition=partition)
    assert producer.flush(30) == 0


def consumer(brokers, group, **settings):
    return Consumer({"bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, **settings})


def offsets(admin, topic, partitions, spec):
    wanted = {TopicPartition(topic, partition): spec for partition in range(partitions)}
    return {place.partition: future.result(30).offset for place, future in admin.list_offsets(wanted).items()}


def test_topics_are_described_as_the_broker_tells_other_clients(brokers, topic):
    shown(brokers, "create", topic, "--partitions", 3, "--set", "retention.ms=86400000")
    produce(brokers, topic, [700, 0, 31])
    admin = AdminClient({"bootstrap.servers": brokers})
    removed = admin.delete_records([TopicPartition(topic, 0, 100)])
    assert [future.result(30).low_watermark for future in removed.values()] == [100]
    described = shown(brokers, "describe", topic)
    held = {part["partition"]: part for part in described["partitions"]}
    assert {number: part["earliest"] for number, part in held.items()} == offsets(
        admin, topic, 3, OffsetSpec.earliest())
    assert {number: part["latest"] for number, part in held.items()} == offsets(admin, topic, 3, OffsetSpec.latest())
    told = admin.list_topics(topic, timeout=30).topics[topic].partitions
    for number, part in told.items():
        assert (held[number]["leader"], held[number]["replicas"], held[number]["in_sync"]) == (
            part.leader, part.replicas, part.isrs)
    assert held[1]["bytes"] == 0 and held[0]["bytes"] > held[2]["bytes"] > 31 * 20
    assert (described["records"], described["bytes"]) == (631, sum(part["bytes"] for part in held.values()))
    listed = {one["name"]: one for one in shown(brokers, "list")}
    assert (listed[topic]["records"], listed[topic]["bytes"]) == (631, described["bytes"])
    assert not any(name.startswith("__") for name in listed), "internal topics are nobody's business"

    resource = ConfigResource(ResourceType.TOPIC, topic)
    [settings] = [future.result(30) for future in admin.describe_configs([resource]).values()]
    own = {name: setting.value for name, setting in settings.items() if setting.source == 1}
    assert own == {one["name"]: one["value"] for one in described["settings"] if one["is_own"]}
    assert own == {"retention.ms": "86400000"}
    shown(brokers, "alter", topic, "--set", "max.message.bytes=2000000", "--unset", "retention.ms")
    [settings] = [future.result(30) for future in admin.describe_configs([resource]).values()]
    assert {name: setting.value for name, setting in settings.items() if setting.source == 1} == {
        "max.message.bytes": "2000000"}


PROTOCOLS = ["classic", "consumer"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_groups_and_their_lag_are_shown_as_the_broker_tells_other_clients(brokers, topic, protocol):
    if protocol == "consumer" and not servers.offers(brokers, 69):
        pytest.skip("it offers the classic group protocol alone")
    group = f"{topic}-readers"
    shown(brokers, "create", topic, "--partitions", 2)
    produce(brokers, topic, [100, 10])
    reader = consumer(brokers, group, **{"group.protocol": protocol, "client.id": "a reader"})
    reader.subscribe([topic])
    end = time.monotonic() + 60
    while len(reader.assignment()) < 2:
        assert time.monotonic() < end, "it is assigned nothing"
        reader.poll(0.2)
    reader.commit(offsets=[TopicPartition(topic, 0, 40)], asynchronous=False)

    admin = AdminClient({"bootstrap.servers": brokers})
    [future] = admin.describe_consumer_groups([group]).values()
    told = future.result(30)
    [member] = told.members
    seen = shown(brokers, "groups", group)
    assert seen["state"].lower() == told.state.name.lower() == "stable"
    assert [(one["member"], one["client"], one["host"]) for one in seen["members"]] == [
        (member.member_id, "a reader", member.host)]
    read = {(one["topic"], one["partition"]): one for one in seen["partitions"]}
    assert set(read) == {(place.topic, place.partition) for place in member.assignment.topic_partitions}
    assert all(one["member"] == member.member_id for one in read.values())
    first, second = read[topic, 0], read[topic, 1]
    assert (first["committed"], first["end"], first["lag"]) == (40, 100, 60)
    assert (second["committed"], second["end"], second["lag"]) == (None, 10, None)
    reader.commit(offsets=[TopicPartition(topic, 1, 10)], asynchronous=False)
    reader.close()

    [future] = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    committed = {(one.topic, one.partition): one.offset for one in future.result(30).topic_partitions}
    seen = shown(brokers, "groups", group)
    assert {(one["topic"], one["partition"]): one["committed"] for one in seen["partitions"]} == committed
    [line] = [one for one in shown(brokers, "groups") if one["group"] == group]
    assert (line["state"], line["members"], line["partitions"], line["lag"]) == ("Empty", 0, 2, 60)

    listed = json.loads(cartlog("inspect", "--json", "--store", "absent", "--brokers", brokers))["log"]
    assert line in listed["groups"] and topic in [one["name"] for one in listed["topics"]]
    shown(brokers, "delete", topic)
    assert seen["partitions"] and topic not in [one["name"] for one in shown(brokers, "list")]


def test_what_is_not_there_is_named_with_what_to_do(brokers, topic):
    for words, told in [
        (["describe", topic], "topics list"), (["alter", topic, "--set", "retention.ms=5"], "topics list"),
        (["groups", topic], "topics groups"), (["create", topic, "--set", "nonsense=1"], "nonsense"),
    ]:
        failed = refusal("topics", *words, "--brokers", brokers)
        assert told in failed and brokers in failed, failed
    assert topic not in [one["name"] for one in shown(brokers, "list")]
