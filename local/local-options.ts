/** The options of `npm start`. */
import type { OptionTable } from '../platform/config/options.ts'
import { SUPERVISION_OPTIONS } from '../platform/config/shared-options.ts'

const port = (preset: number, doc: string) =>
  ({ kind: 'integer', default: preset, min: 1, max: 65_535, doc }) as const
const existing = (doc: string) => ({ kind: 'text', default: '', doc }) as const

export const LOCAL_OPTIONS = {
  host: {
    kind: 'text',
    default: '127.0.0.1',
    doc: 'Address that devices and browsers reach; the servers behind stay on 127.0.0.1.',
  },
  mqttPort: port(1883, 'Port for MQTT devices.'),
  apiPort: port(8080, 'Port of the api, the live feed and the dashboard.'),
  demo: { kind: 'switch', default: true, doc: 'Play recordings and a small simulated fleet.' },
  tenant: { kind: 'text', default: 'demo', doc: 'The tenant that the printed API key belongs to.' },
  stateDir: { kind: 'text', default: '.weir', doc: 'Folder for data, logs and secrets.' },
  serversDir: {
    kind: 'text',
    default: '',
    doc: 'Folder for downloaded server programs, to share them; empty: in the state folder.',
  },
  topicPartitions: {
    kind: 'integer',
    default: 4,
    min: 1,
    max: 100,
    doc: 'Partitions of each topic, when the topics are created.',
  },
  ...SUPERVISION_OPTIONS,
  topicPrefix: { kind: 'text', default: '', doc: 'Put in front of topic and group names.' },
  clickhouseDatabase: { kind: 'text', default: 'weir', doc: 'ClickHouse database.' },
  kafkaBrokers: {
    kind: 'list',
    default: [],
    doc: 'Use these Kafka brokers instead of starting one.',
  },
  registryUrl: existing('Use this schema registry instead of starting one.'),
  clickhouseUrl: existing('Use this ClickHouse instead of starting one.'),
  postgresUrl: existing('Use this Postgres database instead of starting one.'),
} as const satisfies OptionTable
