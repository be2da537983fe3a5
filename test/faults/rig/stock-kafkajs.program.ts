/**
 * kafkajs 2.2.4 as npm delivers it, without our replacements: sends what it is told, all calls at
 * once, and says how each ended. A process of its own, because the replacements are per process.
 *
 *   node stock-kafkajs.program.js '{"brokers":[…],"clientId","topic","requestTimeoutMs","sends":[[[partition,value],…],…]}'
 */
import { createRequire } from 'node:module'
import type * as Kafkajs from 'kafkajs'

export type StockOrder = Readonly<{
  brokers: readonly string[]
  clientId: string
  topic: string
  requestTimeoutMs: number
  sends: readonly (readonly (readonly [partition: number, value: string])[])[]
}>
/** 'ok', or the message of what send() rejected with. */
export type StockAnswer = Readonly<{ outcomes: readonly string[] }>

const require = createRequire(import.meta.url)

async function main(order: StockOrder): Promise<StockAnswer> {
  const { Kafka, logLevel } = require('kafkajs') as typeof Kafkajs
  const { brokers, clientId, topic, requestTimeoutMs, sends } = order
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    logLevel: logLevel.NOTHING,
  })
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 5,
    retry: { retries: 20, initialRetryTime: 50, maxRetryTime: 500 },
  })
  await producer.connect()
  const outcomes = await Promise.all(
    sends.map((records) =>
      producer
        .send({
          topic,
          acks: -1,
          messages: records.map(([partition, value]) => ({ partition, value })),
        })
        .then(
          () => 'ok',
          (error: unknown) => String(error),
        ),
    ),
  )
  await producer.disconnect()
  return { outcomes }
}

// The only caller writes this very shape.
const answer = await main(JSON.parse(process.argv[2] ?? '{}') as StockOrder)
process.stdout.write(`${JSON.stringify(answer)}\n`)
