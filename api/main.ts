/** Composition root of the api process: questions, devices, the live feed and the dashboard. */
import { join } from 'node:path'
import { ApiKeyStore } from '../devices/access/api-key-store.ts'
import { ChangeLog } from '../devices/access/change-log.ts'
import { CredentialStore } from '../devices/credential-store.ts'
import { DeviceStore } from '../devices/device-store.ts'
import { Clickhouse } from '../platform/clickhouse/clickhouse.ts'
import { StaticFiles } from '../platform/http/static-files.ts'
import { createKafkaLog } from '../platform/kafka/kafkajs-log.ts'
import { fetchSchema, startWithSchemas } from '../platform/kafka/schema-registry.ts'
import type { Role, RoleContext } from '../platform/lifecycle/role.ts'
import type { Service } from '../platform/lifecycle/service.ts'
import { packageRoot, packageVersion } from '../platform/package-root.ts'
import { Postgres } from '../platform/postgres/postgres.ts'
import { subjectSchemas } from '../schemas/registered-schemas.ts'
import { acceptedAgeMs } from '../schemas/telemetry.ts'
import { TopicCodecs } from '../schemas/topic-codecs.ts'
import { ROLLUPS, TELEMETRY } from '../schemas/topics.ts'
import { API_OPTIONS, contradictions } from './api-options.ts'
import type { ApiParts } from './api-parts.ts'
import { createApiServer } from './api-server.ts'
import { AuditReader } from './audit/audit-reader.ts'
import { openAccess } from './access/open-access.ts'
import { WindowEvidence } from './explain/window-evidence.ts'
import { assertLimits, LIMITS } from './limits.ts'
import { HistoryLoader } from './live/history-loader.ts'
import { LatestValues } from './live/latest-values.ts'
import { LiveEndpoint } from './live/live-endpoint.ts'
import { FLOW_CHECK_MS, LiveFeed } from './live/live-feed.ts'
import { LiveFlow } from './live/live-flow.ts'
import { LiveHub } from './live/live-hub.ts'
import { RecentWindows } from './live/recent-windows.ts'
import { Retention } from './readings/retention.ts'
import { RollupReader } from './readings/rollup-reader.ts'
import { TelemetryReader } from './readings/telemetry-reader.ts'

type Context = RoleContext<typeof API_OPTIONS>

export const apiRole: Role<typeof API_OPTIONS> = {
  name: 'api',
  summary: 'Answers queries, manages devices, feeds live dashboards.',
  options: API_OPTIONS,
  check: contradictions,
  async build(context) {
    assertLimits()
    const { options, logger, metrics, clock } = context
    const postgres = openPostgres(context)
    const clickhouse = openClickhouse(context)
    const parts = partsOf(context, postgres, clickhouse)
    const access = openAccess({
      ...{ postgres, postgresUrl: options.postgresUrl, keys: parts.keys, logger, clock },
    })
    const { authenticator } = access
    const hub = hubOf(context, parts.latest)
    const silenceMs = options.liveSilenceMs
    const flow = new LiveFlow({ silenceMs, checkEveryMs: FLOW_CHECK_MS })
    const feed = await openFeed(context, hub, flow)
    const live = new LiveEndpoint({
      hub,
      flow,
      history: new HistoryLoader({ ...parts, logger }),
      authenticator,
      metrics,
      logger,
      allowedOrigins: options.apiAllowedOrigins,
    })
    const server = createApiServer({
      host: options.apiHost,
      port: options.apiPort,
      parts,
      authenticator,
      dashboard: await StaticFiles.read(dashboardDir(options.apiDashboardDir)),
      sockets: [live.route()],
      onDrain: () => live.drain(),
      logger,
      metrics,
      clock,
    })
    return {
      services: [
        onlyClosed('postgres', (deadlineMs) => postgres.drain(deadlineMs)),
        onlyClosed('clickhouse', () => clickhouse.close()),
        ...access.services,
        feed,
        server,
      ],
      addresses: () => ({ api: `http://${options.apiHost}:${server.port}` }),
    }
  },
}

function openPostgres({ options, logger }: Context): Postgres {
  return new Postgres({ url: options.postgresUrl, applicationName: 'weir-api', logger })
}

function openClickhouse({ options }: Context): Clickhouse {
  return new Clickhouse({
    url: options.clickhouseUrl,
    database: options.clickhouseDatabase,
    user: options.clickhouseUser,
    password: options.clickhousePassword,
    requestTimeoutMs: (LIMITS.querySecondsMax + 5) * 1_000,
  })
}

function partsOf(
  { options, clock }: Context,
  postgres: Postgres,
  clickhouse: Clickhouse,
): ApiParts {
  const retention = new Retention(clickhouse, clock)
  return {
    clock,
    about: {
      version: packageVersion(),
      ...(options.publicMqttUrl === '' ? {} : { mqttUrl: options.publicMqttUrl }),
    },
    devices: new DeviceStore(postgres, options.credentialKey),
    credentials: new CredentialStore(postgres, options.credentialKey),
    keys: new ApiKeyStore(postgres, options.credentialKey),
    changes: new ChangeLog(postgres),
    telemetry: new TelemetryReader(clickhouse),
    retention,
    rollups: new RollupReader(clickhouse, retention),
    audit: new AuditReader(clickhouse),
    evidence: new WindowEvidence(clickhouse),
    latest: new LatestValues({
      seriesMax: LIMITS.latestSeriesMax,
      metricsPerDeviceMax: LIMITS.latestMetricsPerDeviceMax,
    }),
  }
}

function hubOf({ metrics, clock }: Context, latest: LatestValues): LiveHub {
  const windows = new RecentWindows(LIMITS.latestSeriesMax)
  const snapshotItemsMax = LIMITS.liveSnapshotItemsMax
  return new LiveHub({ latest, windows, metrics, clock, snapshotItemsMax })
}

async function openFeed(context: Context, hub: LiveHub, flow: LiveFlow): Promise<LiveFeed> {
  const { options, logger, metrics, clock } = context
  const { topicPrefix, registryUrl, schemaIdsFile: file } = options
  const schemas = subjectSchemas(topicPrefix)
  const { ids } = await startWithSchemas({ registryUrl, file, schemas, logger })
  const codecs = new TopicCodecs({
    topicPrefix,
    ids,
    fetchSchema: (id) => fetchSchema(registryUrl, id),
  })
  return new LiveFeed({
    log: createKafkaLog({
      brokers: options.kafkaBrokers,
      clientId: 'weir-api',
      logger,
      metrics,
      clock,
    }),
    topicPrefix,
    telemetry: codecs.decoder(TELEMETRY),
    rollups: codecs.decoder(ROLLUPS),
    acceptedAgeMs: acceptedAgeMs(options),
    hub,
    flow,
    metrics,
    logger,
    clock,
  })
}

const dashboardDir = (option: string): string =>
  option === '' ? join(packageRoot(), 'dist', 'dashboard') : option

/** A database is not waited for: while it is down, requests that need it answer `unavailable`. */
function onlyClosed(name: string, close: (deadlineMs: number) => Promise<void>): Service {
  return { name, failure: new Promise(() => {}), start: async () => {}, drain: close }
}
