// kafkajs for the tests: `node kafkajs.js NODE_MODULES VERB ADDRESS WORD...`.
//
// kafkajs has gzip of its own and takes the other codecs as plug-ins; those here need no compiler.
'use strict'

const path = require('path')
const [modules, verb, address, ...words] = process.argv.slice(2)
const load = (name) => require(path.join(modules, name))
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = load('kafkajs')
const lz4 = load('lz4js')
const xxhash = load('lz4js/xxh32')
const fzstd = load('fzstd')
const { ZstdCodec } = load('zstd-codec')

CompressionCodecs[CompressionTypes.Snappy] = load('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => independent(lz4.compress(encoder.buffer)),
  decompress: async (buffer) => blocks(buffer),
})
// lz4js looks for a block's checksum before the block, where the format has it behind: aiokafka writes such frames.
// So this walks over the blocks itself.
function blocks(frame) {
  const [checksums, size] = [frame[4] & 0x10, frame[4] & 0x08]
  const plain = Buffer.alloc(1 << 20)
  let [at, length] = [size ? 15 : 7, 0]
  for (;;) {
    const word = frame.readUInt32LE(at)
    const bytes = word & 0x7fffffff
    at += 4
    if (bytes === 0) return plain.subarray(0, length)
    if (word >>> 31) length += frame.copy(plain, length, at, at + bytes)
    else length = lz4.decompressBlock(frame, plain, at, bytes, length)
    at += bytes + (checksums ? 4 : 0)
  }
}
// Kafka takes frames of independent blocks alone, which a frame of one block is: it only has to say so.
function independent(frame) {
  frame[4] |= 0x20
  frame[6] = (xxhash.hash(0, frame, 4, 2) >> 8) & 0xff
  return Buffer.from(frame)
}
const zstd = new Promise((resolve) => ZstdCodec.run((codec) => resolve(codec)))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(new (await zstd).Simple().compress(encoder.buffer)),
  // zstd-codec reads only frames that tell their size, which streams of other clients don't.
  decompress: async (buffer) => Buffer.from(fzstd.decompress(buffer)),
})
const TYPES = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

const kafka = new Kafka({ brokers: [address], clientId: 'interop', logLevel: logLevel.ERROR, retry: { retries: 8 } })
const show = ({ partition, message }) =>
  process.stdout.write(`record ${partition} ${message.offset} ${message.value}\n`)

async function input() {
  const pieces = []
  for await (const piece of process.stdin) pieces.push(piece)
  return Buffer.concat(pieces).toString().split('\n').map((value) => ({ value }))
}

async function produce(topic, compression, idempotent) {
  const producer = kafka.producer({ idempotent: idempotent === 'true', maxInFlightRequests: 1 })
  await producer.connect()
  const messages = await input()
  // A few requests, so that there is more than one batch of each kind.
  const size = Math.ceil(messages.length / 3)
  for (let at = 0; at < messages.length; at += size) {
    await producer.send({ topic, compression: TYPES[compression], messages: messages.slice(at, at + size) })
  }
  await producer.disconnect()
}

// kafkajs reads in groups only: a group of one that starts at the beginning.
async function read(topic, count) {
  const consumer = kafka.consumer({ groupId: `read-${process.pid}-${Date.now()}` })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let got = 0
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, (event) => reject(event.payload.error))
    consumer.run({
      autoCommit: false,
      eachMessage: async (each) => {
        show(each)
        if (++got === Number(count)) resolve()
      },
    })
  })
  await consumer.disconnect()
}

async function offsetAt(topic, time) {
  const admin = kafka.admin()
  await admin.connect()
  const found = await admin.fetchTopicOffsetsByTimestamp(topic, Number(time))
  process.stdout.write(found.find((each) => each.partition === 0).offset)
  await admin.disconnect()
}

async function transaction() {
  const producer = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
    .producer({ transactionalId: 'shop', maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  try {
    await producer.transaction()
  } finally {
    await producer.disconnect()
  }
}

async function adminLife(topic) {
  const admin = kafka.admin()
  await admin.connect()
  const seen = {}
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, numPartitions: 2, configEntries: [{ name: 'max.message.bytes', value: '500000' }] }],
  })
  seen.created = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const configs = await admin.describeConfigs({ includeSynonyms: false, resources: [{ ...resource }] })
  seen.limit = configs.resources[0].configEntries.find((each) => each.configName === 'max.message.bytes').configValue
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  seen.grown = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  const producer = kafka.producer()
  await producer.connect()
  const messages = [...Array(10).keys()].map((number) => ({ value: `${number}`, partition: 0 }))
  await producer.send({ topic, messages })
  await producer.disconnect()
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
  const offsets = (await admin.fetchTopicOffsets(topic)).find((each) => each.partition === 0)
  seen.offsets = [Number(offsets.low), Number(offsets.high)]
  await admin.setOffsets({ groupId: `${topic}-group`, topic, partitions: [{ partition: 0, offset: '7' }] })
  const committed = await admin.fetchOffsets({ groupId: `${topic}-group`, topics: [topic] })
  seen.committed = Number(committed[0].partitions.find((each) => each.partition === 0).offset)
  seen.listed = (await admin.listGroups()).groups.some((each) => each.groupId === `${topic}-group`)
  seen.state = (await admin.describeGroups([`${topic}-group`])).groups[0].state
  await admin.deleteGroups([`${topic}-group`])
  seen.forgotten = !(await admin.listGroups()).groups.some((each) => each.groupId === `${topic}-group`)
  seen.brokers = (await admin.describeCluster()).brokers.length
  await admin.deleteTopics({ topics: [topic] })
  seen.deleted = !(await admin.listTopics()).includes(topic)
  await admin.disconnect()
  process.stdout.write(JSON.stringify(seen))
}

async function member(topic, groupId) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000 })
  const leave = async () => {
    await consumer.disconnect()
    process.exit(0)
  }
  process.on('SIGTERM', leave)
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ autoCommitThreshold: 20, eachMessage: async (each) => show(each) })
}

const VERBS = { produce, read, 'offset-at': offsetAt, transaction, admin: adminLife, member }
VERBS[verb](...words).catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
})
