/**
 * One pass over JSON bytes before they are parsed: how deep they nest and how many object members
 * they have. Depth is judged here because JSON.parse recurses; members are counted because
 * JSON.parse silently keeps the last of two equal names, and comparing this count with the parsed
 * one finds that out without a parser of our own.
 */
export type JsonScan = Readonly<{
  depth: number
  members: number
  /** No byte above 0x7f: such text is valid UTF-8, and one byte a character. */
  ascii: boolean
}>

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
  let bits = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    bits |= byte
    switch (byte) {
      case QUOTE:
        for (i++; i < bytes.length; i++) {
          const inside = bytes[i] ?? 0
          if (inside === QUOTE) break
          bits |= inside
          if (inside === BACKSLASH) bits |= bytes[++i] ?? 0
        }
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
  return { depth, members, ascii: bits < 0x80 }
}
