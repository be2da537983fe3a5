/**
 * Reads an option table from a command line and an environment: either every value, or every
 * problem at once, because a person who fixes one mistake at a time has to start us many times.
 *
 *   --name value   --name=value   --switch   --no-switch   WEIR_NAME=value
 *
 * A flag beats the environment. An empty environment variable counts as absent, which is what
 * container platforms set when nobody gave a value.
 */
import { nearestName } from './nearest-name.ts'
import { envName, flagName, spelledOut } from './option-names.ts'
import type { OptionSpec, OptionTable, OptionValues } from './options.ts'
import { type OptionValue, parseOption } from './parse-option.ts'

export type OptionSources = Readonly<{
  env: Readonly<Record<string, string | undefined>>
  /** Without the program's and the command's names. */
  argv: readonly string[]
}>
export type OptionsRead<T extends OptionTable> =
  | Readonly<{ kind: 'values'; values: OptionValues<T> }>
  | Readonly<{ kind: 'problems'; problems: readonly string[] }>

export function readOptions<const T extends OptionTable>(
  table: T,
  sources: OptionSources,
): OptionsRead<T> {
  const problems: string[] = []
  const texts = readFlags(table, sources.argv, problems)
  const values: Record<string, OptionValue> = {}
  for (const [name, spec] of Object.entries(table)) {
    const text = texts.get(name) ?? (sources.env[envName(name)] || undefined)
    if (text !== undefined) {
      const parsed = parseOption(name, spec, text)
      if (parsed.kind === 'problem') problems.push(parsed.problem)
      else values[name] = parsed.value
    } else if (spec.default !== undefined) {
      values[name] = spec.default
    } else {
      problems.push(missing(name, spec))
    }
  }
  if (problems.length > 0) return { kind: 'problems', problems }
  // The loop above gave every key of the table a value of the kind its entry declares.
  return { kind: 'values', values: values as OptionValues<T> }
}

/** Text by option name. What is not an option of this table becomes a problem. */
function readFlags(table: OptionTable, argv: readonly string[], problems: string[]) {
  const texts = new Map<string, string>()
  const flags = flagsOf(table)
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? ''
    if (!argument.startsWith('--')) {
      problems.push(`"${argument}" is not expected here: options start with two dashes.`)
      continue
    }
    const equals = argument.indexOf('=')
    const flag = equals < 0 ? argument : argument.slice(0, equals)
    const known = flags.get(flag)
    if (known === undefined) {
      problems.push(unknownFlag(flag, [...flags.keys()]))
      // Its value, if it has one, is not a second mistake.
      if (equals < 0 && isValue(argv[at + 1])) at += 1
      continue
    }
    let text = equals < 0 ? known.impliedText : argument.slice(equals + 1)
    if (text === undefined && isValue(argv[at + 1])) text = argv[(at += 1)]
    if (text === undefined) problems.push(`${flag} needs a value.`)
    else if (texts.has(known.name)) problems.push(`${flag} is given more than once.`)
    else texts.set(known.name, text)
  }
  return texts
}

/** Every flag of a table; a switch has two, and neither takes the next argument as its value. */
function flagsOf(table: OptionTable) {
  const flags = new Map<string, Readonly<{ name: string; impliedText: string | undefined }>>()
  for (const [name, spec] of Object.entries(table)) {
    const flag = flagName(name)
    flags.set(flag, { name, impliedText: spec.kind === 'switch' ? 'true' : undefined })
    if (spec.kind === 'switch') flags.set(`--no-${flag.slice(2)}`, { name, impliedText: 'false' })
  }
  return flags
}

function isValue(argument: string | undefined): argument is string {
  return argument !== undefined && !argument.startsWith('--')
}

function unknownFlag(flag: string, known: readonly string[]): string {
  const nearest = nearestName(flag, known)
  const hint = nearest === undefined ? '--help lists all options' : `did you mean ${nearest}?`
  return `${flag} is not an option: ${hint}${hint.endsWith('?') ? '' : '.'}`
}

function missing(name: string, spec: OptionSpec): string {
  const example = spec.kind === 'text' && spec.placeholder !== undefined ? spec.placeholder : ''
  return `${spelledOut(name)} is required${example === '' ? '' : `, such as ${example}`}.`
}
