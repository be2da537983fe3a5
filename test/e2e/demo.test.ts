/** The demo that `npm start` plays, as a process of its own, killed and started again. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type QueryRow, queryRows } from '../../loadtest/clickhouse-query.ts'
import { KNOWN_RECORDINGS } from '../../loadtest/demo/known-recordings.ts'
import { eventually } from '../eventually.ts'
import { type System, startSystem } from '../system.ts'

type PlayState = { historyEndsAtMs: number; historySent: number; livePlayed: number }
const [MACHINE] = KNOWN_RECORDINGS.map(({ device }) => device)

describe('the demo', () => {
  let system: System
  let demo: ChildProcess
  let first: PlayState

  before(async () => {
    system = await startSystem()
    demo = startDemo()
  })
  after(async () => {
    demo?.kill('SIGKILL')
    await system?.stop()
  })

  it('sends the history of its recordings once, ending before now', async () => {
    first = await eventually('live values after all of the history', () => {
      const state = stateOf(MACHINE)
      return state !== undefined && state.livePlayed >= 5 && state.historySent > 15_000
        ? state
        : undefined
    })
    await eventually('every sample of the history', async () => {
      const [row] = await history()
      return Number(row?.[0]) === first.historySent ? true : undefined
    })
  })

  it('keeps the secrets of its devices to itself', () => {
    assert.equal(statSync(file('devices.json')).mode & 0o077, 0)
  })

  it('goes on where it was after kill -9, and sends no history again', async () => {
    demo.kill('SIGKILL')
    await once(demo, 'exit')
    demo = startDemo()
    const second = await eventually('more live values', () => {
      const state = stateOf(MACHINE)
      return state !== undefined && state.livePlayed > first.livePlayed + 5 ? state : undefined
    })
    assert.equal(second.historyEndsAtMs, first.historyEndsAtMs)
    const [row] = await history()
    assert.deepEqual(row?.map(Number), [first.historySent, 0])
  })

  it('ends in order when it is asked to', async () => {
    demo.kill('SIGTERM')
    const [code] = await once(demo, 'exit')
    assert.equal(code, 0)
  })

  /** Samples up to the end of history, and samples from the future. */
  const history = (): Promise<QueryRow[]> =>
    queryRows(
      { url: system.stack.clickhouse.url, database: system.clickhouseDatabase },
      {
        sql: `SELECT countIf(toUnixTimestamp64Milli(ts) <= {end:Int64}), countIf(ts > now64(3) + 1)
          FROM samples FINAL WHERE (tenant, series) IN
            (SELECT tenant, series FROM series WHERE device = {device:String})`,
        parameters: { end: String(first.historyEndsAtMs), device: MACHINE ?? '' },
      },
    )

  const file = (name: string): string => join(dirname(system.stackFile), 'loadtest', name)

  function startDemo(): ChildProcess {
    const program = join(import.meta.dirname, '..', '..', 'cli', 'weir.js')
    const args = ['loadtest', 'demo', '--devices', '4', '--stack', system.stackFile]
    return spawn(process.execPath, [program, ...args], { stdio: 'ignore' })
  }

  function stateOf(device: string | undefined): PlayState | undefined {
    try {
      const state: PlayState = JSON.parse(readFileSync(file(`${device}.json`), 'utf8'))
      return state
    } catch {
      return undefined
    }
  }
})
