/** Each rule of the protocol is taken away in turn, and the simulator must miss it. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { programWith, runCampaign } from './campaign.ts'
import { forgetCopies } from './modules.ts'
import { MUTANTS } from './mutants.ts'

/** A campaign ends at its first failure: only a rule that nobody misses costs all of these. */
const SCHEDULES = 20_000

afterEach(() => forgetCopies())

for (const mutant of MUTANTS) {
  const { name, rule, nearSeed = 1 } = mutant
  test(`missed when taken away (${name}): ${rule}`, async () => {
    const program = await programWith(mutant)
    // From a fixed seed: when a rule needs thousands of schedules, it is not by bad luck.
    const result = await runCampaign({ program, fromSeed: nearSeed, schedules: SCHEDULES })
    assert.notEqual(result.failed, undefined, `${SCHEDULES} schedules hold without the rule`)
  })
}
