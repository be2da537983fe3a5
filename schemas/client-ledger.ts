/**
 * The ledger of a client: what it sent and what was acknowledged, in its own words, as an
 * append-only file. It is the witness that neither the log nor the tables can be. One JSON value a
 * line:
 *
 *   {"ledger":1,"prefix","seed",…}                      the first line
 *   ["s",message,device,[[ts,{metric:value,…}],…]]      sent; ts is null where the device has no clock
 *   ["a",message]                                       acknowledged
 *   {"end":1,"lastAckAtMs"}                             the last line of a run that ended in order
 */
export type LedgerValue = number | boolean | string
export type LedgerSample = readonly [
  ts: number | null,
  values: Readonly<Record<string, LedgerValue>>,
]
export type LedgerHeader = Readonly<{
  ledger: 1
  /** What the ids of all its devices begin with. */
  prefix: string
  seed: string
  startedAtMs: number
}>
export type LedgerLine =
  | Readonly<{ kind: 'header'; header: LedgerHeader }>
  | Readonly<{ kind: 'sent'; id: number; device: string; samples: readonly LedgerSample[] }>
  | Readonly<{ kind: 'acknowledged'; id: number }>
  | Readonly<{ kind: 'end'; lastAckAtMs: number }>

/** Undefined for the half line that a killed sender leaves behind. */
export function ledgerLineOf(text: string): LedgerLine | undefined {
  let entry: unknown
  try {
    entry = JSON.parse(text)
  } catch {
    return undefined
  }
  if (Array.isArray(entry)) {
    // Only a ledger's writer writes these lines.
    const [kind, id, device, samples] = entry as ['s' | 'a', number, string, LedgerSample[]]
    return kind === 's' ? { kind: 'sent', id, device, samples } : { kind: 'acknowledged', id }
  }
  if (typeof entry !== 'object' || entry === null) return undefined
  if ('ledger' in entry) return { kind: 'header', header: entry as LedgerHeader }
  if ('lastAckAtMs' in entry) return { kind: 'end', lastAckAtMs: Number(entry.lastAckAtMs) }
  return undefined
}
