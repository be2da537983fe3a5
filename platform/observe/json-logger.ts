/** The Logger of every process: JSON lines for machines, short lines for a person at a terminal. */
import type { Clock } from '../clock.ts'
import type { LogFields, Logger, LogLevel } from './logger.ts'
import { redact, redactFields } from './redact.ts'

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

export type LoggerOptions = Readonly<{
  level: LogLevel
  format: 'json' | 'text'
  clock: Clock
  /** Takes one whole line, line end included. */
  write: (line: string) => void
  fields?: LogFields
}>

export function createLogger(options: LoggerOptions): Logger {
  const { level, format, clock, write, fields = {} } = options
  const line = format === 'json' ? jsonLine : textLine

  function log(at: LogLevel, message: string, own: LogFields = {}): void {
    if (RANK[at] < RANK[level]) return
    write(line({ at: new Date(clock.nowMs()), level: at, message, fields: { ...fields, ...own } }))
  }

  return {
    debug: (message, own) => log('debug', message, own),
    info: (message, own) => log('info', message, own),
    warn: (message, own) => log('warn', message, own),
    error: (message, own) => log('error', message, own),
    with: (more) => createLogger({ ...options, fields: { ...fields, ...more } }),
  }
}

type Entry = Readonly<{ at: Date; level: LogLevel; message: string; fields: LogFields }>

function jsonLine({ at, level, message, fields }: Entry): string {
  // First for the reader, and last again: a field of the same name may not disguise them.
  const fixed = { time: at.toISOString(), level, message: redact(message) }
  return `${JSON.stringify({ ...fixed, ...redactFields(fields), ...fixed })}\n`
}

function textLine({ at, level, message, fields }: Entry): string {
  const words = Object.entries(redactFields(fields)).map(
    ([name, value]) => ` ${name}=${textOf(value)}`,
  )
  const mark = level === 'info' ? '' : `${level.toUpperCase()} `
  return `${at.toISOString().slice(11, 23)} ${mark}${String(redact(message))}${words.join('')}\n`
}

function textOf(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value
  return JSON.stringify(value) ?? String(value)
}
