/**
 * `weir loadtest demo`: what `npm start` plays. Two real recordings and a simulated fleet over
 * real MQTT, for as long as it runs; the connector may come and go meanwhile.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../../platform/clock.ts'
import type { Command } from '../../platform/lifecycle/command.ts'
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { DeviceAccounts, type NamedDevice } from '../device-accounts.ts'
import { MqttClient } from '../mqtt-client.ts'
import { ProgressLine } from '../progress-line.ts'
import { hostAndPort, partOf, readStackFile } from '../stack-file.ts'
import { untilSignal } from '../until-signal.ts'
import { KNOWN_RECORDINGS } from './known-recordings.ts'
import { type RecordingPlayer, recordingPlayer } from './play-recording.ts'
import { SimulatedDevice } from './simulated-device.ts'

const OPTIONS = {
  stack: {
    kind: 'text',
    default: '.weir/local.json',
    doc: 'Description of the running system, as npm start writes it.',
  },
  devices: {
    kind: 'integer',
    default: 50,
    min: 0,
    max: 10_000,
    doc: 'Simulated devices beside the two recordings.',
  },
  seed: { kind: 'text', default: 'weir', doc: 'Names the random course of the simulated devices.' },
} as const

export const demoCommand: Command = commandWithOptions({
  name: 'loadtest demo',
  summary: 'plays two real recordings and a small simulated fleet until it is stopped',
  options: OPTIONS,
  async run({ stack: stackPath, devices, seed }) {
    const stack = readStackFile(stackPath)
    const folder = join(dirname(stackPath), 'loadtest')
    mkdirSync(folder, { recursive: true })
    const accounts = new DeviceAccounts(partOf(stack, 'api'), join(folder, 'devices.json'))
    const demo = new Demo({ accounts, mqttUrl: partOf(stack, 'mqtt').url, clock: systemClock })
    const progress = new ProgressLine()
    progress.show(() => demo.describe())
    const failed = demo.start({ folder, devices, seed })
    const stop = untilSignal()
    await Promise.race([stop, failed.then(() => stop)])
    progress.stop()
    await demo.stop()
    return EXIT.ok
  },
})

/** A device remembers this many messages while the connector is away; then it forgets new ones. */
const UNACKNOWLEDGED_MAX = 5000

class Demo {
  readonly #accounts: DeviceAccounts
  readonly #mqttUrl: string
  readonly #clock: Clock
  readonly #clients: MqttClient[] = []
  readonly #players: RecordingPlayer[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopped = false

  constructor(options: Readonly<{ accounts: DeviceAccounts; mqttUrl: string; clock: Clock }>) {
    this.#accounts = options.accounts
    this.#mqttUrl = options.mqttUrl
    this.#clock = options.clock
  }

  /** Resolves when everything plays. */
  async start(options: Readonly<{ folder: string; devices: number; seed: string }>): Promise<void> {
    const recordings = KNOWN_RECORDINGS.map(({ device, name }) => ({ id: device, name }))
    const simulated = Array.from(
      { length: options.devices },
      (_, index) => new SimulatedDevice({ seed: options.seed, index }),
    )
    // The recordings first: their charts are what a visitor opens.
    await this.#accounts.ensure(recordings)
    const playing = KNOWN_RECORDINGS.map(async (recording) => {
      const client = await this.#connect({ id: recording.device, name: recording.name })
      const clock = this.#clock
      const player = recordingPlayer({ recording, client, clock, stateFolder: options.folder })
      this.#players.push(player)
      // Live at once, beside the history: nobody should wait for a chart that moves.
      player.playLive()
      // Rejects only when stop() ended the client.
      await player.backfill().catch(() => {})
    })
    await this.#accounts.ensure(simulated)
    await Promise.all(simulated.map((device) => this.#simulate(device)))
    await Promise.all(playing)
  }

  describe(): string {
    const acknowledged = this.#clients.reduce((sum, { counters }) => sum + counters.acknowledged, 0)
    const connected = this.#clients.filter((client) => client.connected).length
    const history = this.#players.map(
      (player) => `${Math.floor((100 * player.historySent()) / player.historyTotal)} %`,
    )
    return `demo: ${connected} of ${this.#clients.length} devices connected, ${acknowledged} messages acknowledged, history ${history.join(' and ') || 'not begun'}`
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const player of this.#players) player.stop()
    await Promise.all(this.#clients.map((client) => client.end()))
  }

  async #simulate(device: SimulatedDevice): Promise<void> {
    const client = await this.#connect(device)
    const step = (): void => {
      const { payloads, nextAtMs } = device.step(this.#clock.nowMs())
      for (const payload of payloads) {
        if (client.unacknowledged >= UNACKNOWLEDGED_MAX) break
        // The client keeps and resends what is not acknowledged; only stop() makes this fail.
        client.publishThen({ topic: 't', payload, qos: 1 }, () => {})
      }
      this.#after(nextAtMs - this.#clock.nowMs(), step)
    }
    this.#after(device.stamped ? 50 : 250, step)
  }

  #after(ms: number, work: () => void): void {
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work()
    }, ms)
    this.#timers.add(timer)
  }

  /** A connected client, with a fresh credential if the server no longer knows the kept one. */
  async #connect(device: NamedDevice): Promise<MqttClient> {
    let credential = (await this.#accounts.ensure([device])).get(device.id)
    for (let attempt = 0; ; attempt++) {
      const client = new MqttClient({
        ...hostAndPort(this.#mqttUrl, 1883),
        clientId: `demo-${device.id}`,
        username: credential?.username ?? '',
        password: credential?.secret ?? '',
        reconnect: { firstMs: 200, maxMs: 5000 },
      })
      const outcome = await client.connect()
      if (outcome.kind !== 'refused' || attempt > 0) {
        this.#clients.push(client)
        return client
      }
      await client.end()
      credential = await this.#accounts.renew(device)
    }
  }
}
