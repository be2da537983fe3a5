/** Which servers a command means: those it is told, else those of the system that runs here. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Failure } from '../../platform/failure.ts'
import { withRunningSystem } from './running-system.ts'

const folder = mkdtempSync(join(tmpdir(), 'weir-operator-'))
after(() => rmSync(folder, { recursive: true }))

const file = join(folder, 'local.json')
writeFileSync(
  file,
  JSON.stringify({ kafka: { brokers: ['a:1', 'b:2'] }, registry: { url: 'http://r' } }),
)
const options = { stack: { default: file }, kafkaBrokers: {}, registryUrl: {} }
const gone = { ...options, stack: { default: join(folder, 'gone.json') } }
const OF_THE_FILE = {
  WEIR_KAFKA_BROKERS: 'a:1,b:2',
  WEIR_REGISTRY_URL: 'http://r',
  WEIR_SCHEMA_IDS_FILE: join(folder, 'schema-ids.json'),
}

test('a running system is found by itself, and an option still has the last word', () => {
  assert.deepEqual(withRunningSystem({ argv: ['--limit', '3'], env: {} }, options), OF_THE_FILE)
  const env = { WEIR_SCHEMA_IDS_FILE: 'mine', WEIR_KAFKA_BROKERS: '' }
  assert.deepEqual(withRunningSystem({ argv: [], env }, options), {
    ...OF_THE_FILE,
    WEIR_SCHEMA_IDS_FILE: 'mine',
  })
})

test('whoever names a server means that system, not the one that runs here', () => {
  for (const argv of [['--kafka-brokers', 'x:1'], ['--registry-url=http://x']]) {
    assert.deepEqual(withRunningSystem({ argv, env: {} }, options), {})
  }
  const env = { WEIR_KAFKA_BROKERS: 'x:1' }
  assert.deepEqual(withRunningSystem({ argv: [], env }, options), env)
  for (const argv of [['--stack', file], [`--stack=${file}`]]) {
    assert.deepEqual(withRunningSystem({ argv, env }, gone), { ...OF_THE_FILE, ...env })
  }
})

test('where nothing is found, the sentence names the options', () => {
  const at = (argv: readonly string[]) => () => withRunningSystem({ argv, env: {} }, gone)
  assert.throws(at([]), (error) => {
    assert.ok(error instanceof Failure && error.code === 'unavailable')
    assert.match(
      error.message,
      /no .*gone\.json \(--stack\): is the system running\? .* --kafka-brokers, --registry-url\./,
    )
    return true
  })
  assert.throws(at(['--stack', 'elsewhere.json']), /no elsewhere\.json \(--stack\)/)
  const broken = join(folder, 'broken.json')
  writeFileSync(broken, '{')
  assert.throws(at(['--stack', broken]), /broken\.json \(--stack\) is not a JSON object/)
})

test('every operator command looks for it, and tells mistyped options first', () => {
  const weir = join(import.meta.dirname, '..', '..', 'cli', 'weir.js')
  for (const words of ['dlq ls', 'reprocess --from 2h', 'audit']) {
    const run = (...more: readonly string[]) =>
      spawnSync(process.execPath, [weir, ...words.split(' '), ...more], {
        ...{ cwd: folder, encoding: 'utf8', env: { PATH: process.env['PATH'] } },
      })
    const lost = run()
    assert.equal(lost.status, 1, lost.stderr)
    assert.match(lost.stderr, /there is no \.weir\/local\.json \(--stack\).*--kafka-brokers/)
    const mistyped = run('--jsn')
    assert.equal(mistyped.status, 2, mistyped.stderr)
    assert.match(mistyped.stderr, /--jsn is not an option: did you mean --json\?/)
  }
})
