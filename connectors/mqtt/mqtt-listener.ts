/**
 * The MQTT mouth: listens, knows every connection, and does for all of them what would cost a
 * timer or a write each: time limits once a second, acknowledgements once per event loop turn.
 */
import { type Server, type Socket, createServer } from 'node:net'
import type { DeviceDirectory } from '../../devices/device-directory.ts'
import type { Clock } from '../../platform/clock.ts'
import { listenFailure } from '../../platform/http/listen-failure.ts'
import type { Service } from '../../platform/lifecycle/service.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Metrics } from '../../platform/observe/metrics.ts'
import type { Ingress } from '../ingress.ts'
import type { Tally, TallyCell } from '../tally.ts'
import { type CloseReason, type ConnectionHost, MqttConnection } from './connection.ts'
import { DurabilityWatch } from './durability-watch.ts'
import type { MqttLimits } from './mqtt-limits.ts'
import { CONNACK, type ConnackCode, type ConnectPacket } from './packet.ts'
import type { MqttSession } from './session.ts'
import { SessionStore } from './session-store.ts'

export type MqttListenerOptions = Readonly<{
  host: string
  port: number
  ingress: Ingress
  directory: DeviceDirectory
  tally: Tally
  metrics: Metrics
  logger: Logger
  clock: Clock
  limits: MqttLimits
}>

const SWEEP_INTERVAL_MS = 1000
/** One latency in this time is measured: a histogram costs as much as decoding a message. */
const OBSERVE_INTERVAL_MS = 20
/** Connections the kernel may hold while a reconnect storm is worked off. */
const BACKLOG = 4096

const OUTCOMES: Readonly<Record<ConnackCode, string>> = {
  [CONNACK.accepted]: 'accepted',
  [CONNACK.protocolUnacceptable]: 'protocol_unacceptable',
  [CONNACK.identifierRejected]: 'identifier_rejected',
  [CONNACK.unavailable]: 'unavailable',
  [CONNACK.badCredentials]: 'not_authorized',
  [CONNACK.notAuthorized]: 'not_authorized',
}

export class MqttListener implements Service, ConnectionHost {
  readonly name = 'mqtt'
  readonly failure: Promise<never>
  readonly ingress: Ingress
  readonly directory: DeviceDirectory
  readonly clock: Clock
  readonly limits: MqttLimits
  readonly durability = new DurabilityWatch()
  readonly #options: MqttListenerOptions
  readonly #server: Server
  readonly #sessions: SessionStore
  readonly #connections = new Set<MqttConnection>()
  /** The one connection of each identity and client id. */
  readonly #byClient = new Map<string, MqttConnection>()
  readonly #byCredential = new Map<string, Set<MqttConnection>>()
  readonly #acknowledged: TallyCell
  #toFlush = new Set<MqttConnection>()
  #observedAtMs = 0
  #sweeper: NodeJS.Timeout | undefined
  #draining = false
  #emptied: (() => void) | undefined

  constructor(options: MqttListenerOptions) {
    this.#options = options
    this.ingress = options.ingress
    this.directory = options.directory
    this.clock = options.clock
    this.limits = options.limits
    this.#sessions = new SessionStore(options.limits.sessionsMax)
    this.#acknowledged = options.tally.cell('weir_mqtt_acknowledgements_total')
    this.#server = createServer((socket) => this.#accept(socket))
    this.failure = new Promise((_, reject) => this.#server.on('error', reject))
    this.failure.catch(() => undefined)
    options.directory.onRevoked((credential) => this.#onRevoked(credential))
  }

  /** The port that is listened on, once started; other than the option's when that is 0. */
  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : this.#options.port
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  async start(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(listenFailure(error, { host, port, option: 'mqttPort' })),
      )
      this.#server.listen({ host, port, backlog: BACKLOG }, resolve)
    })
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#sweeper.unref()
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true
    if (this.#server.listening) this.#server.close()
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    for (const connection of this.#connections) connection.beginDrain()
    if (this.#connections.size > 0) {
      const late = setTimeout(() => this.#destroyAll(), deadlineMs)
      await emptied
      clearTimeout(late)
    }
    clearInterval(this.#sweeper)
  }

  admit(
    connection: MqttConnection,
    connect: ConnectPacket,
  ): Readonly<{ session: MqttSession; present: boolean }> {
    const identity = connection.identity
    if (identity === undefined) throw new Error('only an authenticated connection is admitted')
    const { tenant, device, credential } = identity
    const using = this.#byCredential.get(credential)
    if (using === undefined) this.#byCredential.set(credential, new Set([connection]))
    else using.add(connection)

    // [MQTT-3.1.3-6]: a clean session may come without a client id; it can take nothing over.
    if (connect.clientId === '') return this.#sessions.open('', connect)
    const key = `${tenant}/${device}/${connect.clientId}`
    const older = this.#byClient.get(key)
    this.#byClient.set(key, connection)
    connection.clientKey = key
    older?.close('taken_over', 'the same client connected again [MQTT-3.1.4-2]')
    return this.#sessions.open(key, connect)
  }

  answered(_connection: MqttConnection, code: ConnackCode): void {
    this.#options.tally.cell('weir_mqtt_connects_total', { outcome: OUTCOMES[code] }).count++
  }

  flushLater(connection: MqttConnection): void {
    if (this.#toFlush.size === 0) setImmediate(() => this.#flushAll())
    this.#toFlush.add(connection)
  }

  closed(connection: MqttConnection, reason: CloseReason, detail: string): void {
    this.#connections.delete(connection)
    const { identity, clientKey } = connection
    if (clientKey !== undefined && this.#byClient.get(clientKey) === connection) {
      this.#byClient.delete(clientKey)
    }
    if (identity !== undefined) {
      const using = this.#byCredential.get(identity.credential)
      using?.delete(connection)
      if (using?.size === 0) this.#byCredential.delete(identity.credential)
    }
    this.#countConnections()
    this.#options.tally.cell('weir_mqtt_disconnects_total', { reason }).count++
    this.#log(connection, reason, detail)
    if (this.#draining && this.#connections.size === 0) this.#emptied?.()
  }

  #accept(socket: Socket): void {
    if (this.#draining || this.#connections.size >= this.limits.connectionsMax) {
      this.#options.tally.cell('weir_mqtt_connects_total', { outcome: 'too_many' }).count++
      socket.destroy()
      return
    }
    this.#connections.add(new MqttConnection(socket, this))
    this.#countConnections()
  }

  #countConnections(): void {
    this.#options.metrics.set('weir_mqtt_connections', this.#connections.size)
  }

  #sweep(): void {
    const nowMs = this.clock.monotonicMs()
    for (const connection of this.#connections) connection.sweep(nowMs)
  }

  #flushAll(): void {
    const connections = this.#toFlush
    this.#toFlush = new Set()
    let oldestMs = Number.POSITIVE_INFINITY
    for (const connection of connections) {
      const leaving = connection.flush()
      if (leaving === undefined) continue
      this.#acknowledged.count += leaving.count
      oldestMs = Math.min(oldestMs, leaving.oldestMs)
    }
    const nowMs = this.clock.monotonicMs()
    if (oldestMs > nowMs || nowMs - this.#observedAtMs < OBSERVE_INTERVAL_MS) return
    this.#observedAtMs = nowMs
    this.#options.metrics.observe('weir_mqtt_ack_seconds', (nowMs - oldestMs) / 1000)
  }

  #onRevoked(credential: string): void {
    for (const connection of this.#byCredential.get(credential) ?? []) {
      connection.close('revoked', 'the device or its credential was removed or suspended')
    }
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy()
  }

  /** Comings and goings are `debug`; what a device builder has to fix is `info`. */
  #log(connection: MqttConnection, reason: CloseReason, detail: string): void {
    const { identity, remoteAddress } = connection
    const who = { remoteAddress, tenant: identity?.tenant, device: identity?.device }
    const fields = { reason, detail, ...who }
    if (reason === 'malformed' || reason === 'too_large' || reason === 'protocol_error') {
      this.#options.logger.info('MQTT connection closed', fields)
    } else {
      this.#options.logger.debug('MQTT connection closed', fields)
    }
  }
}
