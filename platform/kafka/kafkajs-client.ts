/**
 * The door to kafkajs: one configured client per process, its logs in our words, and its errors
 * told apart by their Kafka type.
 */
import { isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory, Kafka } from 'kafkajs'
import { spelledOut } from '../config/option-names.ts'
import { Failure } from '../failure.ts'
import type { Logger } from '../observe/logger.ts'
import { connectFramed } from './frame-socket.ts'
import { requireKafkajs } from './kafkajs-replacements.ts'

const CONNECTION_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 15_000
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000

/**
 * How often connecting and asking for metadata is repeated. Whoever has a loop of its own wants an
 * answer soon. A consumer must not get one: kafkajs ends it, and what starts instead is a new
 * member of the group, which waits until its old self has expired.
 */
export const CONNECT_RETRIES = { few: 5, endless: 1_000_000_000 }

/** kafkajs warns of few retries in an idempotent producer; kafkajs-writer.ts has the endless loop. */
const RETRIES_ARE_OURS = 'Limiting retries for the idempotent producer'

export function createKafkaClient(
  options: Readonly<{ brokers: readonly string[]; clientId: string; logger: Logger }>,
  retries: number,
): Kafka {
  const { Kafka, logLevel } = requireKafkajs()
  const logger = options.logger.with({ part: 'kafka' })
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    socketFactory: connectSocket,
    retry: { retries, initialRetryTime: RETRY_MS_MIN, maxRetryTime: RETRY_MS_MAX },
    logLevel: logLevel.INFO,
    logCreator:
      () =>
      ({ namespace, level, log }) => {
        const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...rest } = log
        const fields = { namespace, ...rest }
        // What kafkajs calls an error is an attempt that it repeats: whoever gives up says so.
        if (level <= logLevel.WARN && !message.startsWith(RETRIES_ARE_OURS)) {
          logger.warn(message, fields)
        } else logger.debug(message, fields)
      },
  })
}

/** As kafkajs's own, but a dead peer is noticed sooner, and small requests leave at once. */
const connectSocket: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const named = isIP(host) === 0 ? { servername: host } : {}
  const socket = ssl
    ? connectTls({ host, port, ...named, ...ssl }, onConnect)
    : connectFramed({ host, port }, onConnect)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  socket.setNoDelay(true)
  // While a broker is down kafkajs adds a listener per caller that waits for the socket.
  socket.setMaxListeners(0)
  return socket
}

/** Kafka's name of the error (`MESSAGE_TOO_LARGE`), or kafkajs's (`KafkaJSConnectionError`). */
export function kafkaErrorType(error: unknown): string {
  let innermost = 'unknown'
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('type' in at && typeof at.type === 'string') return at.type
    innermost = at.name
  }
  return innermost
}

/** The message of the innermost cause: kafkajs wraps what happened once per layer. */
export function kafkaErrorText(error: unknown): string {
  let text = String(error)
  for (let at = error; at instanceof Error; at = at.cause) text = at.message
  return text
}

export function noKafka(brokers: readonly string[], cause: unknown): Failure {
  const text = `no Kafka answers at ${brokers.join(', ')} (${spelledOut('kafkaBrokers')})`
  return new Failure('unavailable', text, { cause })
}

/** Resolves when the work is done or the time is over, whichever comes first. */
export async function before(deadlineMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
