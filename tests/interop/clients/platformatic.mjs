// The client of npm's @platformatic/kafka: produces, and reads in a group up to a number of records, which it commits.
//
//     node platformatic.mjs MODULES produce HOST:PORT TOPIC COUNT
//     node platformatic.mjs MODULES read HOST:PORT TOPIC GROUP COUNT      prints a line a record: partition, offset, value

import { pathToFileURL } from 'node:url'

const [modules, verb, address, topic, ...rest] = process.argv.slice(2)
const { Consumer, Producer, stringDeserializers, stringSerializers } = await import(
  pathToFileURL(`${modules}/@platformatic/kafka/dist/index.js`).href
)
const common = { clientId: 'platformatic', bootstrapBrokers: [address] }

if (verb === 'produce') {
  const producer = new Producer({ ...common, serializers: stringSerializers })
  const messages = Array.from({ length: Number(rest[0]) }, (_, number) => ({ topic, key: `${number}`, value: `v${number}` }))
  await producer.send({ messages })
  await producer.close()
} else {
  const consumer = new Consumer({ ...common, groupId: rest[0], deserializers: stringDeserializers })
  const reading = { mode: 'committed', fallbackMode: 'earliest', maxWaitTime: 200, autocommit: false }
  const stream = await consumer.consume({ topics: [topic], ...reading })
  let left = Number(rest[1])
  for await (const message of stream) {
    console.log(message.partition, String(message.offset), message.value)
    await message.commit()
    if (--left === 0) break
  }
  await consumer.close(true)
}
