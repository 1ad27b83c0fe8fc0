"""Kafka clients that nobody here wrote, behind one face, so that each test runs with each of them.

A client is a module with these names; one that a client has no way to do is absent:

    NAME                                                      how the tests call it
    COMPRESSIONS                                              what it can compress with
    produce(address, topic, values, compression, idempotent)  sends all values and waits for each acknowledgement
    read(address, topic, partitions, count)                   [(partition, offset, value)] by assignment, from the start
    offset_at(address, topic, time_ms)                        where partition 0 goes on from that time; the end if nowhere
    transaction(address)                                      begins a transaction, and raises what the client says to that
    member(address, topic, group)                             the words of a process that is a member of the group
    FORGOTTEN_AT_LEAVE                                        how many records it commits unread when told to leave, at most

A member prints `record PARTITION OFFSET VALUE` for what it gets; SIGTERM makes it commit and leave. `event` reads its lines.
"""

from clients import aiokafka_client, confluent, java, kafka_python, kafkajs, kcat

CLIENTS = [confluent, kcat, kafka_python, aiokafka_client, kafkajs, java]
EVERY_COMPRESSION = ["none", "gzip", "snappy", "lz4", "zstd"]


def event(line):
    """What a member's line says: a word and its values, or nothing that matters."""
    words = line.split(" ", 3)
    if words[0] == "record" and len(words) == 4:
        return ("record", int(words[1]), int(words[2]), words[3].rstrip("\n"))
    return java.event(line) if line.startswith("{") else None
