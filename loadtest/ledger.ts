/**
 * The ledger of a load test, as schemas/client-ledger.ts spells it: written by the sender as it
 * happens, so that it survives the sender too, and read back.
 *
 * A resend by MQTT is the same message; a duplicate by the device is another message with the
 * same times. A ledger without a last line is usable: its last broken line is ignored.
 */
import { type WriteStream, createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type LedgerHeader, ledgerLineOf, type LedgerSample } from '../schemas/client-ledger.ts'

export type { LedgerHeader, LedgerSample, LedgerValue } from '../schemas/client-ledger.ts'
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
    { id: number; device: string; samples: readonly LedgerSample[]; acked: boolean }
  >()
  let header: LedgerHeader | undefined
  let lastAckAtMs: number | undefined
  const input = createReadStream(path)
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    const line = ledgerLineOf(text)
    if (line === undefined) continue
    if (line.kind === 'sent') {
      const { id, device, samples } = line
      sent.set(id, { id, device, samples, acked: false })
    } else if (line.kind === 'acknowledged') {
      const message = sent.get(line.id)
      if (message !== undefined) message.acked = true
    } else if (line.kind === 'header') header = line.header
    else lastAckAtMs = line.lastAckAtMs
  }
  if (header === undefined) throw new Error(`${path} is not a ledger: its first line is missing`)
  return { header, messages: [...sent.values()], lastAckAtMs }
}
