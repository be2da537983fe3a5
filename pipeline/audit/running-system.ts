/**
 * Where a running system is, from the file that `npm start` writes: as environment variables that
 * stand below the real ones, so that every other option still has the last word.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { envName } from '../../platform/config/option-names.ts'
import { Failure } from '../../platform/failure.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * The environment of a command whose option `stack` names the file. A file that is not there is an
 * error only where it was asked for. Throws `config_invalid` when it is not JSON.
 */
export function withRunningSystem(argv: readonly string[], env: Env, standard: string): Env {
  const asked = stackOf(argv) ?? env[envName('stack')]
  const path = asked === undefined || asked === '' ? standard : asked
  if (!existsSync(path)) {
    if (path === standard) return env
    throw new Failure('unavailable', `there is no ${path} (--stack): is the system running?`)
  }
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  return { ...variablesOf(path), ...given }
}

function stackOf(argv: readonly string[]): string | undefined {
  const at = argv.findIndex((word) => word === '--stack' || word.startsWith('--stack='))
  if (at < 0) return undefined
  const word = argv[at] ?? ''
  return word === '--stack' ? argv[at + 1] : word.slice('--stack='.length)
}

function variablesOf(path: string): Record<string, string> {
  const stack = parsed(path)
  const values = {
    kafkaBrokers: listAt(stack, 'kafka', 'brokers'),
    topicPrefix: textAt(stack, 'kafka', 'topicPrefix'),
    registryUrl: textAt(stack, 'registry', 'url'),
    clickhouseUrl: textAt(stack, 'clickhouse', 'url'),
    clickhouseDatabase: textAt(stack, 'clickhouse', 'database'),
    schemaIdsFile: join(dirname(path), 'schema-ids.json'),
  }
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, text]) =>
      text === undefined ? [] : [[envName(name), text]],
    ),
  )
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new Failure('config_invalid', `${path} (--stack) is not a JSON object`, { cause })
  }
}

function partAt(stack: unknown, part: string, name: string): unknown {
  if (typeof stack !== 'object' || stack === null) return undefined
  const section: unknown = Object.entries(stack).find(([key]) => key === part)?.[1]
  if (typeof section !== 'object' || section === null) return undefined
  return Object.entries(section).find(([key]) => key === name)?.[1]
}

function textAt(stack: unknown, part: string, name: string): string | undefined {
  const value = partAt(stack, part, name)
  return typeof value === 'string' ? value : undefined
}

function listAt(stack: unknown, part: string, name: string): string | undefined {
  const value = partAt(stack, part, name)
  return Array.isArray(value) ? value.join(',') : undefined
}
