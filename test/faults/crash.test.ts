/**
 * The promise, under fire: connector, pipeline, Kafka and ClickHouse are killed with -9 in turn
 * while a fleet sends; afterwards every acknowledged sample is stored and counted exactly once.
 * Kafka and ClickHouse are this test's own; registry and Postgres may be shared.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { queryRows } from '../../loadtest/clickhouse-query.ts'
import { DeviceAccounts } from '../../loadtest/device-accounts.ts'
import { Fleet } from '../../loadtest/fleet/fleet.ts'
import { LedgerWriter, readLedger } from '../../loadtest/ledger.ts'
import { type Verdict, holds } from '../../loadtest/reconcile/compare.ts'
import { reconcile } from '../../loadtest/reconcile/reconcile.ts'
import { readStackFile } from '../../loadtest/stack-file.ts'
import { type Stack, startStack } from '../../local/stack.ts'
import { systemClock } from '../../platform/clock.ts'
import { packageRoot } from '../../platform/package-root.ts'
import { eventually } from '../eventually.ts'
import { testStack } from '../stack.ts'
import { type System, startSystem } from '../system.ts'

const SEED = process.env['WEIR_SEED'] ?? `crash-${systemClock.nowMs()}`
const PREFIX = 'crash'
/** Acknowledged after each recovery before the next fault: there is load around every kill. */
const MESSAGES_BETWEEN = 400
/** Far longer than the faults take; the test ends the load itself. */
const DURATION_MS = 600_000
const COUNTED_LIMIT_MS = 60_000

describe('kill -9 under load', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-crash-'))
  let servers: Stack
  let system: System
  let fleet: Fleet
  let ledger: LedgerWriter
  let endLoad: () => void = () => {}
  let played: Promise<void>
  const ledgerPath = join(folder, 'ledger')

  before(async () => {
    const { registry, postgres, namespace } = await testStack()
    servers = await startStack({
      stateDir: join(folder, 'stack'),
      serversDir:
        process.env['WEIR_SERVERS_DIR'] ??
        join(packageRoot(import.meta.dirname), '.weir', 'servers'),
      host: '127.0.0.1',
      postgresPassword: 'test',
      existing: { registryUrl: registry.url, postgresUrl: postgres.url },
      signal: new AbortController().signal,
      onProgress: () => {},
    })
    const { kafka, clickhouse } = servers
    system = await startSystem({ stack: { kafka, clickhouse, registry, postgres, namespace } })
    const startedAtMs = systemClock.nowMs()
    ledger = new LedgerWriter(ledgerPath, { ledger: 1, prefix: PREFIX, seed: SEED, startedAtMs })
    fleet = new Fleet({
      mqttUrl: system.mqttUrl,
      accounts: new DeviceAccounts({ url: system.apiUrl, key: system.apiKey }, undefined),
      ledger,
      clock: systemClock,
      seed: SEED,
      prefix: PREFIX,
      devices: 30,
      ratePerS: 200,
      durationMs: DURATION_MS,
      mix: {
        unstamped: 0.3,
        duplicates: 0.05,
        outOfOrder: 0.1,
        late: 0.05,
        lateMsMax: 600_000,
        packed: 0.1,
      },
      bursts: 0.01,
      qos: 1,
    })
    await fleet.connect()
    played = fleet.play(new Promise((resolve) => (endLoad = () => resolve(undefined))))
  })
  after(async () => {
    endLoad()
    await fleet?.finish(0)
    await system?.stop()
    await servers?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const faults: readonly (readonly [string, () => void | Promise<void>])[] = [
    ['the connector', () => system.kill('connectors')],
    ['the pipeline', () => system.kill('pipeline')],
    ['Kafka', () => killServer('kafka')],
    ['ClickHouse', () => killServer('clickhouse')],
  ]
  for (const [name, kill] of faults) {
    it(`of ${name}: devices are acknowledged again`, async () => {
      await acknowledgedMore()
      await kill()
      await acknowledgedMore()
    })
  }

  it('lost nothing, counted nothing twice and got no rollup wrong', async (t) => {
    endLoad()
    await played
    const sent = await fleet.finish(COUNTED_LIMIT_MS)
    await ledger.end()
    assert.equal(sent.unacknowledged, 0, 'everything sent is acknowledged in the end')
    const verdict = await judged()
    const story = `seed ${SEED} ${JSON.stringify(verdict)}`
    t.diagnostic(`${story} resent ${sent.resent}`)
    assert.ok(holds(verdict), story)
    assert.ok(verdict.samplesAcked > 4 * MESSAGES_BETWEEN && verdict.windowsChecked > 0, story)
    assert.equal(sent.acksOutOfOrder, 0)
  })

  it('and the judge would have seen a single sample counted twice', async () => {
    const columns = 'tenant, series, w, sum, mn, mx, first, last, first_ts, last_ts, first_text'
    await queryRows(
      { url: servers.clickhouse.url, database: system.clickhouseDatabase },
      {
        sql: `INSERT INTO rollup_10s (cnt, ver, ${columns})
          SELECT cnt + 1, ver + 1, ${columns} FROM rollup_10s FINAL
          WHERE mx > 0 AND (tenant, series) IN (SELECT tenant, series FROM series WHERE metric = 'seq')
          LIMIT 1`,
      },
    )
    const verdict = await judged()
    assert.equal(verdict.wrongRollups, 1)
    assert.ok(!holds(verdict))
  })

  const judged = async (): Promise<Verdict> =>
    reconcile({
      stack: readStackFile(system.stackFile),
      ledger: await readLedger(ledgerPath),
      limitMs: COUNTED_LIMIT_MS,
    })

  async function acknowledgedMore(): Promise<void> {
    const enough = fleet.acknowledged + MESSAGES_BETWEEN
    await eventually(`${MESSAGES_BETWEEN} more acknowledgements`, () =>
      fleet.acknowledged >= enough ? true : undefined,
    )
  }

  /** The stack's own supervisor starts it again. */
  function killServer(id: 'kafka' | 'clickhouse'): void {
    const record = readFileSync(join(folder, 'stack', 'run', `${id}.pid.json`), 'utf8')
    const { pid }: { pid: number } = JSON.parse(record)
    process.kill(pid, 'SIGKILL')
  }
})
