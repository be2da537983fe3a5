import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

const PROGRAM = join(import.meta.dirname, 'testing', 'sample-role.program.js')

type Ended = Readonly<{ code: number | null; stdout: string; stderr: string }>

function startSample(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  return { child, ended: whenEnded(child) }
}

async function whenEnded(child: ChildProcess): Promise<Ended> {
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [code, stdout, stderr] = await Promise.all([
    exit,
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
  ])
  return { code, stdout, stderr }
}

/** Resolves with the first IPC message of that type. */
function message(child: ChildProcess, type: string): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    child.on('message', (sent) => {
      if (isRecord(sent) && sent['type'] === type) resolve(sent)
    })
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

async function readyAdminUrl(child: ChildProcess): Promise<string> {
  const { addresses } = await message(child, 'ready')
  assert(isRecord(addresses))
  assert.equal(addresses['sample'], 'tcp://sample')
  return String(addresses['admin'])
}

test('--help shows every option and ends with 0', async () => {
  const { ended } = startSample(['--help'])
  const { code, stdout } = await ended
  assert.equal(code, 0)
  assert.match(stdout, /--sample-port NUMBER/)
  assert.match(stdout, /\[WEIR_ADMIN_PORT\]/)
})

test('every problem of the command line is told at once, with exit code 2', async () => {
  const { ended } = startSample(['--sample-prot', '5', '--admin-port=99999', '--trouble', 'x'])
  const { code, stderr } = await ended
  assert.equal(code, 2)
  assert.equal(stderr.trim().split('\n').length, 3)
  assert.match(stderr, /--sample-prot is not an option: did you mean --sample-port\?/)
})

test('options that contradict each other are refused', async () => {
  const { code, stderr } = await startSample(['--sample-port', '1']).ended
  assert.equal(code, 2)
  assert.match(stderr, /--sample-port 1 needs --trouble\./)
})

test('SIGTERM drains in reverse order and ends with 0', async () => {
  const { child, ended } = startSample([])
  await readyAdminUrl(child)
  child.kill('SIGTERM')
  const { code, stdout } = await ended
  assert.equal(code, 0)
  assert.deepEqual(stdout.trim().split('\n'), [
    'listener started',
    'troubled started',
    'troubled drained',
    'listener drained',
  ])
})

test('losing the supervisor drains as well', async () => {
  const { child, ended } = startSample([])
  await readyAdminUrl(child)
  child.disconnect()
  const { code, stdout } = await ended
  assert.equal(code, 0)
  assert.match(stdout, /listener drained/)
})

test('health, readiness with its reasons, and metrics are on the admin server', async () => {
  const { child, ended } = startSample([])
  const url = await readyAdminUrl(child)
  await message(child, 'heartbeat')
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  const ready = await fetch(`${url}/readyz`)
  assert.equal(ready.status, 503)
  assert.deepEqual(await ready.json(), {
    ready: false,
    reasons: ['listener: waiting for a friend'],
  })
  assert.match(await (await fetch(`${url}/metrics`)).text(), /weir_event_loop_delay_seconds\{/)
  assert.equal((await fetch(`${url}/other`)).status, 404)
  assert.equal((await fetch(`${url}/healthz`, { method: 'POST' })).status, 405)
  child.kill('SIGTERM')
  assert.equal((await ended).code, 0)
})

test('a Failure at the start is one sentence and exit code 1', async () => {
  const { code, stderr } = await startSample(['--trouble=failure', '--log-level=error']).ended
  assert.equal(code, 1)
  assert.equal(stderr, 'weir sample: The moon is not reachable.\n')
})

test('a taken port names the option that chooses another', async () => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  const address = blocker.address()
  assert(typeof address === 'object' && address !== null)
  for (const flag of ['--sample-port', '--admin-port']) {
    const sample = startSample([flag, `${address.port}`, '--log-level=error'])
    const ended = await sample.ended
    assert.equal(ended.code, 1)
    assert.match(
      ended.stderr,
      new RegExp(`^weir sample: Port \\d+ on 127.0.0.1 is taken: .*${flag}`),
    )
  }
  blocker.close()
})

const DEFECTS = [
  ['bug', /could not start.*a bug/],
  ['dies', /troubled failed.*the service died/],
  ['throws', /uncaught exception.*nobody caught this/],
  ['rejects', /unhandled rejection.*nobody awaited this/],
] as const

for (const [trouble, expected] of DEFECTS) {
  test(`a defect (${trouble}) is logged and ends the process with 1`, async () => {
    const { code, stderr } = await startSample(['--trouble', trouble]).ended
    assert.equal(code, 1)
    assert.match(stderr, expected)
  })
}

test('what does not drain is cut off after the deadline', async () => {
  const { child, ended } = startSample(['--trouble=stuck', '--drain-deadline-ms=100'])
  await readyAdminUrl(child)
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  assert.equal(code, 1)
  assert.match(stderr, /not drained within the deadline/)
})

test('a second signal, a second later, ends at once', async () => {
  const { child, ended } = startSample(['--trouble=stuck', '--drain-deadline-ms=600000'])
  await readyAdminUrl(child)
  child.kill('SIGINT')
  const again = setInterval(() => child.kill('SIGINT'), 200)
  const { code, stderr } = await ended
  clearInterval(again)
  assert.equal(code, 1)
  assert.match(stderr, /asked to end again/)
})

test('a secret option is not in the log', async () => {
  const { child, ended } = startSample([], { WEIR_SAMPLE_PASSWORD: 'canary-7f3a' })
  await readyAdminUrl(child)
  child.kill('SIGTERM')
  const { stdout, stderr } = await ended
  assert.match(stderr, /building/)
  assert.doesNotMatch(stdout + stderr, /canary-7f3a/)
})

test('what is left to be done for it is with the supervisor before it is ready', async () => {
  const { child, ended } = startSample([])
  const [will] = await Promise.all([message(child, 'last_will'), readyAdminUrl(child)])
  const greeting = { kind: 'say', details: { text: 'goodbye' } }
  assert.deepEqual(will, { type: 'last_will', id: 'greeting', will: greeting })
  child.kill('SIGTERM')
  assert.equal((await ended).code, 0)
})

test('who only a new process can help says so, and is silent to its supervisor', async () => {
  const { child, ended } = startSample(['--trouble=still'])
  let beats = 0
  child.on('message', (sent) => {
    if (isRecord(sent) && sent['type'] === 'heartbeat') beats += 1
  })
  const url = await readyAdminUrl(child)
  const health = await fetch(`${url}/healthz`)
  assert.equal(health.status, 503)
  assert.deepEqual(await health.json(), { status: 'stalled', reasons: ['troubled: nothing moves'] })
  const before = beats
  const stillLogged = new Promise<void>((resolve) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('stalled')) resolve()
    })
  })
  await stillLogged // Instead of the next heartbeat.
  assert.equal(beats, before)
  child.kill('SIGTERM')
  assert.equal((await ended).code, 0)
})
