/** From the text of one option to its value, or to the sentence that says why it cannot be. */
import { spelledOut } from './option-names.ts'
import type { IntegerOption, OptionSpec } from './options.ts'

export type OptionValue = number | string | boolean | readonly string[]
export type ParsedOption =
  | Readonly<{ kind: 'value'; value: OptionValue }>
  | Readonly<{ kind: 'problem'; problem: string }>

/** `name` is the key in the option table; the problem names the option by flag and environment. */
export function parseOption(name: string, spec: OptionSpec, text: string): ParsedOption {
  switch (spec.kind) {
    case 'integer':
      return parseInteger(name, spec, text)
    case 'switch':
      return parseSwitch(name, text)
    case 'list':
      return parseList(name, text)
    case 'choice':
      if (spec.choices.includes(text)) return { kind: 'value', value: text }
      return problem(name, `must be one of ${spec.choices.join(', ')}, not "${text}"`)
    case 'text':
      return { kind: 'value', value: text }
  }
}

/** "from 1 to 65535", with the unit where there is one. */
export function boundsOf(spec: IntegerOption): string {
  return `from ${spec.min} to ${spec.max}${spec.unit === undefined ? '' : ` ${spec.unit}`}`
}

function parseInteger(name: string, spec: IntegerOption, text: string): ParsedOption {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
  if (value === undefined || value < spec.min || value > spec.max) {
    return problem(name, `must be a whole number ${boundsOf(spec)}, not "${text}"`)
  }
  return { kind: 'value', value }
}

function parseSwitch(name: string, text: string): ParsedOption {
  if (['true', '1', 'yes', 'on'].includes(text)) return { kind: 'value', value: true }
  if (['false', '0', 'no', 'off'].includes(text)) return { kind: 'value', value: false }
  return problem(name, `must be true or false, not "${text}"`)
}

function parseList(name: string, text: string): ParsedOption {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  if (items.length === 0) return problem(name, 'needs at least one item, separated by commas')
  return { kind: 'value', value: items }
}

function problem(name: string, sentence: string): ParsedOption {
  return { kind: 'problem', problem: `${spelledOut(name)} ${sentence}.` }
}
