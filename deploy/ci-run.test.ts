/** .ci/run with an `npm` of our own: what it counts, how it ends. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../platform/package-root.ts'

type Outcome = Readonly<{ ci?: number; lint?: number; test?: number; lastLine?: string }>

/** Runs .ci/run where each npm command ends with the given code and the tests print that line. */
function runWith({ ci = 0, lint = 0, test: tests = 0, lastLine = '7 passed, 0 failed' }: Outcome) {
  const folder = mkdtempSync(join(tmpdir(), 'weir-ci-'))
  const program = (name: string, text: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  try {
    for (const name of ['java', 'mvn', 'chromium', 'mosquitto_pub']) program(name, 'exit 0')
    program(
      'npm',
      `case "$1 $2" in
        "ci "*) exit ${ci} ;;
        "run lint") exit ${lint} ;;
        test*) echo '${lastLine}'; exit ${tests} ;;
        *) exit 99 ;;
      esac`,
    )
    const { status, stdout } = spawnSync(join(packageRoot(), '.ci/run'), {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
    })
    return { status, last: stdout.trim().split('\n').at(-1) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const CASES: readonly (readonly [string, Outcome, number, string])[] = [
  ['all is well', {}, 0, '10 passed, 0 failed'],
  [
    'skipped tests are no failures',
    { lastLine: '7 passed, 0 failed, 2 skipped' },
    0,
    '10 passed, 0 failed',
  ],
  ['lint fails', { lint: 1 }, 1, '9 passed, 1 failed'],
  ['the installation fails', { ci: 1 }, 1, '9 passed, 1 failed'],
  ['tests fail', { test: 1, lastLine: '5 passed, 2 failed' }, 1, '8 passed, 2 failed'],
  ['the runner dies', { test: 137, lastLine: 'Killed' }, 1, '3 passed, 1 failed'],
  ['the runner fails after all', { test: 1 }, 1, '10 passed, 1 failed'],
  ['nothing was run', { lastLine: '0 passed, 0 failed' }, 1, '3 passed, 1 failed'],
]
for (const [name, outcome, status, last] of CASES) {
  test(`.ci/run when ${name}`, () => {
    assert.deepEqual(runWith(outcome), { status, last })
  })
}
