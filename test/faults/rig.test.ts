/**
 * The promise, under fire, in short: connector, pipeline, Kafka and ClickHouse are killed with -9,
 * at named points or at any time, while a fleet sends; afterwards every acknowledged sample is
 * stored and counted exactly once. `npm run faults` plays the whole list.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { queryRows } from '../../loadtest/clickhouse-query.ts'
import { readLedger } from '../../loadtest/ledger.ts'
import { holds } from '../../loadtest/reconcile/compare.ts'
import { reconcile } from '../../loadtest/reconcile/reconcile.ts'
import { readStackFile } from '../../loadtest/stack-file.ts'
import { systemClock } from '../../platform/clock.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { testStack } from '../stack.ts'
import { FAULTS } from './rig/catalogue.ts'
import { playRound, type RoundResult } from './rig/round.ts'
import { RigSystem } from './rig/rig-system.ts'

const SEED = process.env['WEIR_SEED'] ?? `rig-${systemClock.nowMs()}`
const PLAYED = [
  'kill connector after produce, before PUBACK',
  'kill pipeline mid rollup insert',
  'broker killed',
  'ClickHouse killed mid insert',
]
const COUNTED_LIMIT_MS = 60_000

describe('a fault under load', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-rig-'))
  let system: RigSystem
  let last: RoundResult

  before(async () => {
    const { registry, postgres } = await testStack()
    system = await RigSystem.start({
      folder,
      serversDir:
        process.env['WEIR_SERVERS_DIR'] ??
        join(packageRoot(import.meta.dirname), '.weir', 'servers'),
      brokers: 1,
      shared: { registry, postgres },
    })
  })
  after(async () => {
    await system?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const name of PLAYED) {
    it(`${name}: nothing lost, nothing counted twice, no window wrong`, async () => {
      const fault = FAULTS.find((each) => each.name === name)
      assert.ok(fault !== undefined)
      last = await playRound(system, fault, { seed: SEED, round: 0 })
      assert.deepEqual(last.findings, [], `seed ${SEED}`)
      assert.ok(last.verdict.samplesAcked > 500 && last.verdict.windowsChecked > 0)
    })
  }

  it('and the judge would have seen a single sample counted twice', async () => {
    await queryRows(system.clickhousePlace, {
      sql: `INSERT INTO rollup_10s SELECT * REPLACE (cnt + 1 AS cnt, ver + 1 AS ver)
        FROM rollup_10s FINAL
        WHERE mx > 0 AND (tenant, series) IN (SELECT tenant, series FROM series
          WHERE metric = 'seq' AND startsWith(device, {prefix:String})) LIMIT 1`,
      parameters: { prefix: last.prefix },
    })
    const verdict = await reconcile({
      stack: readStackFile(system.stackFile),
      ledger: await readLedger(last.ledgerPath),
      limitMs: COUNTED_LIMIT_MS,
    })
    assert.equal(verdict.wrongRollups, 1)
    assert.ok(!holds(verdict))
  })
})
