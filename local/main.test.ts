import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { lockRun } from './run-lock.ts'

let stateDir = ''
before(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'weir-main-'))
})
after(() => rmSync(stateDir, { recursive: true, force: true }))

describe('npm start', () => {
  test('names the option when a port is taken, before it starts anything', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { code, printed } = await start(['--mqtt-port', String(port)])
    other.close()
    assert.equal(code, 1)
    assert.match(printed, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken.*--mqtt-port`))
    assert.doesNotMatch(printed, /start Kafka/)
  })

  test('refuses to run twice in one folder', async () => {
    const lock = await lockRun(stateDir)
    await lock.announce('http://127.0.0.1:8080/')
    const { code, printed } = await start([])
    await lock.release()
    assert.equal(code, 1)
    assert.match(printed, new RegExp(`runs already in this folder, as process ${process.pid}`))
    assert.match(printed, /its dashboard is http:\/\/127\.0\.0\.1:8080\//)
  })

  test('says all wrong options at once', async () => {
    const { code, printed } = await start(['--mqtt-prot', '1884', '--api-port', 'eighty'])
    assert.equal(code, 2)
    assert.match(printed, /--mqtt-prot is not an option: did you mean --mqtt-port\?/)
    assert.match(printed, /--api-port/)
  })

  test('a host that is none is told as one, not as a port that is taken', async () => {
    const { code, printed } = await start(['--host', '192.0.2.1'])
    assert.equal(code, 1)
    assert.match(printed, /192\.0\.2\.1 is not an address of this machine/)
  })

  test('--help lists the options', async () => {
    const { code, printed } = await start(['--help'])
    assert.equal(code, 0)
    assert.match(printed, /Usage: npm start -- \[options\]/)
    assert.match(printed, /--no-demo|--demo/)
    assert.match(printed, /--postgres-url/)
  })
})

async function start(argv: readonly string[]) {
  const main = JSON.stringify(pathToFileURL(join(import.meta.dirname, 'main.js')).href)
  const program = `
    const { main } = await import(${main})
    process.exit(await main(process.argv.slice(1), process.env))`
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', program, '--', ...argv, '--state-dir', stateDir],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, printed }
}
