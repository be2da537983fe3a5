/**
 * Whether producing a dead-lettered record again can help: it is judged as the pipeline would judge
 * it now. What would come straight back stays where it is.
 */
import type { AvroDecoder } from '../../schemas/avro-codec.ts'
import {
  clampMs,
  type Series as Entry,
  type Telemetry,
  timeRefusal,
} from '../../schemas/telemetry.ts'
import type { Letter, LetterOrigin } from './letter.ts'

/** Why a letter is not replayed; every one of them is a word of the commands' --json output. */
export type KeptBecause =
  /** Never was a record: the device was told, and has to send it again. */
  | 'refused_at_edge'
  /** A record of a topic that is not this deployment's. */
  | 'of_another_topic'
  /** The letter holds only the beginning of the value. */
  | 'cut'
  /** The registry was asked, and still has no schema of its id. */
  | 'schema_still_unknown'
  /** Today's release still cannot read it. */
  | 'still_unreadable'
  /** Some of its samples would be refused again; its other samples were stored. */
  | 'still_refused'

type ReplayVerdict =
  | Readonly<{ kind: 'replay'; origin: LetterOrigin }>
  | Readonly<{ kind: 'kept'; because: KeptBecause }>

export type JudgePorts = Readonly<{
  topic: string
  decoder: AvroDecoder<Telemetry>
  acceptedAgeMs: number
  nowMs(): number
}>

/** Rejects when the schema registry does not answer. */
export async function replayVerdict(letter: Letter, ports: JudgePorts): Promise<ReplayVerdict> {
  const { origin, value } = letter
  if (origin === undefined) return kept('refused_at_edge')
  if (origin.topic !== ports.topic) return kept('of_another_topic')
  if (letter.valueBytes !== undefined) return kept('cut')
  const record = value === null ? 'still_unreadable' : await readable(value, ports.decoder)
  if (typeof record === 'string') return kept(record)
  const nowMs = ports.nowMs()
  const times = { clampMs: clampMs(record.recvTs, nowMs), appendMs: nowMs }
  const isFine = (tsMs: number): boolean =>
    Number.isSafeInteger(tsMs) && timeRefusal(tsMs, times, ports.acceptedAgeMs) === undefined
  const { numbers, booleans, strings } = record
  const finite = numbers.every(({ v }) => v.every(Number.isFinite))
  const series: readonly Entry<unknown>[] = [...numbers, ...booleans, ...strings]
  const timely = series.every(({ t0, dt }) => dt.every((after) => isFine(t0 + after)))
  return finite && timely ? { kind: 'replay', origin } : kept('still_refused')
}

const kept = (because: KeptBecause): ReplayVerdict => ({ kind: 'kept', because })

/** The record, or why today's pipeline could not read it. */
async function readable(
  value: Buffer,
  decoder: AvroDecoder<Telemetry>,
): Promise<Telemetry | 'schema_still_unknown' | 'still_unreadable'> {
  let decoded = decoder.decode(value)
  if (decoded.kind === 'schema_unknown' && (await decoder.learn(decoded.schemaId))) {
    decoded = decoder.decode(value)
  }
  if (decoded.kind === 'schema_unknown') return 'schema_still_unknown'
  if (decoded.kind !== 'value') return 'still_unreadable'
  const { numbers, booleans, strings } = decoded.value
  const series: readonly Entry<unknown>[] = [...numbers, ...booleans, ...strings]
  return series.every(({ dt, v }) => dt.length === v.length) ? decoded.value : 'still_unreadable'
}
