/** One letter for a person: its headers as text, its value decoded or, failing that, its bytes. */
import type { AvroDecoder } from '../../schemas/avro-codec.ts'
import type { Telemetry } from '../../schemas/telemetry.ts'
import { type Letter, letterId } from './letter.ts'

/** Of a value that cannot be decoded, so many bytes are shown. */
const SHOWN_BYTES_MAX = 512

type ShownLetter = Readonly<{
  letter: string
  at: string
  key: string | null
  headers: Readonly<Record<string, string>>
  bytes: number
  /** The record, where it can be read. */
  record?: Telemetry
  /** The text, where it is one, as a payload of the edge may be. */
  text?: string
  /** The first bytes in hex otherwise. */
  hex?: string
}>

/** Asks the registry for a schema that is not known; rejects when it does not answer. */
export async function shownLetter(
  letter: Letter,
  decoder: AvroDecoder<Telemetry>,
): Promise<ShownLetter> {
  const { atMs, key, value, headers } = letter
  const shown = {
    letter: letterId(letter),
    at: new Date(atMs).toISOString(),
    key: key?.toString() ?? null,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, bytes]) => [name, bytes.toString()]),
    ),
    bytes: letter.valueBytes ?? value?.length ?? 0,
  }
  return value === null ? shown : { ...shown, ...(await content(value, decoder)) }
}

async function content(
  value: Buffer,
  decoder: AvroDecoder<Telemetry>,
): Promise<Pick<ShownLetter, 'record' | 'text' | 'hex'>> {
  let decoded = decoder.decode(value)
  if (decoded.kind === 'schema_unknown' && (await decoder.learn(decoded.schemaId))) {
    decoded = decoder.decode(value)
  }
  if (decoded.kind === 'value') return { record: decoded.value }
  const text = printable(value.subarray(0, SHOWN_BYTES_MAX))
  if (text !== undefined) return { text }
  return { hex: value.subarray(0, SHOWN_BYTES_MAX).toString('hex') }
}

/** The bytes as text, if they are one: UTF-8 without control characters. */
function printable(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? undefined : text
}
