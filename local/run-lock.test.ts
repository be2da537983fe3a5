import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Failure } from '../platform/failure.ts'
import { isFree, rememberedPorts } from './free-port.ts'
import { endProcess, identityOf, isAlive } from './process-identity.ts'
import { lockRun } from './run-lock.ts'
import { endLeftovers, recordProcess } from './run-records.ts'
import { localSecrets } from './secrets.ts'

let folder = ''
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-run-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof Failure && error.code === 'already_running' && pattern.test(error.message)

describe('lockRun', () => {
  test('a second run is refused with the process and the dashboard of the first', async () => {
    const stateDir = join(folder, 'a')
    const lock = await lockRun(stateDir)
    const pid = new RegExp(`as process ${process.pid}; it is still starting`)
    await assert.rejects(lockRun(stateDir), refused(pid))
    await lock.announce('http://127.0.0.1:8080/')
    await assert.rejects(
      lockRun(stateDir),
      refused(/its dashboard is http:\/\/127\.0\.0\.1:8080\//),
    )
    await lock.release()
    await (await lockRun(stateDir)).release()
  })

  test('of many at once exactly one gets it, even over the lock of a dead run', async () => {
    const stateDir = join(folder, 'b')
    mkdirSync(join(stateDir, 'run'), { recursive: true })
    writeFileSync(join(stateDir, 'run', 'lock.json'), '{"pid":1,"started":"long ago"}')
    const tries = await Promise.allSettled([
      lockRun(stateDir),
      lockRun(stateDir),
      lockRun(stateDir),
    ])
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('the lock of a number that another process has by now is stale', async () => {
    const stateDir = join(folder, 'c')
    mkdirSync(join(stateDir, 'run'), { recursive: true })
    const lock = JSON.stringify({ pid: process.pid, started: '1' })
    writeFileSync(join(stateDir, 'run', 'lock.json'), lock)
    await (await lockRun(stateDir)).release()
  })

  test('a state folder that cannot be made is named as the option that chose it', async () => {
    const file = join(folder, 'not-a-folder')
    writeFileSync(file, '')
    await assert.rejects(
      lockRun(file),
      (error) =>
        error instanceof Failure &&
        error.code === 'config_invalid' &&
        error.message.includes('--state-dir (WEIR_STATE_DIR)'),
    )
  })

  test('a lock file that was cut short is stale', async () => {
    const stateDir = join(folder, 'd')
    mkdirSync(join(stateDir, 'run'), { recursive: true })
    writeFileSync(join(stateDir, 'run', 'lock.json'), '{"pid":')
    await (await lockRun(stateDir)).release()
  })
})

describe('run records', () => {
  test('what an earlier run left is ended, and nobody else', async () => {
    const runDir = join(folder, 'records')
    const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const ended = once(left, 'exit')
    recordProcess(runDir, 'left', left.pid ?? 0)
    // The number of the innocent is recorded, but with the start time of another process.
    const record = JSON.stringify({ pid: innocent.pid, started: '1' })
    writeFileSync(join(runDir, 'innocent.pid.json'), record)
    const notes: string[] = []
    await endLeftovers(runDir, ({ what }) => notes.push(what))
    await ended
    assert.deepEqual(notes, ['an earlier run left left: ended'])
    assert.ok(isAlive(innocent.pid ?? 0))
    innocent.kill('SIGKILL')
    await once(innocent, 'exit')
  })

  test('a process that ignores the polite signal is killed', async () => {
    const stubborn = spawn(process.execPath, [
      '-e',
      `process.on('SIGTERM', () => {}); process.stdout.write('x'); setInterval(() => {}, 1000)`,
    ])
    const ended = once(stubborn, 'exit')
    await once(stubborn.stdout, 'data')
    await endProcess(stubborn.pid ?? 0, 'SIGTERM', 100)
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    assert.equal(identityOf(stubborn.pid ?? 0), undefined)
  })
})

describe('rememberedPorts', () => {
  test('ports stay, except one that another program has taken', async () => {
    const file = join(folder, 'ports.json')
    const first = await rememberedPorts(file, '127.0.0.1', ['a', 'b'])
    assert.notEqual(first.a, first.b)
    assert.deepEqual(await rememberedPorts(file, '127.0.0.1', ['a', 'b']), first)
    const other = createServer().listen(first.a, '127.0.0.1')
    await once(other, 'listening')
    assert.equal(await isFree('127.0.0.1', first.a), false)
    const second = await rememberedPorts(file, '127.0.0.1', ['a', 'b'])
    other.close()
    assert.notEqual(second.a, first.a)
    assert.equal(second.b, first.b)
  })

  test('a damaged file is replaced', async () => {
    const file = join(folder, 'damaged.json')
    writeFileSync(file, '{"a":"x",')
    assert.ok((await rememberedPorts(file, '127.0.0.1', ['a'])).a > 0)
  })
})

describe('localSecrets', () => {
  test('are made once and readable by their owner only', async () => {
    const stateDir = join(folder, 'secrets')
    const secrets = await localSecrets(stateDir)
    assert.deepEqual(await localSecrets(stateDir), secrets)
    assert.equal(statSync(join(stateDir, 'secrets.json')).mode & 0o777, 0o600)
    assert.match(secrets.apiKey, /^weir_[\w-]{43}$/)
  })

  for (const damage of ['', '{', '[]', '{"credentialKey":"x","apiKey":1}']) {
    test(`damaged ones (${damage || 'empty'}) are refused, because new ones would void the data`, async () => {
      const stateDir = mkdtempSync(join(folder, 'damaged-'))
      writeFileSync(join(stateDir, 'secrets.json'), damage)
      await assert.rejects(localSecrets(stateDir), /is damaged/)
    })
  }
})
