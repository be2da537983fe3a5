/**
 * What becomes of a record whose schema id nobody has told us: a writer may be a moment ahead of
 * its registration, so the registry is asked again before the record is given up. One for the
 * whole process; only the partition that asks waits.
 *
 *   the registry does not answer        ask for ever: nothing is dead-lettered because of it
 *   it has no such id, record is young  ask again, 250 ms to 5 s apart
 *   it has no such id, record is old    unknown, and for 30 s for every other record too
 *
 * Whoever replays a record has asked the registry just before: what was unknown to others, or to an
 * earlier replay, is asked again for each replay.
 *
 * A record is old when `patienceMs` have passed since it was appended, or since the question: a
 * backlog of nonsense with a thousand ids costs one question each, not a thousand waits.
 */
import type { Clock } from '../../platform/clock.ts'
import { answerUnless, sleepUnless, type Timers } from '../timers.ts'

const ASK_MS_MIN = 250
const ASK_MS_MAX = 5_000
const UNKNOWN_MS = 30_000
/** Ids remembered as unknown; nonsense may bring any number of them. */
const UNKNOWN_IDS_MAX = 10_000

export type SchemaQuestion = Readonly<{
  schemaId: number
  /** When its record was appended. */
  appendMs: number
  /** Of the replay that produced the record again; undefined: it came by itself. */
  replayId: string | undefined
}>

export type SchemaAnswer = 'readable' | 'unknown' | 'stopped'

type UnknownSchemasPorts = Readonly<{
  /** As AvroDecoder.learn: false when there is no such schema; rejects when nobody answers. */
  learn(schemaId: number): Promise<boolean>
  /** Told once per record that waits, and of every question that was not answered. */
  waiting(schemaId: number, why: string): void
  patienceMs: number
  timers: Timers
  clock: Clock
}>

export class UnknownSchemas {
  readonly #ports: UnknownSchemasPorts
  /** Until when an id of a replay, or of none, counts as unknown without another question. */
  readonly #unknownUntilMs = new Map<string, number>()

  constructor(ports: UnknownSchemasPorts) {
    this.#ports = ports
  }

  /** Resolves when it is clear what to do with a record of this id; at the latest with `signal`. */
  async resolve(question: SchemaQuestion, signal: AbortSignal): Promise<SchemaAnswer> {
    const { clock, timers, patienceMs, waiting } = this.#ports
    const { schemaId, appendMs } = question
    const name = questionName(question)
    if (clock.nowMs() < (this.#unknownUntilMs.get(name) ?? 0)) return 'unknown'
    const askedSinceMs = clock.monotonicMs()
    for (let delayMs = ASK_MS_MIN; !signal.aborted; delayMs = Math.min(2 * delayMs, ASK_MS_MAX)) {
      const answer = await answerUnless(this.#ask(schemaId), signal)
      if (answer === undefined) break
      if (answer.kind === 'readable') return 'readable'
      const nowMs = clock.nowMs()
      const isOld =
        nowMs - appendMs >= patienceMs || clock.monotonicMs() - askedSinceMs >= patienceMs
      if (answer.kind === 'none' && isOld) {
        this.#remember(name, nowMs)
        return 'unknown'
      }
      if (answer.kind === 'no_answer') waiting(schemaId, answer.why)
      else if (delayMs === ASK_MS_MIN) waiting(schemaId, 'the registry has no such id yet')
      await sleepUnless(timers, delayMs, signal)
    }
    return 'stopped'
  }

  async #ask(schemaId: number) {
    try {
      const known = await this.#ports.learn(schemaId)
      return { kind: known ? 'readable' : 'none' } as const
    } catch (error) {
      return { kind: 'no_answer', why: String(error) } as const
    }
  }

  #remember(name: string, nowMs: number): void {
    const [oldest] = this.#unknownUntilMs.keys()
    if (oldest !== undefined && this.#unknownUntilMs.size >= UNKNOWN_IDS_MAX) {
      this.#unknownUntilMs.delete(oldest)
    }
    this.#unknownUntilMs.delete(name)
    this.#unknownUntilMs.set(name, nowMs + UNKNOWN_MS)
  }
}

/** Questions of one name have one answer, for a while. */
export const questionName = ({
  schemaId,
  replayId,
}: Pick<SchemaQuestion, 'schemaId' | 'replayId'>): string =>
  replayId === undefined ? String(schemaId) : `${schemaId} ${replayId}`
