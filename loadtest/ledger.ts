/**
 * The ledger: what was sent and what was acknowledged, written by the sender as it happens to an
 * append-only file, so that it survives the sender too. One JSON value a line:
 *
 *   {"ledger":1,"prefix","seed",…}                      the first line
 *   ["s",message,device,[[ts,{metric:value,…}],…]]      sent; ts is null where the device has no clock
 *   ["a",message]                                       acknowledged
 *   {"end":1,"lastAckAtMs"}                             the last line of a run that ended in order
 *
 * A resend by MQTT is the same message; a duplicate by the device is another message with the
 * same times. A ledger without a last line is usable: its last broken line is ignored.
 */
import { type WriteStream, createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'

export type LedgerValue = number | boolean | string
export type LedgerSample = readonly [
  ts: number | null,
  values: Readonly<Record<string, LedgerValue>>,
]
export type LedgerHeader = Readonly<{
  ledger: 1
  prefix: string
  seed: string
  startedAtMs: number
}>
export type LedgerMessage = Readonly<{
  id: number
  device: string
  samples: readonly LedgerSample[]
  acked: boolean
}>
export type Ledger = Readonly<{
  header: LedgerHeader
  messages: readonly LedgerMessage[]
  /** Undefined when the sender did not end in order. */
  lastAckAtMs: number | undefined
}>

/** Lines are gathered for this long: one write for many. */
const FLUSH_CHARS = 64 * 1024

export class LedgerWriter {
  readonly #out: WriteStream
  #lines = ''
  #nextId = 0
  #lastAckAtMs = 0

  constructor(path: string, header: LedgerHeader) {
    this.#out = createWriteStream(path, { mode: 0o600 })
    this.#line(header)
  }

  /** Call it before the message leaves: what is stored and not in the ledger counts as invented. */
  sent(device: string, samples: readonly LedgerSample[]): number {
    const id = (this.#nextId += 1)
    this.#line(['s', id, device, samples])
    return id
  }

  acknowledged(id: number, atMs: number): void {
    this.#lastAckAtMs = Math.max(this.#lastAckAtMs, atMs)
    this.#line(['a', id])
  }

  async end(): Promise<void> {
    this.#line({ end: 1, lastAckAtMs: this.#lastAckAtMs })
    await new Promise<void>((resolve, reject) => {
      this.#out.once('error', reject)
      this.#out.end(this.#lines, () => resolve())
    })
  }

  #line(value: unknown): void {
    this.#lines += `${JSON.stringify(value)}\n`
    if (this.#lines.length < FLUSH_CHARS) return
    this.#out.write(this.#lines)
    this.#lines = ''
  }
}

/** Throws when the file is not a ledger. */
export async function readLedger(path: string): Promise<Ledger> {
  const sent = new Map<
    number,
    { id: number; device: string; samples: LedgerSample[]; acked: boolean }
  >()
  let header: LedgerHeader | undefined
  let lastAckAtMs: number | undefined
  const input = createReadStream(path)
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    const entry = parsedLine(line)
    if (entry === undefined) continue
    if (Array.isArray(entry)) {
      const [kind, id, device, samples] = entry
      if (kind === 's') sent.set(id, { id, device, samples, acked: false })
      const message = kind === 'a' ? sent.get(id) : undefined
      if (message !== undefined) message.acked = true
    } else if ('ledger' in entry) header = entry
    else lastAckAtMs = entry.lastAckAtMs
  }
  if (header === undefined) throw new Error(`${path} is not a ledger: its first line is missing`)
  return { header, messages: [...sent.values()], lastAckAtMs }
}

type SentLine = ['s' | 'a', number, string, LedgerSample[]]
type EndLine = { end: 1; lastAckAtMs: number }

/** Undefined for the half line that a killed sender leaves behind. */
function parsedLine(line: string): SentLine | LedgerHeader | EndLine | undefined {
  try {
    // Only LedgerWriter writes these lines.
    return JSON.parse(line) as SentLine | LedgerHeader | EndLine
  } catch {
    return undefined
  }
}
