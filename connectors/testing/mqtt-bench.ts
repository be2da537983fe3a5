/** A listener on a free port with a writer that obeys the test, and raw sockets to talk to it. */
import { once } from 'node:events'
import { type Socket, connect as connectSocket } from 'node:net'
import { secretHash, usernameOf } from '../../devices/credential.ts'
import {
  type CredentialRow,
  DeviceDirectory,
  type DeviceChangeHandler,
  type DeviceChanges,
} from '../../devices/device-directory.ts'
import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { DeviceLanes } from '../device-lanes.ts'
import { HoldingWriter } from './holding-writer.ts'
import { RefusalLog } from '../refusal-log.ts'
import { Ingress } from '../ingress.ts'
import { Tally } from '../tally.ts'
import { type ConnectFields, connectPacket } from './client-packet-writer.ts'
import { MqttListener } from '../mqtt/mqtt-listener.ts'
import { MQTT_LIMITS, type MqttLimits } from '../mqtt/mqtt-limits.ts'

export const TENANT = 'acme'
export const DEVICE = 'press-7'
export const SECRET = 'a secret'
const CREDENTIAL_KEY = 'test key'
export const PAYLOAD_BYTES_MAX = 1024

export const QUIET: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => QUIET,
}

/** Devices in memory; tests change them and say so, as Postgres would. */
export class DevicesInMemory implements DeviceChanges {
  readonly name = 'devices-in-memory'
  readonly failure = new Promise<never>(() => undefined)
  readonly rows: CredentialRow[] = []
  down = false
  queries = 0
  #handler: DeviceChangeHandler | undefined

  add(device: string, secret: string, state: CredentialRow['state'] = 'active'): void {
    this.rows.push({
      secretHash: secretHash(CREDENTIAL_KEY, secret),
      username: usernameOf(TENANT, device),
      tenant: TENANT,
      device,
      state,
      clockPolicy: 'reject',
      validFromMs: null,
      validUntilMs: null,
    })
  }

  remove(device: string): void {
    const kept = this.rows.filter((row) => row.device !== device)
    this.rows.splice(0, this.rows.length, ...kept)
  }

  async find(hashes: readonly Buffer[]): Promise<readonly CredentialRow[]> {
    this.queries++
    if (this.down) throw new Error('the database is down')
    return this.rows.filter((row) => hashes.some((hash) => hash.equals(row.secretHash)))
  }

  subscribe(handler: DeviceChangeHandler): void {
    this.#handler = handler
  }
  tellChanged(device: string): void {
    this.#handler?.changed(TENANT, device)
  }
  tellListening(): void {
    this.#handler?.listening()
  }
  async start(): Promise<void> {
    this.tellListening()
  }
  async drain(): Promise<void> {}
}

export type Bench = Readonly<{
  listener: MqttListener
  writer: HoldingWriter
  devices: DevicesInMemory
  metrics: Metrics
  tally: Tally
  port: number
  /** A connected raw socket; with fields, past CONNACK. */
  open(fields?: ConnectFields): Promise<Peer>
  stop(): Promise<void>
}>

export type BenchOptions = Readonly<{
  storesAtOnce?: boolean
  limits?: Partial<MqttLimits>
  clock?: Clock
}>

export async function startBench(options: BenchOptions = {}): Promise<Bench> {
  const { storesAtOnce = true, clock = systemClock } = options
  const metrics = new Metrics({ role: 'test', processMetrics: false })
  const writer = new HoldingWriter({ storesAtOnce })
  const devices = new DevicesInMemory()
  devices.add(DEVICE, SECRET)
  const tally = new Tally(metrics)
  const directory = new DeviceDirectory({
    credentialKey: CREDENTIAL_KEY,
    source: devices,
    changes: devices,
    clock,
    logger: QUIET,
  })
  const ingress = new Ingress({
    writer,
    lanes: new DeviceLanes(8),
    tally,
    topicPrefix: '',
    acceptedAgeMs: 391 * 86_400_000,
    payloadBytesMax: PAYLOAD_BYTES_MAX,
    encode: (telemetry) => Buffer.from(JSON.stringify(telemetry)),
    deadLetterSource: { service: 'test', version: '0' },
    deadLetterPartitions: 2,
    quarantinePartitions: 2,
    refusals: new RefusalLog(QUIET),
  })
  const limits = { ...MQTT_LIMITS, lingerMs: 100, ...options.limits }
  const shared = { ingress, directory, tally, metrics, logger: QUIET, clock, limits }
  const listener = new MqttListener({ host: '127.0.0.1', port: 0, ...shared })
  await directory.start()
  await listener.start()
  return {
    listener,
    writer,
    devices,
    metrics,
    tally,
    port: listener.port,
    open: (fields) => openPeer(listener.port, fields),
    async stop() {
      await listener.drain(0)
      await directory.drain(0)
    },
  }
}

async function openPeer(port: number, fields?: ConnectFields): Promise<Peer> {
  const socket = connectSocket({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  const peer = new Peer(socket)
  if (fields === undefined) return peer
  peer.send(connectPacket({ username: `${DEVICE}@${TENANT}`, password: SECRET, ...fields }))
  await peer.receive(4)
  return peer
}

/** The device's end of a connection, byte by byte. */
export class Peer {
  readonly socket: Socket
  /** Resolves when the server has closed the connection, with the bytes not yet received(). */
  readonly ended: Promise<Buffer>
  #bytes = Buffer.alloc(0)
  #changed: () => void = () => undefined
  #over = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#changed()
    })
    socket.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#over = true
        this.#changed()
        resolve(this.#bytes)
      })
    })
  }

  get waiting(): Buffer {
    return this.#bytes
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  /** The next `count` bytes; rejects when the connection ends before. */
  async receive(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      if (this.#over) throw new Error(`closed after ${this.#bytes.length} of ${count} bytes`)
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
    const received = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return received
  }

  async close(): Promise<void> {
    this.socket.destroy()
    await this.ended
  }
}
