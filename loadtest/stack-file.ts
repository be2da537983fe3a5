/**
 * Reads the description of a running system, `.weir/local.json`. Only what a stranger may rely on
 * is read; a part that is absent is undefined, and whoever needs it says so in one sentence.
 */
import { readFileSync } from 'node:fs'
import { Failure } from '../platform/failure.ts'

export type StackFile = Readonly<{
  path: string
  api: Readonly<{ url: string; key: string }> | undefined
  mqtt: Readonly<{ url: string }> | undefined
  kafka: Readonly<{ brokers: readonly string[]; topicPrefix: string }> | undefined
  clickhouse: Readonly<{ url: string; database: string }> | undefined
  registry: Readonly<{ url: string }> | undefined
  postgres: Readonly<{ url: string }> | undefined
}>

/** Throws `unavailable` when the file is missing and `config_invalid` when it is not JSON. */
export function readStackFile(path: string): StackFile {
  const json = parse(path)
  const api = section(json, 'api')
  const mqtt = section(json, 'mqtt')
  const kafka = section(json, 'kafka')
  const clickhouse = section(json, 'clickhouse')
  const registry = section(json, 'registry')
  const postgres = section(json, 'postgres')
  return {
    path,
    api: api && { url: text(api, 'url'), key: text(api, 'key') },
    mqtt: mqtt && { url: text(mqtt, 'url') },
    kafka: kafka && {
      brokers: texts(kafka, 'brokers'),
      topicPrefix: optionalText(kafka, 'topicPrefix') ?? '',
    },
    clickhouse: clickhouse && {
      url: text(clickhouse, 'url'),
      database: optionalText(clickhouse, 'database') ?? 'default',
    },
    registry: registry && { url: text(registry, 'url') },
    postgres: postgres && { url: text(postgres, 'url') },
  }
}

/** The named part of the stack, or a sentence that says it is not there. */
export function partOf<K extends Exclude<keyof StackFile, 'path'>>(
  stack: StackFile,
  name: K,
): NonNullable<StackFile[K]> {
  const part = stack[name]
  if (part === undefined) throw new Failure('config_invalid', `${stack.path} has no "${name}" part`)
  return part
}

/** Host and port of a URL such as mqtt://127.0.0.1:1883. */
export function hostAndPort(
  url: string,
  defaultPort: number,
): Readonly<{ host: string; port: number }> {
  const parsed = new URL(url)
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
  }
}

type Json = Readonly<Record<string, unknown>>

function parse(path: string): Json {
  let body: string
  try {
    body = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure('unavailable', `cannot read ${path} (--stack): is the system running?`, {
      cause,
    })
  }
  try {
    const json: unknown = JSON.parse(body)
    if (isObject(json)) return json
  } catch {
    // The sentence below says it.
  }
  throw new Failure('config_invalid', `${path} (--stack) is not a JSON object`)
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function section(json: Json, name: string): Json | undefined {
  const value = json[name]
  return isObject(value) ? value : undefined
}

function optionalText(json: Json, name: string): string | undefined {
  const value = json[name]
  return typeof value === 'string' ? value : undefined
}

const text = (json: Json, name: string): string => optionalText(json, name) ?? ''

function texts(json: Json, name: string): readonly string[] {
  const value = json[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
