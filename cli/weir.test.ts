import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../platform/package-root.ts'
import { COMMANDS } from './commands.ts'
import { roleChildren } from './up.ts'

function weir(...args: readonly string[]) {
  const program = join(import.meta.dirname, 'weir.js')
  const env = { PATH: process.env['PATH'] }
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    env,
  })
  return { status, stdout, stderr }
}

test('--help lists every command', () => {
  const { status, stdout } = weir('--help')
  assert.equal(status, 0)
  for (const { name, summary } of COMMANDS)
    assert(stdout.includes(`  ${name}`) && stdout.includes(summary))
})

test('--version is the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
  assert.deepEqual(weir('--version'), { status: 0, stdout: `${version}\n`, stderr: '' })
})

test('an unknown command is refused with the nearest one and exit code 2', () => {
  const { status, stderr } = weir('conectors')
  assert.equal(status, 2)
  assert.equal(stderr, 'weir: "conectors" is not a command. Did you mean connectors?\n')
  assert.match(weir('xyzzy').stderr, /`weir --help` lists them/)
})

test('a command of commands names the nearest one, and lists them', () => {
  const { status, stderr } = weir('bench', 'rolup')
  assert.equal(status, 2)
  assert.match(stderr, /^weir bench: "rolup" is none of these\. Did you mean rollup\?\n[^]*catchup/)
  assert.match(weir('dlq').stderr, /^weir dlq: say which of these\.\n[^]*replay/)
})

test('without a command the help is shown, and nothing was done', () => {
  const { status, stdout, stderr } = weir()
  assert.equal(status, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /a command is missing[^]*Usage: weir/)
})

for (const { name } of COMMANDS) {
  test(`weir ${name} --help ends with 0`, () => {
    const { status, stdout, stderr } = weir(name, '--help')
    assert.equal(status, 0, stderr)
    assert.match(stdout, new RegExp(`weir ${name}`))
  })

  test(`weir ${name} refuses a mistyped option, says what there is, and starts nothing`, () => {
    const { status, stdout, stderr } = weir(name, '--no-such-option', 'x')
    assert.equal(status, 2, stderr)
    assert.match(stdout + stderr, /--no-such-option is not an option|Each has --help/)
    assert.doesNotMatch(stderr, / {4}at /)
  })
}

test('weir up gives each role a port and a deadline of its own, left bank to end first', () => {
  const options = {
    adminHost: '127.0.0.1',
    adminPort: 9464,
    logLevel: 'info',
    logFormat: 'json',
    drainDeadlineMs: 45_000,
    pipelineProcesses: 1,
  } as const
  const children = roleChildren(options).flat()
  assert.deepEqual(
    children.map(({ id, env }) => [id, env?.['WEIR_ADMIN_PORT']]),
    [
      ['api', '9465'],
      ['pipeline', '9466'],
      ['connectors', '9467'],
      ['auditor', '9468'],
    ],
  )
  for (const { env, shutdownMs } of children) {
    assert(Number(env?.['WEIR_DRAIN_DEADLINE_MS']) < shutdownMs)
  }
  for (const { env } of roleChildren({ ...options, adminPort: 0 }).flat()) {
    assert.equal(env?.['WEIR_ADMIN_PORT'], '0')
  }
})

test('weir up runs several pipelines side by side, each with a port of its own', () => {
  const children = roleChildren({
    adminHost: '127.0.0.1',
    adminPort: 9464,
    logLevel: 'info',
    logFormat: 'json',
    drainDeadlineMs: 45_000,
    pipelineProcesses: 3,
  })
  assert.deepEqual(
    children.map((group) => group.map(({ id, env }) => `${id} ${env?.['WEIR_ADMIN_PORT']}`)),
    [
      ['api 9465'],
      ['pipeline-1 9466', 'pipeline-2 9469', 'pipeline-3 9470'],
      ['connectors 9467'],
      ['auditor 9468'],
    ],
  )
})
