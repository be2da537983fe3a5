/**
 * Cursors: where the next page starts. To a client a cursor is an opaque word; inside it are the
 * position and a fingerprint of the question, so that a cursor cannot continue another question.
 * It carries no authority: what may be read is decided by the key, on every page anew.
 */
import { createHash } from 'node:crypto'
import { Refusal } from './problem.ts'

const VERSION = 1
const CURSOR_CHARS_MAX = 1_024

type CursorPart = string | number
type Encoded = readonly [version: number, fingerprint: string, ...position: CursorPart[]]

export function encodeCursor(
  question: readonly unknown[],
  position: readonly CursorPart[],
): string {
  const encoded: Encoded = [VERSION, fingerprintOf(question), ...position]
  return Buffer.from(JSON.stringify(encoded)).toString('base64url')
}

/** A page of what was found when one item more than `limit` was asked for, and the next cursor. */
export function pageOf<T>(
  found: readonly T[],
  limit: number,
  cursorAfter: (last: T) => string,
): { items: T[]; next: string | null } {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const next = found.length > limit && last !== undefined ? cursorAfter(last) : null
  return { items, next }
}

/** The position, or a Refusal when the cursor is not one that this question gave out. */
export function decodeCursor(
  question: readonly unknown[],
  cursor: string,
  shape: readonly ('string' | 'number')[],
): readonly CursorPart[] {
  const parts = parse(cursor)
  const [version, fingerprint, ...position] = parts
  if (version !== VERSION || typeof fingerprint !== 'string') throw unknownCursor()
  if (position.length !== shape.length) throw unknownCursor()
  if (fingerprint !== fingerprintOf(question)) {
    const text = 'The cursor belongs to another question: repeat the one that gave it, unchanged.'
    throw new Refusal('cursor_invalid', text, { field: 'cursor' })
  }
  return position.map((part, index) => checked(part, shape[index]))
}

function parse(cursor: string): readonly unknown[] {
  if (cursor.length > CURSOR_CHARS_MAX || !/^[A-Za-z0-9_-]+$/.test(cursor)) throw unknownCursor()
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(value)) return value
  } catch {
    // Not JSON: not ours.
  }
  throw unknownCursor()
}

function checked(part: unknown, type: 'string' | 'number' | undefined): CursorPart {
  if (type === 'string' && typeof part === 'string') return part
  if (type === 'number' && typeof part === 'number' && Number.isSafeInteger(part)) return part
  throw unknownCursor()
}

const unknownCursor = (): Refusal =>
  new Refusal('cursor_invalid', 'The cursor is not one we gave out.', { field: 'cursor' })

const fingerprintOf = (question: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(question)).digest('base64url').slice(0, 11)
