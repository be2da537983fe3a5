/**
 * Where a running system is, from the file that `npm start` writes: as environment variables that
 * stand below the real ones, so that every other option still has the last word.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { envName, flagName } from '../../platform/config/option-names.ts'
import type { OptionSources } from '../../platform/config/read-options.ts'
import { Failure } from '../../platform/failure.ts'

/** Whoever gives one of these means other servers: the file is not mixed in unless it is asked for. */
const SERVERS = ['kafkaBrokers', 'registryUrl', 'clickhouseUrl'] as const

/**
 * The environment of a command whose option `stack` names the file. Throws `unavailable` where the
 * file is not there and nothing else says where the servers are, and `config_invalid` when it is not
 * JSON.
 */
export function withRunningSystem(
  { argv, env }: OptionSources,
  options: Readonly<{ stack: Readonly<{ default: string }> }>,
): OptionSources['env'] {
  const servers = SERVERS.filter((name) => Object.hasOwn(options, name))
  const asked = given('stack', { argv, env })
  if (asked === undefined && servers.some((name) => given(name, { argv, env }) !== undefined)) {
    return env
  }
  const path = asked ?? options.stack.default
  if (!existsSync(path)) {
    const text = `there is no ${path} (--stack): is the system running?`
    const flags = servers.map(flagName).join(', ')
    const hint = asked === undefined ? ` Servers elsewhere are named by ${flags}.` : ''
    throw new Failure('unavailable', text + hint)
  }
  const own = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  return { ...variablesOf(path), ...own }
}

/** What a flag or, without one, the environment says; what is empty says nothing. */
function given(name: string, { argv, env }: OptionSources): string | undefined {
  const flag = flagName(name)
  const at = argv.findIndex((word) => word === flag || word.startsWith(`${flag}=`))
  const word = argv[at] ?? ''
  const said = word === flag ? argv[at + 1] : word.slice(flag.length + 1)
  return said || env[envName(name)] || undefined
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
