/**
 * A role is one kind of process: its option table and how its services are wired. run-role.ts is
 * what every role shares: options, logs, metrics, the admin server, signals, heartbeats to the
 * supervisor, ordered start and drain, exit codes.
 */
import type { Clock } from '../clock.ts'
import type { OptionTable, OptionValues } from '../config/options.ts'
import type { Logger } from '../observe/logger.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { LastWills } from './last-will.ts'
import type { Service } from './service.ts'

export type RoleContext<T extends OptionTable> = Readonly<{
  options: OptionValues<T>
  logger: Logger
  metrics: Metrics
  clock: Clock
  /** Where to leave what has to be done when this process is killed; absent: nobody would do it. */
  wills?: LastWills
}>

export type Role<T extends OptionTable> = Readonly<{
  name: string
  /** One line for --help. */
  summary: string
  options: T
  /** Sentences about options that contradict each other; empty when all is well. */
  check?(options: OptionValues<T>): readonly string[]
  /** Builds the services, downstream first. Starting them is the runner's work. */
  build(context: RoleContext<T>): Promise<RunningRole>
}>

export type RunningRole = Readonly<{
  services: readonly Service[]
  /** Addresses to announce once ready, such as { mqtt: 'mqtt://127.0.0.1:1883' }. */
  addresses(): Readonly<Record<string, string>>
}>
