/**
 * Options that more than one process takes. A role's table spreads the groups it needs, so that an
 * option has the same name, default and meaning everywhere.
 */
import type { OptionTable } from './options.ts'

export const KAFKA_OPTIONS = {
  kafkaBrokers: {
    kind: 'list',
    default: ['127.0.0.1:9092'],
    doc: 'Kafka brokers to bootstrap from, as host:port.',
  },
  topicPrefix: {
    kind: 'text',
    default: '',
    doc: 'Put in front of every topic and consumer group, so that deployments can share a cluster.',
  },
  registryUrl: {
    kind: 'text',
    default: 'http://127.0.0.1:8081',
    doc: 'Base address of the schema registry (Confluent API), with its path if it has one.',
  },
  schemaIdsFile: {
    kind: 'text',
    default: '.weir/schema-ids.json',
    doc: 'Where known schema ids are kept, so that a start does not need the registry.',
  },
} as const satisfies OptionTable

/** Of whoever starts the roles. */
export const SUPERVISION_OPTIONS = {
  pipelineProcesses: {
    kind: 'integer',
    default: 1,
    min: 1,
    max: 64,
    doc: 'Pipeline processes that share the partitions. More than there are partitions stand idle.',
  },
} as const satisfies OptionTable

export const CLICKHOUSE_OPTIONS = {
  clickhouseUrl: {
    kind: 'text',
    default: 'http://127.0.0.1:8123',
    doc: 'Address of the ClickHouse HTTP interface.',
  },
  clickhouseDatabase: { kind: 'text', default: 'weir', doc: 'ClickHouse database.' },
  clickhouseUser: { kind: 'text', default: 'default', doc: 'ClickHouse user.' },
  clickhousePassword: {
    kind: 'text',
    default: '',
    secret: true,
    doc: 'Password of the ClickHouse user.',
  },
} as const satisfies OptionTable

export const POSTGRES_OPTIONS = {
  postgresUrl: {
    kind: 'text',
    secret: true,
    placeholder: 'postgres://user:password@host:5432/database',
    doc: 'Connection string of the Postgres database.',
  },
} as const satisfies OptionTable

export const CREDENTIAL_OPTIONS = {
  credentialKey: {
    kind: 'text',
    secret: true,
    placeholder: '32 random bytes in hex',
    doc: 'Key under which secrets of devices and API keys are stored. Changing it voids them all.',
  },
} as const satisfies OptionTable

/** How long data is kept, for everyone who must not believe what may be gone already. */
export const RETENTION_OPTIONS = {
  rawRetentionDays: {
    kind: 'integer',
    default: 400,
    min: 11,
    max: 36_500,
    unit: 'days',
    doc: 'How long ClickHouse keeps raw samples. Samples that are nearly as old are refused.',
  },
  logRetentionDays: {
    kind: 'integer',
    default: 7,
    min: 1,
    max: 3_650,
    unit: 'days',
    doc: 'How long Kafka keeps telemetry.',
  },
} as const satisfies OptionTable

const daysOfRollups = <const Days extends number>(days: Days, windows: string) =>
  ({
    kind: 'integer',
    default: days,
    min: 1,
    max: 36_500,
    unit: 'days',
    doc: `How long ClickHouse keeps windows of ${windows}.`,
  }) as const

/** How long rollups are kept: only `weir migrate` sets it, everyone else asks the tables. */
export const ROLLUP_RETENTION_OPTIONS = {
  rollup10sRetentionDays: daysOfRollups(90, 'ten seconds'),
  rollup1mRetentionDays: daysOfRollups(400, 'a minute; at least as long as raw samples'),
  rollup1hRetentionDays: daysOfRollups(1_830, 'an hour; at least as long as raw samples'),
  rollup1dRetentionDays: daysOfRollups(3_660, 'a day'),
} as const satisfies OptionTable

/** What run-role.ts itself needs; it adds this group to every role's table. */
export const PROCESS_OPTIONS = {
  adminHost: {
    kind: 'text',
    default: '127.0.0.1',
    doc: 'Address the admin server listens on. It is private: health, readiness and metrics.',
  },
  adminPort: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 65_535,
    doc: 'Port of the admin server; 0 takes any free one.',
  },
  logLevel: {
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    doc: 'The least important log lines to write.',
  },
  logFormat: {
    kind: 'choice',
    choices: ['auto', 'json', 'text'],
    default: 'auto',
    doc: 'json: one object a line; text: for people; auto: text on a terminal, otherwise json.',
  },
  drainDeadlineMs: {
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'How long work in flight may take to finish once the process is asked to end.',
  },
} as const satisfies OptionTable
