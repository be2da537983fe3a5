/**
 * JSON from strangers. JSON.parse keeps the last of two equal keys and follows any depth; here the
 * text is walked once before, so that what we check is what every other reader would see.
 */
import { LIMITS } from './limits.ts'
import { invalid } from './problem.ts'

type Open = { keys: Set<string> | undefined; expectKey: boolean }

const STRING = /"(?:[^"\\]|\\.)*"/y

/** The value, or a Refusal that says what is wrong and where. */
export const parseStrictJson = (bytes: Buffer): unknown => parseStrictJsonText(utf8(bytes))

export function parseStrictJsonText(text: string): unknown {
  walk(text)
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('This is not JSON.')
  }
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw invalid('This is not UTF-8.')
  }
}

/** Looks only at depth and repeated keys; JSON.parse judges the grammar afterwards. */
function walk(text: string): void {
  const open: Open[] = []
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]
    const top = open[open.length - 1]
    if (char === '{' || char === '[') {
      if (open.length === LIMITS.jsonDepthMax) {
        throw invalid(`The JSON is nested deeper than ${LIMITS.jsonDepthMax}.`)
      }
      const isObject = char === '{'
      open.push({ keys: isObject ? new Set() : undefined, expectKey: isObject })
    } else if (char === '}' || char === ']') {
      open.pop()
    } else if (char === ',' && top?.keys !== undefined) {
      top.expectKey = true
    } else if (char === '"') {
      at = string(text, at, top)
    }
  }
}

/** Returns the position of the closing quote. */
function string(text: string, at: number, top: Open | undefined): number {
  STRING.lastIndex = at
  const token = STRING.exec(text)?.[0]
  if (token === undefined) throw invalid('This is not JSON.')
  if (top?.keys !== undefined && top.expectKey) {
    const key = decoded(token)
    if (top.keys.has(key)) throw invalid(`The key ${JSON.stringify(key)} is there twice.`, key)
    top.keys.add(key)
    top.expectKey = false
  }
  return at + token.length - 1
}

/** Keys are compared as what they mean: "a" and "\u0061" are the same key. */
function decoded(token: string): string {
  try {
    return String(JSON.parse(token))
  } catch {
    throw invalid('This is not JSON.')
  }
}
