/**
 * A record that kills whatever process takes it, on real servers. Goal: it is found and
 * dead-lettered, with as many deaths as it takes to be sure, and everything around it is counted.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../platform/clock.ts'
import { DEAD_LETTER_HEADERS } from '../../schemas/dead-letter.ts'
import { emptyRecord } from '../testing/fold-log.ts'
import { died, killed, spawnChild } from '../testing/pipeline-child.ts'
import { type Deployment, deploy } from '../testing/stack-deployment.ts'

const FAST = { flushIntervalMs: '100', tickIntervalMs: '500', liveIntervalMs: '1000' }
const PRELOAD = ['--import', join(import.meta.dirname, 'testing', 'poison-preload.js')]
const POISON_AT = 70

/** True when everything was counted, false when the process died before. */
async function outcome(child: ChildProcess, deployment: Deployment): Promise<boolean> {
  const end = died(child).then(() => false)
  return Promise.race([end, deployment.settled().then(() => true)])
}

test('a record that kills the process is dead-lettered after three deaths in single steps, its neighbours counted', async (t) => {
  const deployment = await deploy(1, FAST)
  let child: ChildProcess | undefined
  try {
    const nowMs = systemClock.nowMs()
    for (let n = 0; n < 150; n += 1) {
      const record = emptyRecord('d0', nowMs)
      const metric = n === POISON_AT ? 'kills-the-process' : 'm'
      record.numbers.push({ metric, t0: nowMs - n, dt: [0], v: [n] })
      await deployment.send(record)
    }
    let deaths = 0
    for (;;) {
      child = spawnChild(deployment, PRELOAD)
      if (await outcome(child, deployment)) break
      deaths += 1
      assert.ok(deaths < 8, 'the process dies again and again')
    }
    t.diagnostic(`${deaths} deaths`)
    assert.equal(deaths, 4, 'one in the batch, three in single steps')
    const letters = await deployment.deadLetters()
    const told = letters.map(({ headers }) =>
      [DEAD_LETTER_HEADERS.offset, DEAD_LETTER_HEADERS.reason, DEAD_LETTER_HEADERS.attempts].map(
        (name) => headers[name]?.toString(),
      ),
    )
    assert.deepEqual(told, [[String(POISON_AT), 'crashed_process', '3']])
    assert.ok(letters[0]?.value?.includes('kills-the-process'))
    const kept = (await deployment.logged()).map((each) =>
      each.offset === POISON_AT ? { ...each, record: undefined } : each,
    )
    assert.deepEqual(await deployment.differences(kept), [])

    // Killed from outside while it stands in the log still: the next one passes it unread again.
    await killed(child)
    child = spawnChild(deployment, PRELOAD)
    const last = emptyRecord('d0', systemClock.nowMs())
    last.numbers.push({ metric: 'm', t0: nowMs + 1, dt: [0], v: [1] })
    await deployment.send(last)
    assert.equal(await outcome(child, deployment), true)
    assert.equal((await deployment.deadLetters()).length, 1)
  } finally {
    if (child !== undefined) await killed(child)
    await deployment.close()
  }
})
