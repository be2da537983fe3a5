/** The wired pipeline in a thousand worlds of trouble; `npm run simulate` tries as many as asked for. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, test } from 'node:test'
import { type CampaignResult, programWith, runCampaign } from './campaign.ts'
import { forgetCopies } from './modules.ts'
import { Random } from './random.ts'
import { runSchedule } from './simulation.ts'

const SCHEDULES = 1_000

after(() => forgetCopies())

const again = ({ failed }: CampaignResult): string =>
  `npm run simulate -- --replay ${failed?.seed}\n${failed?.findings.join('\n')}`

test('the tables equal the log, bit for bit, whatever happens to processes, log, group and tables', async () => {
  const fromSeed = randomInt(2 ** 31)
  const result = await runCampaign({ program: await programWith(), fromSeed, schedules: SCHEDULES })
  assert.equal(result.failed, undefined, again(result))
  // What did not happen was not tried.
  for (const [name, count] of Object.entries(result.counts)) {
    assert.ok(count > 0, `no ${name} from seed ${fromSeed} on`)
  }
})

test('a schedule is a function of its seed', async () => {
  const program = { ...(await programWith()), traced: true }
  for (const seed of [1, 2, 3]) {
    const [one, two] = [await runSchedule(seed, program), await runSchedule(seed, program)]
    assert.ok(one.steps > 20)
    assert.deepEqual(one, two)
  }
})

test('random numbers are the same for a seed, differ between seeds, and fill their range', () => {
  const draw = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 2_000 }, () => random.below(10))
  }
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
  assert.notDeepEqual(draw(7), draw(7 + 2 ** 32))
  for (let n = 0; n < 10; n += 1) {
    const share = draw(7).filter((each) => each === n).length
    assert.ok(share > 120 && share < 280, `${n}: ${share} of 2,000`)
  }
})
