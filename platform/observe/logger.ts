/**
 * Structured logs: one JSON object a line on standard error, or a short line for people when a
 * terminal reads it. Normal operation is silent below `info`; secrets never reach a log because
 * fields whose name is on the deny list are replaced before the line is built.
 */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger whose every line carries these fields as well. */
  with(fields: LogFields): Logger
}
