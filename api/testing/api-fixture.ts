/**
 * A real api for tests: the real server in front of databases of its own on real servers, and an
 * outside client that knows only HTTP.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { ChangeLog } from '../../devices/access/change-log.ts'
import { ApiKeyStore, generateApiKey } from '../../devices/access/api-key-store.ts'
import { CredentialStore } from '../../devices/credential-store.ts'
import { DeviceStore } from '../../devices/device-store.ts'
import { Clickhouse } from '../../platform/clickhouse/clickhouse.ts'
import { systemClock } from '../../platform/clock.ts'
import type { SocketRoute } from '../../platform/http/http-exchange.ts'
import type { HttpServer } from '../../platform/http/uws-server.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import { Metrics } from '../../platform/observe/metrics.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { Postgres } from '../../platform/postgres/postgres.ts'
import { createApiServer } from '../api-server.ts'
import type { ApiParts } from '../api-parts.ts'
import { AuditReader } from '../audit/audit-reader.ts'
import type { Authenticator } from '../access/authenticator.ts'
import { openAccess } from '../access/open-access.ts'
import { WindowEvidence } from '../explain/window-evidence.ts'
import { LatestValues } from '../live/latest-values.ts'
import { Retention } from '../readings/retention.ts'
import { RollupReader } from '../readings/rollup-reader.ts'
import { TelemetryReader } from '../readings/telemetry-reader.ts'

export type Addresses = Readonly<{
  clickhouse: Readonly<{ url: string }>
  postgres: Readonly<{ url: string }>
  namespace: string
}>

const CREDENTIAL_KEY = 'a key of tests only'

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  // A defect of ours would otherwise be a bare 500 in a test's output.
  error: (message, fields) => process.emitWarning(`${message} ${inspect(fields)}`),
  with: () => silentLogger,
}

export type ApiDatabases = Readonly<{
  postgres: Postgres
  clickhouse: Clickhouse
  /** Keys of two tenants that must never see each other. */
  keys: Readonly<{ acme: string; other: string }>
  parts: ApiParts
  authenticator: Authenticator
  /** Writes down which keys were used, as the end of the process does. */
  noteUses(): Promise<void>
  close(): Promise<void>
}>

/** Fresh, migrated databases that carry the namespace in their names. */
export async function openDatabases(addresses: Addresses): Promise<ApiDatabases> {
  const name = `${addresses.namespace}api`
  const admin = postgresAt(addresses.postgres.url)
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(addresses.postgres.url)
  url.pathname = `/${name}`
  const postgres = postgresAt(url.href)
  for (const text of await migrations('postgres')) await postgres.query(text)

  const clickhouse = clickhouseAt(addresses.clickhouse.url, name)
  const root = clickhouseAt(addresses.clickhouse.url, 'default')
  await root.command(`CREATE DATABASE ${name}`)
  for (const text of await migrations('clickhouse')) {
    for (const statement of statementsOf(text)) await clickhouse.command(statement)
  }

  const { parts, access, keys } = await wired(postgres, url.href, clickhouse)
  const { authenticator } = access
  for (const service of access.services) await service.start()
  async function close(): Promise<void> {
    for (const service of access.services) await service.drain(1_000)
    await root.command(`DROP DATABASE ${name}`)
    await Promise.all([clickhouse.close(), root.close(), postgres.drain(1_000)])
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.drain(1_000)
  }
  const noteUses = async (): Promise<void> => access.services[0]?.drain(1_000)
  return { postgres, clickhouse, keys, parts, authenticator, noteUses, close }
}

async function wired(
  postgres: Postgres,
  postgresUrl: string,
  clickhouse: Clickhouse,
): Promise<
  Pick<ApiDatabases, 'parts' | 'keys'> & Readonly<{ access: ReturnType<typeof openAccess> }>
> {
  const apiKeys = new ApiKeyStore(postgres, CREDENTIAL_KEY)
  const keys = { acme: generateApiKey(), other: generateApiKey() }
  for (const [tenant, key] of Object.entries(keys)) {
    await apiKeys.ensureTenant(tenant, tenant)
    await apiKeys.ensureApiKey(tenant, 'test', key)
  }
  const retention = new Retention(clickhouse, systemClock)
  const parts: ApiParts = {
    clock: systemClock,
    about: { version: '0.0.0', mqttUrl: 'mqtt://devices.example:1883' },
    devices: new DeviceStore(postgres, CREDENTIAL_KEY),
    credentials: new CredentialStore(postgres, CREDENTIAL_KEY),
    keys: apiKeys,
    changes: new ChangeLog(postgres),
    telemetry: new TelemetryReader(clickhouse),
    retention,
    rollups: new RollupReader(clickhouse, retention),
    audit: new AuditReader(clickhouse),
    evidence: new WindowEvidence(clickhouse),
    latest: new LatestValues({ seriesMax: 1_000, metricsPerDeviceMax: 100 }),
  }
  const access = openAccess({
    ...{ postgres, postgresUrl, keys: apiKeys, logger: silentLogger, clock: systemClock },
  })
  return { parts, access, keys }
}

/** The server on a free port. */
export async function startServer(
  databases: Pick<ApiDatabases, 'parts' | 'authenticator'>,
  sockets: readonly SocketRoute[] = [],
  onDrain: () => void = () => {},
): Promise<HttpServer> {
  const server = createApiServer({
    host: '127.0.0.1',
    port: 0,
    ...databases,
    dashboard: undefined,
    sockets,
    onDrain,
    logger: silentLogger,
    metrics: new Metrics({ role: 'api', processMetrics: false }),
    clock: systemClock,
  })
  await server.start()
  return server
}

export type Ask = ReturnType<typeof clientOf>

export type ServedApi = ApiDatabases &
  Readonly<{
    server: HttpServer
    /** Clients of the two tenants. */
    ask: Ask
    askOther: Ask
  }>

/** Databases of its own, the server in front of them, and somebody of each tenant who asks. */
export async function serveApi(addresses: Addresses): Promise<ServedApi> {
  const databases = await openDatabases(addresses)
  const server = await startServer(databases)
  async function close(): Promise<void> {
    await server.drain(1_000)
    await databases.close()
  }
  const { acme, other } = databases.keys
  const clients = { ask: clientOf(server.port, acme), askOther: clientOf(server.port, other) }
  return { ...databases, ...clients, server, close }
}

export type Answered = Readonly<{ status: number; headers: Headers; body: unknown }>

type ClientRequest = Omit<RequestInit, 'headers'> &
  Readonly<{ headers?: Readonly<Record<string, string>> }>

/** A client of one key: path in, status and parsed body out. */
export function clientOf(port: number, key: string) {
  return async function ask(path: string, init: ClientRequest = {}): Promise<Answered> {
    const headers = { authorization: `Bearer ${key}`, ...init.headers }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers })
    const text = await response.text()
    const type = response.headers.get('content-type') ?? ''
    const body: unknown = type.includes('json') && text !== '' ? JSON.parse(text) : text
    return { status: response.status, headers: response.headers, body }
  }
}

export const jsonBody = (value: unknown): ClientRequest => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: typeof value === 'string' ? value : JSON.stringify(value),
})

const postgresAt = (url: string): Postgres =>
  new Postgres({ url, applicationName: 'api test', logger: silentLogger, connectionsMax: 4 })

const clickhouseAt = (url: string, database: string): Clickhouse =>
  new Clickhouse({ url, database, user: 'default', password: '' })

async function migrations(kind: 'postgres' | 'clickhouse'): Promise<readonly string[]> {
  const folder = join(packageRoot(), 'migrations', kind)
  const names = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  return Promise.all(names.map((file) => readFile(join(folder, file), 'utf8')))
}

function statementsOf(text: string): readonly string[] {
  const withoutComments = text.replaceAll(/^--.*$/gm, '')
  return withoutComments
    .split(';')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}
