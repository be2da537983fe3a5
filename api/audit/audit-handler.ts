/** What the endpoint of the audit does. */
import type { ApiParts } from '../api-parts.ts'
import type { Audit, AuditFigures } from '../contract/audit.ts'
import { LIMITS } from '../limits.ts'
import { invalid, Refusal } from '../problem.ts'
import type { Call, Reply } from '../route.ts'

const HOUR_MS = 3_600_000
const DEFAULT_SPAN_MS = 24 * HOUR_MS

export async function getAudit({ audit, clock }: ApiParts, call: Call): Promise<Reply> {
  const toMs = call.parameters.integer('to') ?? clock.nowMs()
  const fromMs = call.parameters.integer('from') ?? Math.max(0, toMs - DEFAULT_SPAN_MS)
  if (fromMs > toMs) throw invalid('from must not be after to.', 'from')
  if (toMs - fromMs > LIMITS.auditHoursMax * HOUR_MS) {
    const text = `The span has more than ${LIMITS.auditHoursMax} hours: ask for a shorter one.`
    throw new Refusal('limit_exceeded', text, { field: 'from' })
  }
  const [items, auditedTo] = await Promise.all([
    audit.hours(call.tenant, fromMs, toMs),
    audit.auditedTo(),
  ])
  const body: Audit = { items: [...items], totals: totalsOf(items), auditedTo }
  return { status: 200, body }
}

function totalsOf(items: readonly AuditFigures[]): AuditFigures {
  const totals: AuditFigures = {
    ...{ records: 0, unreadable: 0, produced: 0, stored: 0, duplicates: 0, refused: 0 },
    ...{ missing: 0, invented: 0, altered: 0, lettersMissing: 0, deadLetters: {}, corrected: 0 },
    ...{ seriesChecked: 0, windowsChecked: 0, windowsWrong: 0 },
    ...{ numbersPresent: 0, numbersMissing: 0, findingCount: 0 },
  }
  for (const item of items) {
    for (const name of SUMMED) totals[name] += item[name]
    for (const [reason, count] of Object.entries(item.deadLetters)) {
      totals.deadLetters[reason] = (totals.deadLetters[reason] ?? 0) + count
    }
  }
  return totals
}

const SUMMED = [
  ...(['records', 'unreadable', 'produced', 'stored', 'duplicates', 'refused'] as const),
  ...(['missing', 'invented', 'altered', 'lettersMissing', 'corrected'] as const),
  ...(['seriesChecked', 'windowsChecked', 'windowsWrong'] as const),
  ...(['numbersPresent', 'numbersMissing', 'findingCount'] as const),
]
