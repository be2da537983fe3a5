/**
 * The dead letters of a range of the log: by the record they are about, and those of messages that
 * the edge refused, which never were in the log. Only headers are kept.
 */
import type { LogRecord } from '../../platform/kafka/log.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { hourOf, type LogCut } from './log-cut.ts'

export type Letter = Readonly<{
  reason: string
  /** Indexes of the samples it is about; undefined: the whole record. */
  samples: ReadonlySet<number> | undefined
}>

export class LetterBook {
  /** Edge refusals by tenant, hour and reason. */
  readonly edge = new Map<string, { tenant: string; hourMs: number; reason: string; count: number }>()
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

  /** A record of the dead-letter topic. One that a replay wrote twice counts once. */
  add(record: LogRecord): void {
    const { headers } = record
    const text = (name: string): string | undefined => headers[name]?.toString()
    const reason = text(DEAD_LETTER_HEADERS.reason) ?? 'unknown'
    const partition = Number(text(DEAD_LETTER_HEADERS.partition))
    const offset = Number(text(DEAD_LETTER_HEADERS.offset))
    if (text(DEAD_LETTER_HEADERS.offset) === undefined) {
      const receivedMs = Number(text(DEAD_LETTER_HEADERS.receivedAt) ?? record.timestampMs)
      this.#addOfEdge(tenantOfKey(record.key), receivedMs, reason)
      return
    }
    if (text(DEAD_LETTER_HEADERS.topic) !== this.#topic) return
    const span = this.#cut.partitions.get(partition)?.span
    if (span === undefined || !(offset >= span.from && offset < span.to)) return
    const samples = indexesOf(text(DEAD_LETTER_HEADERS.samples))
    let letters = this.#byRecord.get(partition)
    if (letters === undefined) this.#byRecord.set(partition, (letters = new Map()))
    const known = letters.get(offset)
    letters.set(offset, known === undefined ? { reason, samples } : merged(known, samples))
  }

  #addOfEdge(tenant: string, receivedMs: number, reason: string): void {
    if (!(receivedMs >= this.#cut.fromMs && receivedMs < this.#cut.toMs)) return
    const hourMs = hourOf(receivedMs)
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
