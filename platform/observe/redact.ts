/**
 * Keeps secrets out of logs: a field whose name says secret loses its value, and so does the
 * password inside of an address. What is left is safe for JSON and bounded in size.
 */
import { Failure } from '../failure.ts'

const DEPTH_MAX = 5
const TEXT_CHARS_MAX = 8_192
const ITEMS_MAX = 100
const HIDDEN = '[hidden]'

/** Compared with the end of a field's name, lower-cased and without separators. */
const SECRET_NAME_ENDINGS = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'token',
  'authorization',
  'cookie',
  'apikey',
  'privatekey',
  'secretkey',
  'credential',
  'credentials',
]

function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return SECRET_NAME_ENDINGS.some((ending) => plain.endsWith(ending))
}

/** A copy for JSON.stringify: secrets hidden, errors spelled out, depth and length bounded. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return describeError(value, depth)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return value.toJSON()
  if (depth >= DEPTH_MAX) return '[deeper]'
  if (Array.isArray(value)) {
    return value.slice(0, ITEMS_MAX).map((item: unknown) => redact(item, depth + 1))
  }
  return redactFields(value instanceof Map ? Object.fromEntries(value) : value, depth)
}

export function redactFields(fields: object, depth = 0): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields).slice(0, ITEMS_MAX)) {
    copy[name] = isSecretName(name) ? HIDDEN : redact(field, depth + 1)
  }
  return copy
}

/** `scheme://user:password@host` keeps its user; what is too long is cut. */
function redactText(text: string): string {
  const cut = text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text
  return cut.replaceAll(/(:\/\/[^\s:/@]*):[^\s@]*@/g, `$1:${HIDDEN}@`)
}

function describeError(error: Error, depth: number): unknown {
  const code = 'code' in error ? { code: error.code } : {}
  // A Failure is expected: where it was made says nothing that its sentence does not.
  const stack = error instanceof Failure ? {} : { stack: redactText(error.stack ?? '') }
  const cause =
    error.cause === undefined || depth >= DEPTH_MAX ? {} : { cause: redact(error.cause, depth + 1) }
  return { name: error.name, ...code, message: redactText(error.message), ...stack, ...cause }
}
