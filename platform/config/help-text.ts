/** The --help page of a role or command, generated from its option table. */
import { envName, flagName } from './option-names.ts'
import type { OptionSpec, OptionTable } from './options.ts'
import { boundsOf } from './parse-option.ts'

export type HelpSubject = Readonly<{
  name: string
  summary: string
  options: OptionTable
  /** What is typed before the options, where that is not `weir <name>`. */
  typed?: string
}>

export function helpText({ name, summary, options, typed }: HelpSubject): string {
  const usage = `Usage: ${typed ?? `weir ${name}`} [options]`
  const lines = [`weir ${name}: ${summary}`, '', usage, '']
  for (const [option, spec] of Object.entries(options)) {
    lines.push(`  ${flagWithValue(option, spec)}`)
    lines.push(`      ${spec.doc} ${describeDefault(spec)} [${envName(option)}]`)
  }
  lines.push('  --help', '      Show this page and end.')
  return `${lines.join('\n')}\n`
}

export function flagWithValue(option: string, spec: OptionSpec): string {
  const flag = flagName(option)
  switch (spec.kind) {
    case 'integer':
      return `${flag} ${(spec.unit ?? 'number').toUpperCase()}`
    case 'switch':
      return `${flag} | --no-${flag.slice(2)}`
    case 'list':
      return `${flag} A,B,…`
    case 'choice':
      return `${flag} ${spec.choices.join('|')}`
    case 'text':
      return `${flag} TEXT`
  }
}

/** Default and bounds in words: "Default 0, from 0 to 65535." */
export function describeDefault(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'integer':
      return `Default ${spec.default}, ${boundsOf(spec)}.`
    case 'list':
      return spec.default.length === 0 ? 'Default empty.' : `Default ${spec.default.join(',')}.`
    case 'switch':
      return `Default ${spec.default ? 'on' : 'off'}.`
    case 'choice':
      return `Default ${spec.default}.`
    case 'text':
      if (spec.default === undefined) return 'Required.'
      return spec.default === '' ? 'Default empty.' : `Default ${spec.default}.`
  }
}
