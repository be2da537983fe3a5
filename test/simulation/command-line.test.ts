import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

function simulate(...args: readonly string[]) {
  const program = join(import.meta.dirname, 'simulate.program.js')
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
}

test('npm run simulate lists its options', () => {
  const { status, stdout } = simulate('--help')
  assert.equal(status, 0)
  for (const option of ['schedules', 'seed', 'workers', 'replay', 'mutant', 'mutants']) {
    assert.match(stdout, new RegExp(`--${option} `))
  }
})

test('npm run simulate refuses what it does not know in one sentence', () => {
  const { status, stderr } = simulate('--schedule', '5')
  assert.equal(status, 2)
  assert.match(stderr, /^simulate: Unknown option '--schedule'.*--help lists all options\.\n$/)
  assert.equal(simulate('--schedules', 'many').status, 2)
})
