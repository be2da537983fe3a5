/**
 * Plays a fleet against a running system at a steady overall rate and writes the ledger. The
 * connector may die and come back meanwhile: clients reconnect and send again.
 */
import type { Clock } from '../../platform/clock.ts'
import { forEachLimited } from '../../platform/flow/limit-concurrency.ts'
import type { Credential, DeviceAccounts } from '../device-accounts.ts'
import type { LedgerWriter } from '../ledger.ts'
import { MqttClient } from '../mqtt-client.ts'
import { type Random, randomOf } from '../random.ts'
import { quantile } from '../report.ts'
import { hostAndPort } from '../stack-file.ts'
import { FleetDevice, type FleetMix } from './fleet-device.ts'

export type FleetOptions = Readonly<{
  mqttUrl: string
  accounts: DeviceAccounts
  ledger: Pick<LedgerWriter, 'sent' | 'acknowledged'>
  clock: Clock
  seed: string
  /** Every device id begins with it; reconcile looks at these devices only. */
  prefix: string
  devices: number
  ratePerS: number
  durationMs: number
  mix: FleetMix
  /** Chance that a device sends twenty messages at once. */
  bursts: number
  qos: 0 | 1
}>

export type FleetResult = Readonly<{
  sent: number
  acknowledged: number
  unacknowledged: number
  resent: number
  reconnects: number
  acksOutOfOrder: number
  ackMsP50: number
  ackMsP99: number
}>

const BURST_MESSAGES = 20
const TICK_MS = 10
/** A client that waits for this many acknowledgements gets no new message: the system is behind. */
const UNACKNOWLEDGED_MAX = 2000
const CONNECTS_AT_ONCE = 50

type Member = Readonly<{ device: FleetDevice; client: MqttClient }>

export class Fleet {
  readonly #options: FleetOptions
  readonly #random: Random
  readonly #ackMs: number[] = []
  #members: Member[] = []
  #sent = 0
  #acknowledged = 0

  constructor(options: FleetOptions) {
    this.#options = options
    this.#random = randomOf(`${options.seed}/fleet`)
  }

  get sent(): number {
    return this.#sent
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Creates and connects every device. */
  async connect(): Promise<void> {
    const { prefix, seed, mix, devices, accounts } = this.#options
    const width = String(devices).length
    const all = Array.from(
      { length: devices },
      (_, index) =>
        new FleetDevice({ id: `${prefix}-${String(index + 1).padStart(width, '0')}`, seed, mix }),
    )
    const credentials = await accounts.ensure(all.map(({ id }) => ({ id, name: id })))
    this.#members = all.map((device) => ({
      device,
      client: this.#client(device.id, credentials.get(device.id)),
    }))
    await forEachLimited(CONNECTS_AT_ONCE, this.#members, ({ client }) => client.connect())
  }

  /** Sends for the whole duration, or until `ended` resolves. */
  async play(ended: Promise<unknown>): Promise<void> {
    const { clock, ratePerS, durationMs } = this.#options
    const startMs = clock.monotonicMs()
    let offered = 0
    await new Promise<void>((resolve) => {
      const tick = (): void => {
        const elapsedMs = clock.monotonicMs() - startMs
        while (offered < (ratePerS * elapsedMs) / 1000) offered += this.#offer()
        if (elapsedMs >= durationMs) finish()
      }
      const timer = setInterval(tick, TICK_MS)
      const finish = (): void => {
        clearInterval(timer)
        resolve()
      }
      void ended.then(finish)
    })
  }

  /** Waits until everything is acknowledged, at most `limitMs`, then disconnects. */
  async finish(limitMs: number): Promise<FleetResult> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + limitMs
    while (this.#unacknowledged() > 0 && clock.monotonicMs() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const result = this.#result()
    await Promise.all(this.#members.map(({ client }) => client.end()))
    return result
  }

  #client(id: string, credential: Credential | undefined): MqttClient {
    return new MqttClient({
      ...hostAndPort(this.#options.mqttUrl, 1883),
      clientId: id,
      username: credential?.username ?? '',
      password: credential?.secret ?? '',
      reconnect: { firstMs: 50, maxMs: 1000 },
    })
  }

  /** Gives how many messages of the rate this used up. */
  #offer(): number {
    const member = this.#members[this.#random.integer(this.#members.length)]
    if (member === undefined) return 1
    const count = this.#random.chance(this.#options.bursts) ? BURST_MESSAGES : 1
    for (let i = 0; i < count; i++) this.#publish(member)
    return count
  }

  #publish({ device, client }: Member): void {
    if (client.unacknowledged >= UNACKNOWLEDGED_MAX) return
    const { clock, ledger, qos } = this.#options
    const { samples, payload } = device.next(clock.nowMs())
    const id = ledger.sent(device.id, samples)
    const sentAtMs = clock.monotonicMs()
    this.#sent += 1
    client.publishThen({ topic: 't', payload, qos }, (error) => {
      if (error !== undefined || qos === 0) return
      this.#acknowledged += 1
      this.#ackMs.push(clock.monotonicMs() - sentAtMs)
      ledger.acknowledged(id, clock.nowMs())
    })
  }

  #unacknowledged(): number {
    return this.#members.reduce((sum, { client }) => sum + client.unacknowledged, 0)
  }

  #result(): FleetResult {
    const counted = (name: 'resent' | 'connects' | 'acksOutOfOrder'): number =>
      this.#members.reduce((sum, { client }) => sum + client.counters[name], 0)
    const sorted = this.#ackMs.toSorted((a, b) => a - b)
    return {
      sent: this.#sent,
      acknowledged: this.#acknowledged,
      unacknowledged: this.#unacknowledged(),
      resent: counted('resent'),
      reconnects: counted('connects') - this.#members.length,
      acksOutOfOrder: counted('acksOutOfOrder'),
      ackMsP50: quantile(sorted, 0.5),
      ackMsP99: quantile(sorted, 0.99),
    }
  }
}
