/** The audit over HTTP, from a real ClickHouse: hours, totals, tenants, bad spans. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { testStack } from '../../test/stack.ts'
import type { Audit } from '../contract/audit.ts'
import type { Problem } from '../contract/resources.ts'
import { type Ask, serveApi, type ServedApi } from '../testing/api-fixture.ts'

const HOUR_MS = 3_600_000
const FIRST_MS = Math.floor(systemClock.nowMs() / HOUR_MS) * HOUR_MS - 5 * HOUR_MS

let api: ServedApi
let ask: Ask
let askOther: Ask

before(async () => {
  api = await serveApi(await testStack())
  ;({ ask, askOther } = api)
})
after(() => api.close())

const get = async (path: string, client = ask): Promise<Audit> => {
  const { status, body } = await client(path)
  assert.equal(status, 200, JSON.stringify(body))
  return body as Audit
}

test('before the first audit there are no hours, and nothing counts as audited', async () => {
  const { items, totals, auditedTo } = await get('/v1/audit')
  assert.deepEqual(items, [])
  assert.equal(totals.produced, 0)
  assert.equal(auditedTo, null)
})

test('each tenant sees its own hours, the newest audit of each, and their sums', async () => {
  await insert([
    { tenant: 'acme', hour: 0, produced: 9, stored: 7, missing: 2, finding_count: 2, at: 1 },
    {
      tenant: 'acme',
      hour: 0,
      produced: 9,
      stored: 8,
      refused: 1,
      letters: { too_late: 1 },
      at: 2,
    },
    { tenant: 'acme', hour: 1, produced: 5, stored: 5, windows_checked: 40, at: 2 },
    { tenant: 'other', hour: 0, produced: 1000, stored: 999, missing: 1, finding_count: 1, at: 2 },
    { tenant: '', hour: 2, produced: 1014, stored: 1012, at: 3 },
  ])
  const { items, totals, auditedTo } = await get('/v1/audit')
  assert.equal(auditedTo, FIRST_MS + 3 * HOUR_MS)
  assert.deepEqual(
    items.map(({ hour, produced, stored, missing, refused }) => ({
      ...{ hour, produced, stored, missing, refused },
    })),
    [
      { hour: FIRST_MS, produced: 9, stored: 8, missing: 0, refused: 1 },
      { hour: FIRST_MS + HOUR_MS, produced: 5, stored: 5, missing: 0, refused: 0 },
    ],
  )
  assert.equal(items[0]?.auditedAt, FIRST_MS + 2_000)
  assert.deepEqual([items[0]?.whole, items[0]?.findings], [true, ['a sentence']])
  assert.deepEqual([totals.produced, totals.stored, totals.windowsChecked], [14, 13, 40])
  assert.deepEqual(totals.deadLetters, { too_late: 1 })
  assert.equal(totals.findingCount, 0)

  const other = await get('/v1/audit', askOther)
  assert.deepEqual(other.items.map(({ produced }) => produced), [1000]) // prettier-ignore
  assert.equal(other.totals.findingCount, 1)

  const second = await get(`/v1/audit?from=${FIRST_MS + 1}&to=${FIRST_MS + 2 * HOUR_MS}`)
  assert.deepEqual(second.items.map(({ hour }) => hour), [FIRST_MS + HOUR_MS]) // prettier-ignore
})

test('a span that ends before it begins, or is longer than a month, is refused', async () => {
  const cases = [
    [`from=${FIRST_MS}&to=${FIRST_MS - 1}`, 'request_invalid'],
    [`from=0&to=${FIRST_MS}`, 'limit_exceeded'],
  ]
  for (const [query, code] of cases) {
    const { status, body } = await ask(`/v1/audit?${query}`)
    assert.equal(status, 400)
    assert.equal((body as Problem).code, code)
  }
})

type Row = Readonly<{
  tenant: string
  /** After FIRST_MS. */
  hour: number
  produced: number
  stored: number
  missing?: number
  refused?: number
  windows_checked?: number
  finding_count?: number
  letters?: Readonly<Record<string, number>>
  /** Seconds after FIRST_MS. */
  at: number
}>

async function insert(rows: readonly Row[]): Promise<void> {
  const lines = rows.map(({ hour, at, letters = {}, ...row }) =>
    JSON.stringify({
      ...row,
      hour: (FIRST_MS + hour * HOUR_MS) / 1000,
      dead_letters: letters,
      whole: 1,
      findings: ['a sentence'],
      audited_at: (FIRST_MS / 1000 + at).toFixed(3),
    }),
  )
  await api.clickhouse.command(
    `INSERT INTO audit_hours FORMAT JSONEachRow\n${lines.join('\n')}`,
    {},
    { settings: { async_insert: 0 } },
  )
}
