/**
 * Our own processes in a local run: the migration that comes first, the roles, and the fleet that
 * plays devices. They take their options from the environment, as they do anywhere else.
 */
import { join } from 'node:path'
import { envName, flagName } from '../platform/config/option-names.ts'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { processNames } from '../platform/lifecycle/process-names.ts'
import { packageRoot } from '../platform/package-root.ts'
import type { LocalSecrets } from './secrets.ts'
import type { StackAddresses } from './stack.ts'

/** Start side by side, stop in this order: devices are refused before what is behind them goes. */
const ROLES = ['connectors', 'pipeline', 'api', 'auditor'] as const
export type RoleProcess = Readonly<{ id: string; role: (typeof ROLES)[number] }>

export function roleProcesses(pipelineProcesses: number): readonly RoleProcess[] {
  return ROLES.flatMap((role) =>
    processNames(role, role === 'pipeline' ? pipelineProcesses : 1).map((id) => ({ id, role })),
  )
}

export type RoleSurroundings = Readonly<{
  stateDir: string
  host: string
  mqttPort: number
  apiPort: number
  tenant: string
  topicPrefix: string
  topicPartitions: number
  pipelineProcesses: number
  clickhouseDatabase: string
  addresses: StackAddresses
  secrets: LocalSecrets
  /** By process: one that was restarted answers where it did, and local.json names these. */
  adminPorts: Readonly<Record<string, number>>
}>

const ROLE_DRAIN_MS = 10_000
const ROLE_READY_MS = 60_000

/** The environment of every one of our processes. Unknown names are ignored by each. */
export function environmentOf(around: RoleSurroundings): Readonly<Record<string, string>> {
  const { addresses, secrets } = around
  const options: Record<string, string> = {
    kafkaBrokers: addresses.kafka.brokers.join(','),
    registryUrl: addresses.registry.url,
    clickhouseUrl: addresses.clickhouse.url,
    clickhouseDatabase: around.clickhouseDatabase,
    postgresUrl: addresses.postgres.url,
    topicPrefix: around.topicPrefix,
    topicPartitions: String(around.topicPartitions),
    topicReplicas: '1',
    schemaIdsFile: join(around.stateDir, 'schema-ids.json'),
    credentialKey: secrets.credentialKey,
    apiKey: secrets.apiKey,
    tenant: around.tenant,
    mqttHost: around.host,
    mqttPort: String(around.mqttPort),
    apiHost: around.host,
    apiPort: String(around.apiPort),
    publicMqttUrl: `mqtt://${urlHost(around.host)}:${around.mqttPort}`,
    logFormat: 'json',
    drainDeadlineMs: String(ROLE_DRAIN_MS),
  }
  return Object.fromEntries(Object.entries(options).map(([name, text]) => [envName(name), text]))
}

/** An IPv6 address stands in brackets in a URL. */
const urlHost = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** The one binary, beside this very file's build. */
export const weirProgram = (): string => join(import.meta.dirname, '..', 'cli', 'weir.js')

export function roleChild({ id, role }: RoleProcess, around: RoleSurroundings): ChildSpec {
  return {
    ...ownProgram(around, id),
    args: [
      '--enable-source-maps',
      weirProgram(),
      role,
      flagName('adminPort'),
      String(around.adminPorts[id]),
    ],
    restart: 'permanent',
    shutdownMs: ROLE_DRAIN_MS + 3_000,
    readiness: { kind: 'ipc' },
    readyMs: ROLE_READY_MS,
  }
}

/** The demo fleet: an outsider who needs no watching, but comes back when it falls. */
export function demoChild(around: RoleSurroundings, stackFile: string): ChildSpec {
  return {
    ...ownProgram(around, 'demo'),
    args: ['--enable-source-maps', weirProgram(), 'loadtest', 'demo', '--stack', stackFile],
    restart: 'transient',
    shutdownMs: 5_000,
    readiness: { kind: 'probe', everyMs: 100, probe: async () => true },
    readyMs: ROLE_READY_MS,
  }
}

const ownProgram = (around: RoleSurroundings, id: string) =>
  ({
    id,
    command: process.execPath,
    env: environmentOf(around),
    cwd: packageRoot(import.meta.dirname),
    shutdownSignal: 'SIGTERM',
    logFile: join(around.stateDir, 'logs', `${id}.log`),
  }) as const
