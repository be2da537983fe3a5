/**
 * Parts of kafkajs 2.2.4 that cost too much, wait too long or break off, replaced before the package is
 * first required. Its package has no `exports` map, so a deep require and the require cache reach
 * them; the version is pinned, and kafkajs-replacements.test.ts holds each part to real bytes.
 *
 *   produce v3 request      one buffer per request instead of an object per record, header, field
 *                           (v4 to v7 go through v3)
 *   groupMessagesPerPartition  our batches name their partition; the stock one copies per message
 *   joinGroup response      the stock one keeps a member's new id to itself until the group has
 *                           gathered; who is killed meanwhile would have nothing to leave by
 *   requestQueue timer      the stock one runs a 1 ms timer per connection for ever
 *   eosManager broker lock  the stock one lets one idempotent request per broker fly at a time.
 *                           Sequence numbers are per partition, and PartitionedWriter already
 *                           keeps one request per partition in flight, so the lock guards nothing
 *   fetch decodeMessages    one object per batch, and the checksum that kafkajs never looks at
 *   consumer Batch          the stock one leaves out what lies below the offset that it asked for,
 *                           markers and aborted records, and moves past them on its own, whatever
 *                           offsets they claim to have
 *   Connection.connect      the stock one opens a socket per caller that finds none; the spare ones
 *                           end the live one when the broker closes them as idle
 *   Connection.processData  the stock one copies every response once more, to put it behind nothing
 *   BrokerPool.removeBroker the stock one forgets even the only broker, after which a consumer
 *                           starts anew as a new member, and waits for its old self to expire
 *   OffsetManager.setDefaultOffset  where the log has no such offset, the stock one commits
 *                           "earliest" over the group's checkpoint, and its metadata is gone
 *
 * The encoder falls back to the stock code for anything but our own packed batches.
 */
import { createRequire } from 'node:module'
import type * as Kafkajs from 'kafkajs'
import { systemClock } from '../clock.ts'
import { type BatchMessage, fetchedBatches } from './fetched-batches.ts'
import { PackedRecords } from './packed-records.ts'
import { encodeProduceBody } from './produce-request.ts'
import type { RawBatch } from './record-batch-reader.ts'

const VERSION = '2.2.4'
const require = createRequire(import.meta.url)

/** kafkajs's own shapes, as far as the replacements touch them. */
type ProduceArguments = Readonly<{
  acks: number
  timeout: number
  transactionalId?: string | null
  /** Kafkajs keeps 64-bit numbers as text or as objects of its own. */
  producerId?: string | number | Readonly<{ toString(): string }>
  producerEpoch?: number
  compression?: number
  topicData: readonly Readonly<{
    topic: string
    partitions: readonly Readonly<{ messages: unknown; firstSequence?: number }>[]
  }>[]
}>
type ProduceRequest = Readonly<{
  apiKey: number
  apiVersion: number
  apiName: string
  expectResponse: () => boolean
  encode: () => Promise<unknown>
}>
export type ProduceRequestFactory = (request: ProduceArguments) => ProduceRequest
type Grouping = (input: Readonly<{ messages: unknown }>) => Record<number, unknown>
type EosManagerFactory = (options: Readonly<{ transactional: boolean }>) => Record<string, unknown>
type RequestQueue = {
  throttleCheckTimeoutId: NodeJS.Timeout | null
  throttledUntil: number
  pending: readonly unknown[]
  checkPendingRequests(): void
}
type FetchDecoder = { readonly buffer: Buffer; offset: number; readInt32(): number }
type Codec = Readonly<{ decompress(bytes: Buffer): Promise<Buffer> }>

let installed: typeof Kafkajs | undefined

/** The kafkajs module with the replacements in. Requiring it twice gives the same module. */
export function requireKafkajs(): typeof Kafkajs {
  installed ??= install()
  return installed
}

/** A module of kafkajs by its path, as it is, for the tests that compare. */
export function requireStock(path: string): unknown {
  return require(`kafkajs/src/${path}`)
}

function install(): typeof Kafkajs {
  const { version } = require('kafkajs/package.json') as { version: string }
  if (version !== VERSION) {
    throw new Error(`kafkajs ${version} is installed, but the replacements are for ${VERSION}`)
  }
  replace('protocol/requests/produce/v3/request', produceRequest)
  replace('producer/groupMessagesPerPartition', grouping)
  replace('producer/eosManager', withoutBrokerLock)
  replace('protocol/requests/fetch/v4/decodeMessages', () => fetchedMessages)
  replace('consumer/batch', withEveryBatch)
  replace('protocol/requests/joinGroup', tellingMemberIds)
  replaceTimer()
  connectOnce()
  takeFramesWhole()
  keepLastBroker()
  keepCheckpoint()
  return require('kafkajs') as typeof Kafkajs
}

// `as` throughout this file: kafkajs publishes no types for its inner modules.
function replace<T>(path: string, replacementOf: (stock: T) => T): void {
  const resolved = require.resolve(`kafkajs/src/${path}`)
  const stock = require(resolved) as T
  const entry = require.cache[resolved]
  if (entry === undefined) throw new Error(`kafkajs has no module ${path}`)
  entry.exports = replacementOf(stock)
}

/** Exported for the test that compares its bytes with the stock ones. */
export function produceRequest(stock: ProduceRequestFactory): ProduceRequestFactory {
  return (request) => {
    const body = packedBody(request)
    if (body === undefined) return stock(request)
    const { acks, timeout: timeoutMs } = request
    return {
      ...stock({ ...request, topicData: [] }),
      encode: async () => {
        const buf = encodeProduceBody({ ...body, acks, timeoutMs })
        return { buf, buffer: buf } // The two fields that kafkajs reads of an Encoder.
      },
    }
  }
}

function packedBody(request: ProduceArguments) {
  const topic = request.topicData[0]
  const partition = topic?.partitions[0]
  const records = partition?.messages
  if (topic === undefined || !(records instanceof PackedRecords)) return undefined
  if (request.topicData.length > 1 || topic.partitions.length > 1) {
    throw new Error('a packed batch travels alone: one send per partition')
  }
  if ((request.compression ?? 0) !== 0 || (request.transactionalId ?? null) !== null) {
    throw new Error('a packed batch is neither compressed nor part of a transaction')
  }
  return {
    topic: topic.topic,
    records,
    producerId: BigInt((request.producerId ?? -1).toString()),
    producerEpoch: request.producerEpoch ?? 0,
    firstSequence: partition?.firstSequence ?? 0,
  }
}

function grouping(stock: Grouping): Grouping {
  return (input) =>
    input.messages instanceof PackedRecords
      ? { [input.messages.partition]: input.messages }
      : stock(input)
}

function withoutBrokerLock(stock: EosManagerFactory): EosManagerFactory {
  return (options) => {
    const manager = stock(options)
    if (options.transactional) return manager
    return { ...manager, acquireBrokerLock: async () => {}, releaseBrokerLock: () => {} }
  }
}

type JoinArguments = Readonly<{ groupProtocols: readonly Readonly<{ metadata: Buffer }>[] }>
type JoinCall = Readonly<{ response: Readonly<{ parse(data: unknown): Promise<unknown> }> }>
type JoinRequests = Readonly<{
  protocol(of: Readonly<{ version: number }>): (request: JoinArguments) => JoinCall
}>

const joining = new WeakMap<Buffer, (memberId: string) => void>()

/** Who joins with this very metadata is told its member id as soon as the group has given one. */
export function onMemberId(metadata: Buffer, told: (memberId: string) => void): void {
  joining.set(metadata, told)
}

function tellingMemberIds(stock: JoinRequests): JoinRequests {
  const protocol: JoinRequests['protocol'] = (of) => (request) => {
    const call = stock.protocol(of)(request)
    const parse = async (data: unknown): Promise<unknown> => {
      try {
        return await call.response.parse(data)
      } catch (error) {
        // Kafka refuses the first request of a member, and says by which id to come again.
        const metadata = request.groupProtocols[0]?.metadata
        if (error instanceof Error && 'memberId' in error && metadata !== undefined) {
          joining.get(metadata)?.(String(error.memberId))
        }
        throw error
      }
    }
    return { ...call, response: { ...call.response, parse } }
  }
  return { ...stock, protocol }
}

const CHECK_PENDING_MS = 10

function replaceTimer(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue') as {
    prototype: { scheduleCheckPendingRequests(this: RequestQueue): void }
  }
  prototype.scheduleCheckPendingRequests = function () {
    if (this.throttleCheckTimeoutId !== null) return
    let delayMs = this.throttledUntil - systemClock.nowMs() // kafkajs sets it from the wall clock.
    if (delayMs <= 0) {
      if (this.pending.length === 0) return
      delayMs = CHECK_PENDING_MS
    }
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    }, delayMs)
  }
}

type Connecting = { connect: (this: Connecting) => Promise<unknown> }

function connectOnce(): void {
  const { prototype } = require('kafkajs/src/network/connection') as { prototype: Connecting }
  const stock = prototype.connect
  const underWay = new WeakMap<Connecting, Promise<unknown>>()
  prototype.connect = function () {
    let connecting = underWay.get(this)
    if (connecting === undefined) {
      connecting = stock.call(this).finally(() => underWay.delete(this))
      underWay.set(this, connecting)
    }
    return connecting
  }
}

type Receiving = {
  chunks: readonly Buffer[]
  bytesBuffered: number
  processData: (this: Receiving, data: Buffer) => void
}

/** frame-socket.ts gives whole responses; after each, the stock one keeps an empty rest. */
function takeFramesWhole(): void {
  const { prototype } = require('kafkajs/src/network/connection') as { prototype: Receiving }
  const stock = prototype.processData
  prototype.processData = function (data) {
    if (this.bytesBuffered === 0) this.chunks = []
    stock.call(this, data)
  }
}

type BrokerPool = {
  brokers: Readonly<Record<string, unknown>>
  metadataExpireAt: number | null
  removeBroker: (this: BrokerPool, address: unknown) => void
}

function keepLastBroker(): void {
  const { prototype } = require('kafkajs/src/cluster/brokerPool') as { prototype: BrokerPool }
  const stock = prototype.removeBroker
  prototype.removeBroker = function (address) {
    if (Object.keys(this.brokers).length > 1) return stock.call(this, address)
    this.metadataExpireAt = null // As the stock one does: ask anew before the next use.
  }
}

type Place = Readonly<{ topic: string; partition: number }>
type TopicOffset = Readonly<{ partitions: readonly Readonly<{ offset: string }>[] }>
type OffsetManager = {
  cluster: { fetchTopicsOffset(topics: readonly unknown[]): Promise<readonly TopicOffset[]> }
  resolvedOffsets: Record<string, Record<number, string | undefined>>
  setDefaultOffset: (this: OffsetManager, place: Place) => Promise<void>
}

/** The next fetch asks for the nearest offset there is; KafkaConsumer sees where it lies. */
function keepCheckpoint(): void {
  const { prototype } = require('kafkajs/src/consumer/offsetManager') as {
    prototype: OffsetManager
  }
  prototype.setDefaultOffset = async function ({ topic, partition }) {
    const ask = async (fromBeginning: boolean): Promise<number> => {
      const asked = { topic, fromBeginning, partitions: [{ partition }] }
      const [found] = await this.cluster.fetchTopicsOffset([asked])
      return Number(found?.partitions[0]?.offset)
    }
    const [earliest, end] = [await ask(true), await ask(false)]
    const wanted = Number(this.resolvedOffsets[topic]?.[partition] ?? earliest)
    const nearest = Math.max(earliest, Math.min(wanted, end))
    if (Number.isNaN(nearest)) return // The partition has no leader at the moment.
    this.resolvedOffsets[topic] = { ...this.resolvedOffsets[topic], [partition]: String(nearest) }
  }
}

type PartitionFetch = Readonly<{ abortedTransactions?: readonly unknown[] | null }>
type StockBatch = new (
  topic: string,
  fetchedOffset: string,
  fetch: PartitionFetch,
) => { rawMessages: unknown[]; messages: unknown[]; messagesWithinOffset: unknown[] }

/** KafkaLogBatch leaves out what is not to be read, after it has seen that all of it fits. */
function withEveryBatch(stock: StockBatch): StockBatch {
  return class extends stock {
    readonly abortedTransactions: readonly unknown[]

    constructor(topic: string, fetchedOffset: string, fetch: PartitionFetch) {
      super(topic, fetchedOffset, { ...fetch, abortedTransactions: [] })
      this.abortedTransactions = fetch.abortedTransactions ?? []
      this.messages = this.messagesWithinOffset = this.rawMessages
    }
  }
}

function fetchedMessages(decoder: FetchDecoder): Promise<BatchMessage[]> {
  const size = decoder.readInt32()
  const start = decoder.offset
  const end = Math.min(start + Math.max(size, 0), decoder.buffer.length)
  decoder.offset = end
  return fetchedBatches(decoder.buffer.subarray(start, end), decompress)
}

async function decompress(raw: RawBatch): Promise<Buffer> {
  const codecs = require('kafkajs/src/protocol/message/compression') as {
    lookupCodecByAttributes(attributes: number): Codec | null
  }
  const codec = codecs.lookupCodecByAttributes(raw.compression)
  if (codec === null) throw new Error(`a batch is compressed by codec ${raw.compression}`)
  return codec.decompress(raw.body)
}
