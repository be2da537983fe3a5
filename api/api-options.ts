/** Options of the api process. */
import { spelledOut } from '../platform/config/option-names.ts'
import type { OptionTable, OptionValues } from '../platform/config/options.ts'
import {
  CLICKHOUSE_OPTIONS,
  CREDENTIAL_OPTIONS,
  KAFKA_OPTIONS,
  POSTGRES_OPTIONS,
  RETENTION_OPTIONS,
} from '../platform/config/shared-options.ts'

export const API_OPTIONS = {
  ...KAFKA_OPTIONS,
  ...CLICKHOUSE_OPTIONS,
  ...POSTGRES_OPTIONS,
  ...CREDENTIAL_OPTIONS,
  ...RETENTION_OPTIONS,
  apiHost: {
    kind: 'text',
    default: '127.0.0.1',
    doc: 'Address the api, the live feed and the dashboard are served on.',
  },
  apiPort: {
    kind: 'integer',
    default: 8080,
    min: 0,
    max: 65_535,
    doc: 'Port of the api, the live feed and the dashboard; 0 takes any free one.',
  },
  apiAllowedOrigins: {
    kind: 'list',
    default: [],
    doc: 'Origins, besides our own host, whose pages may open the live feed, such as https://ops.example.',
  },
  liveSilenceMs: {
    kind: 'integer',
    default: 15_000,
    min: 2_000,
    max: 3_600_000,
    unit: 'ms',
    doc: 'How long nothing at all may come from Kafka before live readers are told that the feed stands still; more than twice tickIntervalMs of the pipeline.',
  },
  publicMqttUrl: {
    kind: 'text',
    default: '',
    doc: 'Where devices reach MQTT, such as mqtt://devices.example:1883: told at /v1/about and in the commands that the dashboard shows.',
  },
  apiDashboardDir: {
    kind: 'text',
    default: '',
    doc: 'Folder of the built dashboard; left out: dist/dashboard of this installation.',
  },
} as const satisfies OptionTable

/** Sentences about values that cannot work. */
export function contradictions(options: OptionValues<typeof API_OPTIONS>): readonly string[] {
  return [...originProblems(options), ...mqttUrlProblems(options)]
}

function originProblems(options: OptionValues<typeof API_OPTIONS>): readonly string[] {
  const name = spelledOut('apiAllowedOrigins')
  return options.apiAllowedOrigins
    .filter((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
    .map((origin) => `"${origin}" in ${name} is not an origin such as https://ops.example`)
}

/** A URL with a user or password in it would be shown to whoever opens the dashboard. */
function mqttUrlProblems({ publicMqttUrl }: OptionValues<typeof API_OPTIONS>): readonly string[] {
  if (publicMqttUrl === '' || /^mqtts?:\/\/[^/?#@\s]+\/?$/.test(publicMqttUrl)) return []
  const name = spelledOut('publicMqttUrl')
  return [`${name} must be like mqtt://devices.example:1883 or mqtts://devices.example:8883`]
}
