/**
 * One pipeline process of a simulated world: what pipeline/main.ts wires, on ports that the
 * scheduler owns. A crash leaves the object where it is, and nothing ever reaches it again.
 */
import { type WindowUpdateEncoder, WindowUpdateWriter } from '../../schemas/window-update-writer.ts'
import type { Service } from '../../platform/lifecycle/service.ts'
import type { RollupParts } from '../../pipeline/rollup-composition.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { type AvroDecoder, createAvroDecoder, createAvroEncoder } from '../../schemas/avro-codec.ts'
import { type Telemetry, TELEMETRY_SCHEMA } from '../../schemas/telemetry.ts'
import { type WindowUpdate, WINDOW_UPDATE_SCHEMA } from '../../schemas/window-update.ts'
import type { Modules } from './modules.ts'
import type { Owner, Scheduler } from './scheduler.ts'
import type { SimConsumer } from './sim-consumer.ts'
import { OLDER_SCHEMA, SCHEMA_IDS } from './traffic.ts'

// Compiled once: what is under test is who asks for which schema when, not avsc.
const telemetry = createAvroEncoder<Telemetry>(TELEMETRY_SCHEMA, SCHEMA_IDS.today)
const windowUpdates = new WindowUpdateWriter(3)
const readUpdates = createAvroDecoder<WindowUpdate>({
  schema: WINDOW_UPDATE_SCHEMA,
  writers: new Map([[3, WINDOW_UPDATE_SCHEMA]]),
  fetchSchema: async () => undefined,
})
export const polyglot: AvroDecoder<Telemetry> = createAvroDecoder<Telemetry>({
  schema: TELEMETRY_SCHEMA,
  writers: new Map<number, Readonly<Record<string, unknown>>>([
    [SCHEMA_IDS.today, TELEMETRY_SCHEMA],
    [SCHEMA_IDS.older, OLDER_SCHEMA],
  ]),
  fetchSchema: async () => undefined,
})
const metrics = new Metrics({ role: 'simulation', processMetrics: false })

export type ProcessWorld = Readonly<{
  scheduler: Scheduler
  modules: Modules
  parts: Pick<RollupParts, 'log' | 'sink' | 'options'>
  skewMs: () => number
  /** Whether the registry does not answer this time. */
  registryFails: () => boolean
  unavailable: (what: string) => Error
  published: (update: WindowUpdate) => void
  errorLogged: (message: string) => void
  /** The process ended by itself. */
  exited: (error: unknown) => void
  /** It drained, and is gone. */
  stopped: () => void
}>

export class SimProcess implements Owner {
  readonly name: string
  frozen = false
  gone = false
  draining = false
  /** Set when it joined the group. */
  consumer: SimConsumer | undefined
  #services: readonly Service[] = []
  #stopped: () => void = () => {}

  constructor(name: string) {
    this.name = name
  }

  async start(world: ProcessWorld): Promise<void> {
    this.#stopped = world.stopped
    const { scheduler } = world
    try {
      const services = await world.modules.composeRollup({
        ...world.parts,
        codecs: this.#codecs(world),
        version: 'simulated',
        clock: scheduler.clockOf(world.skewMs),
        timers: scheduler.timersOf(this),
        logger: loggerOf(world.errorLogged),
        metrics,
      })
      this.#services = services
      for (const service of services) service.failure.catch(world.exited)
      for (const service of services) await service.start()
    } catch (error) {
      world.exited(error)
    }
  }

  /** As the supervisor asks: finish, commit, leave. */
  async drain(): Promise<void> {
    this.draining = true
    for (const service of this.#services.toReversed()) await service.drain(10_000)
    this.#stopped()
  }

  #codecs(world: ProcessWorld): RollupParts['codecs'] {
    const known = new Set<number>([SCHEMA_IDS.today])
    const decoder: AvroDecoder<Telemetry> = {
      decode: (frame) => {
        const decoded = polyglot.decode(frame)
        if (decoded.kind === 'frame_invalid' || known.has(decoded.schemaId)) return decoded
        return { kind: 'schema_unknown', schemaId: decoded.schemaId }
      },
      learn: (schemaId) =>
        world.scheduler.ask(this, `asks the registry for schema ${schemaId}`, () => {
          if (world.registryFails()) throw world.unavailable('registry')
          if (schemaId !== SCHEMA_IDS.older) return false
          known.add(schemaId)
          return true
        }),
    }
    const watched: WindowUpdateEncoder = {
      encode: (...update) => {
        const frame = windowUpdates.encode(...update)
        const decoded = readUpdates.decode(frame)
        if (decoded.kind === 'value') world.published(decoded.value)
        else throw new Error(`a live update cannot be read: ${decoded.kind}`)
        return frame
      },
    }
    return { decoder, telemetry, windowUpdates: watched }
  }
}

function loggerOf(error: (message: string) => void): Logger {
  const quiet = (): void => {}
  const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error, with: () => logger }
  return logger
}
