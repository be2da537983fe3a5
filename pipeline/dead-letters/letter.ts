/**
 * A record of the dead-letter topic, read back: what it says of itself, and whose it is. Letters of
 * the pipeline are records of telemetry; letters of the edge are payloads that never became one.
 *
 * Beside the letters lie marks: records without a key that say which letters of their partition
 * were replayed. They are as old as the replay, so they stay at least as long as the letters.
 */
import type { LogRecord, OutgoingRecord } from '../../platform/kafka/log.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'

/** Of a record that a replay produces, and of its letter should it come back. */
export const REPLAY_HEADERS = {
  id: 'replay.id',
  /** `topic/partition/offset` of the record that was dead-lettered first. */
  origin: 'replay.orig',
} as const
const MARK_HEADER = 'dlq.mark'

export type LetterOrigin = Readonly<{
  topic: string
  partition: number
  offset: number
  timestampMs: number
}>

export type Letter = Readonly<{
  partition: number
  offset: number
  /** When it was written, by the broker's clock. */
  atMs: number
  /** Undefined: refused at the edge, before it was a record. */
  origin: LetterOrigin | undefined
  stage: string
  reason: string
  error: string
  schemaId: number | undefined
  replays: number
  tenant: string
  device: string
  key: Buffer | null
  value: Buffer | null
  /** Where the letter holds only the beginning of the value. */
  valueBytes: number | undefined
  headers: Readonly<Record<string, Buffer>>
}>

/** What a person calls the letter by. */
export const letterId = ({ partition, offset }: Pick<Letter, 'partition' | 'offset'>): string =>
  `${partition}:${offset}`

type ReplayMark = Readonly<{ replayId: string; offsets: readonly number[] }>
type LetterRecord =
  | Readonly<{ kind: 'letter'; letter: Letter }>
  | Readonly<{ kind: 'mark'; mark: ReplayMark }>

/** Copies nothing: the letter is good for as long as the record is. */
export function readLetter(partition: number, record: LogRecord): LetterRecord {
  const { offset, timestampMs: atMs, key, value, headers } = record
  const h = DEAD_LETTER_HEADERS
  const text = (name: string): string | undefined => headers[name]?.toString()
  const mark = text(MARK_HEADER) === undefined ? undefined : parseMark(value)
  if (mark !== undefined) return { kind: 'mark', mark }
  const [tenant = '', device = ''] = (key?.toString() ?? '').split('/', 2)
  const letter = {
    ...{ partition, offset, atMs, key, value, headers },
    origin: originOf(headers),
    stage: text(h.stage) ?? 'unknown',
    reason: text(h.reason) ?? 'unknown',
    error: text(h.error) ?? '',
    schemaId: integerOf(text(h.schemaId)),
    replays: integerOf(text(h.replays)) ?? 0,
    tenant: text(h.tenant) ?? tenant,
    device: text(h.device) ?? device,
    valueBytes: integerOf(text(h.valueBytes)),
  }
  return { kind: 'letter', letter }
}

/** The mark of a replay, for the partition of the letters it names. */
export const markRecord = (mark: ReplayMark): OutgoingRecord => ({
  key: null,
  value: Buffer.from(JSON.stringify(mark)),
  headers: { [MARK_HEADER]: Buffer.from('replayed') },
})

/** What a replay produces: the record as it was, and where it comes from. */
export function replayRecord(letter: Letter, origin: LetterOrigin, replayId: string) {
  const h = DEAD_LETTER_HEADERS
  const story = new Set<string>(Object.values(h))
  const kept = Object.entries(letter.headers).filter(([name]) => !story.has(name))
  const first = letter.headers[REPLAY_HEADERS.origin]?.toString()
  const added = {
    [REPLAY_HEADERS.id]: replayId,
    [REPLAY_HEADERS.origin]: first ?? `${origin.topic}/${origin.partition}/${origin.offset}`,
    [h.replays]: String(letter.replays + 1),
  }
  const texts = Object.entries(added).map(([name, text]) => [name, Buffer.from(text)] as const)
  const { key, value } = letter
  return { key, value, headers: Object.fromEntries([...kept, ...texts]) } satisfies OutgoingRecord
}

function originOf(headers: LogRecord['headers']): LetterOrigin | undefined {
  const h = DEAD_LETTER_HEADERS
  const topic = headers[h.topic]?.toString()
  const [partition, offset, timestampMs] = [h.partition, h.offset, h.timestamp].map((name) =>
    integerOf(headers[name]?.toString()),
  )
  if (topic === undefined || partition === undefined || offset === undefined) return undefined
  return { topic, partition, offset, timestampMs: timestampMs ?? 0 }
}

function integerOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

function parseMark(value: Buffer | null): ReplayMark | undefined {
  try {
    const mark: unknown = JSON.parse(value?.toString() ?? '')
    if (typeof mark !== 'object' || mark === null) return undefined
    if (!('replayId' in mark) || typeof mark.replayId !== 'string') return undefined
    if (!('offsets' in mark) || !Array.isArray(mark.offsets)) return undefined
    return { replayId: mark.replayId, offsets: mark.offsets.filter(Number.isSafeInteger) }
  } catch {
    return undefined
  }
}
