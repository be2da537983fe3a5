/**
 * One pass over JSON bytes before they are parsed: how deep they nest and how many object members
 * they have. Depth is judged here because JSON.parse recurses; members are counted because
 * JSON.parse silently keeps the last of two equal names, and comparing this count with the parsed
 * one finds that out without a parser of our own.
 */
export type JsonScan = Readonly<{ depth: number; members: number }>

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Right for valid JSON; for anything else the numbers mean nothing and the parser will refuse. */
export function scanJson(bytes: Uint8Array): JsonScan {
  let level = 0
  let depth = 0
  let members = 0
  for (let i = 0; i < bytes.length; i++) {
    switch (bytes[i] ?? 0) {
      case QUOTE:
        i = endOfString(bytes, i + 1)
        break
      case COLON:
        members++
        break
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++level > depth) depth = level
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        level--
        break
      default:
    }
  }
  return { depth, members }
}

/** The index of the quote that closes a string, or the end of the bytes. */
function endOfString(bytes: Uint8Array, from: number): number {
  let i = from
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1
  return i
}
