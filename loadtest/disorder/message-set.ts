/**
 * A seeded set of messages of several tenants' devices over four whole days: the same seed gives the
 * same samples, at times counted from the end of the last day. Devices speak in bursts, so that
 * windows hold several samples; every fourth burst lies across the end of an hour or a day.
 */
import type { Telemetry } from '../../schemas/telemetry.ts'
import { type Random, randomOf } from '../random.ts'

/** One message of one device, all its samples of one time. */
export type Message = Readonly<{
  tsMs: number
  samples: number
  /** The record, whoever delivers it and however often. */
  record: Telemetry
}>

export type MessageSet = Readonly<{
  /** In order of event time. */
  messages: readonly Message[]
  samples: number
  /** Series by their names. */
  series: number
  devices: number
  tenants: number
}>

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
const DAYS = 4
const BURST_MS = 60_000
const BURSTS_MIN = 12
/** One an hour. */
const BURSTS_MAX = DAYS * 24
const SAMPLES_PER_BURST = 700
const TENANTS = ['acme', 'globex', 'initech'] as const
const DEVICES_PER_TENANT = 4
/** Between event time and the connector's receive stamp: a part of the set, the same in every run. */
const UNDERWAY_MS = 20
/** What the edge took away from the times of a device with a wrong clock. */
const SHIFT_MS = 7_200_000
const TEXTS = ['', 'open', 'closed', 'é\t"half"\n', '{"a":[1,2]}'] as const

/** At least so many samples, before `endMs`, which is the end of a day. */
export function messageSet(
  seed: string,
  { samples, endMs }: Readonly<{ samples: number; endMs: number }>,
): MessageSet {
  const random = randomOf(`${seed}/messages`)
  const bursts = Math.min(BURSTS_MAX, Math.max(BURSTS_MIN, Math.round(samples / SAMPLES_PER_BURST)))
  const devices = TENANTS.flatMap((tenant, t) =>
    Array.from({ length: DEVICES_PER_TENANT }, (_, d) => new Device(tenant, t, d)),
  )
  let made = 0
  for (let burst = 0; burst < bursts; burst += 1) {
    const startMs = burstStartMs(endMs - DAYS * DAY_MS, { burst, bursts, random })
    const until = (samples * (burst + 1)) / bursts
    while (made < until) {
      const device = devices[random.integer(devices.length)]
      made += device?.speak(startMs + random.integer(BURST_MS), random) ?? 0
    }
  }
  const messages = devices.flatMap((device) => device.inOrder())
  return {
    messages: messages.toSorted((a, b) => a.tsMs - b.tsMs),
    samples: messages.reduce((sum, message) => sum + message.samples, 0),
    series: new Set(messages.flatMap(seriesOf)).size,
    devices: devices.length,
    tenants: TENANTS.length,
  }
}

function burstStartMs(
  firstMs: number,
  { burst, bursts, random }: Readonly<{ burst: number; bursts: number; random: Random }>,
): number {
  const slotMs = (DAYS * DAY_MS) / bursts
  const slotStartMs = firstMs + burst * slotMs
  const isAcross = burst % 4 === 0
  if (isAcross) return Math.ceil(slotStartMs / HOUR_MS) * HOUR_MS - BURST_MS / 2
  return Math.floor(slotStartMs + random.next() * (slotMs - BURST_MS))
}

class Device {
  readonly #tenant: string
  readonly #name: string
  readonly #counts: boolean
  readonly #shiftMs: number
  readonly #messages = new Map<number, Message>()

  constructor(tenant: string, t: number, d: number) {
    this.#tenant = tenant
    this.#name = `device-${t}-${d}`
    this.#counts = d === 0
    this.#shiftMs = d === 1 ? SHIFT_MS : 0
  }

  /** Answers how many samples that is: none where it has spoken at that time already. */
  speak(tsMs: number, random: Random): number {
    if (this.#messages.has(tsMs)) return 0
    const record = this.#record(tsMs, random)
    const samples = record.numbers.length + record.booleans.length + record.strings.length
    this.#messages.set(tsMs, { tsMs, samples, record })
    return samples
  }

  inOrder(): Message[] {
    const messages = [...this.#messages.values()].toSorted((a, b) => a.tsMs - b.tsMs)
    if (!this.#counts) return messages
    return messages.map((each, seq) => ({ ...each, record: { ...each.record, seq } }))
  }

  /** The temperature is always there, so that two messages of a device share a series. */
  #record(tsMs: number, random: Random): Telemetry {
    const at = { t0: tsMs, dt: [0] }
    const numbers = [{ metric: 'temperature', ...at, v: [20 + 3 * random.normal()] }]
    if (random.chance(0.5)) numbers.push({ metric: 'flow', ...at, v: [awkward(random)] })
    const isOn = random.chance(0.5)
    const booleans = random.chance(0.4) ? [{ metric: 'on', ...at, v: [isOn] }] : []
    const text = TEXTS[random.integer(TEXTS.length)] ?? ''
    const strings = random.chance(0.3) ? [{ metric: 'door', ...at, v: [text] }] : []
    return {
      tenant: this.#tenant,
      device: this.#name,
      recvTs: tsMs + UNDERWAY_MS,
      protocol: 'mqtt',
      stamped: true,
      shiftMs: this.#shiftMs,
      ...{ numbers, booleans, strings },
    }
  }
}

/** Numbers whose sum depends on the order in which they are added. */
function awkward(random: Random): number {
  if (random.chance(0.05)) return random.chance(0.5) ? -0 : 0
  return random.normal() * 10 ** random.between(-6, 9)
}

const seriesOf = ({ record }: Message): string[] =>
  [...record.numbers, ...record.booleans, ...record.strings].map(
    ({ metric }) => `${record.tenant}/${record.device}/${metric}`,
  )
