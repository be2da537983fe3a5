/**
 * The dead letters of a range of the log: by the record they are about, and those of messages that
 * the edge refused, which never were in the log. Only headers are kept.
 */
import type { LogRecord } from '../../../platform/kafka/log.ts'
import { DEAD_LETTER_HEADERS, DEAD_LETTER_SAMPLES_MAX } from '../../../schemas/dead-letter.ts'
import { type Letter as DeadLetter, readLetter } from '../../dead-letters/letter.ts'
import { hourOf, type LogCut } from './log-cut.ts'

export type Letter = Readonly<{
  reason: string
  /** Indexes of the samples it is about; undefined: the whole record. */
  samples: ReadonlySet<number> | undefined
}>

export class LetterBook {
  /** Edge refusals by tenant, hour and reason. */
  readonly edge = new Map<
    string,
    { tenant: string; hourMs: number; reason: string; count: number }
  >()
  readonly #byRecord = new Map<number, Map<number, Letter>>()
  readonly #topic: string
  readonly #cut: LogCut

  constructor(topic: string, cut: LogCut) {
    this.#topic = topic
    this.#cut = cut
  }

  /** Undefined where the record has no letter. */
  of(partition: number, offset: number): Letter | undefined {
    return this.#byRecord.get(partition)?.get(offset)
  }

  /** A record of the dead-letter topic. A letter that was written twice counts once. */
  add(letterPartition: number, record: LogRecord): void {
    const read = readLetter(letterPartition, record)
    if (read.kind !== 'letter') return
    const { origin, reason, headers } = read.letter
    if (origin === undefined) return this.#addOfEdge(read.letter)
    if (origin.topic !== this.#topic) return
    const { partition, offset } = origin
    const span = this.#cut.partitions.get(partition)?.span
    if (span === undefined || offset < span.from || offset >= span.to) return
    const samples = indexesOf(headers[DEAD_LETTER_HEADERS.samples]?.toString())
    let letters = this.#byRecord.get(partition)
    if (letters === undefined) this.#byRecord.set(partition, (letters = new Map()))
    const known = letters.get(offset)
    letters.set(offset, known === undefined ? { reason, samples } : merged(known, samples))
  }

  #addOfEdge({ tenant, atMs, reason }: DeadLetter): void {
    if (atMs < this.#cut.fromMs || atMs >= this.#cut.toMs) return
    const hourMs = hourOf(atMs)
    const key = `${hourMs} ${reason} ${tenant}`
    const known = this.edge.get(key)
    if (known === undefined) this.edge.set(key, { tenant, hourMs, reason, count: 1 })
    else known.count += 1
  }
}

/** The tenant of a record's key `tenant/device`; empty where there is none. */
export function tenantOfKey(key: Buffer | null): string {
  const slash = key?.indexOf(0x2f) ?? -1
  return slash <= 0 ? '' : (key?.toString('utf8', 0, slash) ?? '')
}

/** Whether a letter tells of a sample. One that lists as many as it may can have left some out. */
export function tells(letter: Letter | undefined, sample: number): boolean {
  if (letter === undefined) return false
  const { samples } = letter
  return samples === undefined || samples.has(sample)
}

export const isCut = (letter: Letter | undefined): boolean =>
  (letter?.samples?.size ?? 0) >= DEAD_LETTER_SAMPLES_MAX

/** Two letters about one record: whoever wrote the second one refused more, or the same again. */
function merged(known: Letter, samples: ReadonlySet<number> | undefined): Letter {
  if (known.samples === undefined || samples === undefined) return { ...known, samples: undefined }
  return { ...known, samples: new Set([...known.samples, ...samples]) }
}

function indexesOf(text: string | undefined): ReadonlySet<number> | undefined {
  if (text === undefined) return undefined
  try {
    const indexes: unknown = JSON.parse(text)
    if (Array.isArray(indexes)) return new Set(indexes.filter((index) => Number.isInteger(index)))
  } catch {
    // Not ours: taken as a letter about the whole record.
  }
  return undefined
}
