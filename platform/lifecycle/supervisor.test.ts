import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { systemClock } from '../clock.ts'
import type { ChildSpec } from './child-spec.ts'
import type { LastWill } from './last-will.ts'
import type { ChildEvent } from './supervised-child.ts'
import { Supervisor, type SupervisorOptions } from './supervisor.ts'

const PROGRAM = join(import.meta.dirname, 'testing', 'sample-child.program.js')
const QUICK = { restartsMax: 3, withinMs: 60_000, firstDelayMs: 5, delayMsMax: 20 }

/** A supervisor over sample children, its events, and the journal that the children write. */
class Stage {
  readonly events: ChildEvent[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-supervisor-'))
  readonly #journal = join(this.#folder, 'journal')
  readonly #waiting = new Set<() => void>()
  #supervisor: Supervisor | undefined

  constructor(context: TestContext) {
    writeFileSync(this.#journal, '')
    context.after(async () => {
      await this.#supervisor?.drain(1_000)
      rmSync(this.#folder, { recursive: true })
    })
  }

  child(id: string, behaviour = 'serve', extra: Partial<ChildSpec> = {}): ChildSpec {
    return {
      id,
      command: process.execPath,
      args: [PROGRAM, id, this.#journal, behaviour],
      restart: 'permanent',
      shutdownSignal: 'SIGTERM',
      shutdownMs: 5_000,
      logFile: join(this.#folder, `${id}.log`),
      readiness: { kind: 'ipc' },
      readyMs: 10_000,
      ...extra,
    }
  }

  supervise(
    children: SupervisorOptions['children'],
    options: Partial<SupervisorOptions> = {},
  ): Supervisor {
    const onEvent = (event: ChildEvent) => {
      this.events.push(event)
      for (const look of this.#waiting) look()
    }
    this.#supervisor = new Supervisor({
      children,
      clock: systemClock,
      policy: QUICK,
      onEvent,
      ...options,
    })
    return this.#supervisor
  }

  /** Resolves once `condition` holds; it is looked at after every event. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  count(kind: ChildEvent['kind'], id: string): number {
    return this.events.filter((event) => event.kind === kind && event.id === id).length
  }

  journal(): readonly string[] {
    return readFileSync(this.#journal, 'utf8').split('\n').filter(Boolean)
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('children start in order and stop in the reverse order', async (t) => {
  const stage = new Stage(t)
  const children = ['a', 'b', 'c'].map((id) => stage.child(id))
  const supervisor = stage.supervise(children)
  await supervisor.start()
  assert.equal(supervisor.notReady(), undefined)
  assert.deepEqual(
    supervisor.status().map(({ state, addresses }) => [state, addresses]),
    ['a', 'b', 'c'].map((id) => ['ready', { self: id }]),
  )
  await supervisor.drain(10_000)
  assert.deepEqual(stage.journal(), ['a up', 'b up', 'c up', 'c down', 'b down', 'a down'])
  assert.match(supervisor.notReady() ?? '', /^a is stopped, b is stopped/)
})

test('children of a group start side by side, after what is before them', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('a'), [stage.child('b'), stage.child('c')]])
  await supervisor.start()
  const kinds = stage.events.map(({ kind, id }) => `${id} ${kind}`)
  assert.deepEqual(kinds.slice(0, 4), ['a started', 'a ready', 'b started', 'c started'])
})

test('a child that is killed with -9 runs again, with another pid', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('a')])
  await supervisor.start()
  const pid = supervisor.status()[0]?.pid ?? 0
  process.kill(pid, 'SIGKILL')
  await stage.until(() => stage.count('ready', 'a') === 2)
  const [status] = supervisor.status()
  assert.notEqual(status?.pid, pid)
  assert.equal(status?.restarts, 1)
})

test('a crash loop is given up: the others stop, and failure says which child and why', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('good'), stage.child('bad', 'exit-7')])
  await supervisor.start()
  await assert.rejects(
    supervisor.failure,
    /bad ended with exit code 7 after 3 restarts within 60 s/,
  )
  assert.deepEqual(
    supervisor.status().map(({ id, state }) => `${id} ${state}`),
    ['good stopped', 'bad failed'],
  )
  assert.equal(stage.count('started', 'bad'), 4)
  assert.equal(stage.journal().at(-1), 'good down')
})

test('a transient child that ends with 0 is done; one that fails is restarted', async (t) => {
  const stage = new Stage(t)
  const done = stage.child('done', 'exit-0', { restart: 'transient' })
  const failing = stage.child('failing', 'exit-1', { restart: 'transient' })
  const supervisor = stage.supervise([[done, failing]])
  await supervisor.start()
  await stage.until(() => stage.count('started', 'failing') >= 2)
  await stage.until(() => stage.count('exited', 'done') === 1)
  assert.equal(stage.count('started', 'done'), 1)
  await assert.rejects(supervisor.failure, /failing ended with exit code 1/)
})

test('a temporary child is never restarted', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([
    stage.child('once', 'exit-9', { restart: 'temporary' }),
    stage.child('other'),
  ])
  await supervisor.start()
  await stage.until(() => stage.count('exited', 'once') === 1)
  assert.equal(stage.count('backing_off', 'once'), 0)
  assert.equal(supervisor.notReady(), undefined)
})

test('a role whose event loop stalls is killed and restarted', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('busy', 'stall')], { heartbeatMissingMs: 150 })
  await supervisor.start()
  await stage.until(() => stage.count('ready', 'busy') === 2)
  assert(stage.count('stalled', 'busy') >= 1)
  const exited = stage.events.find(({ kind }) => kind === 'exited')
  assert(exited?.kind === 'exited')
  assert.equal(exited.exit.signal, 'SIGKILL')
})

test('a child that ends before it is ready fails the start, and the others stop', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('a'), stage.child('b', 'early-3')])
  await assert.rejects(
    supervisor.start(),
    /^Failure: b ended with exit code 3 before it was ready; /,
  )
  assert.deepEqual(stage.journal(), ['a up', 'a down'])
})

test('a child that is never ready is killed after readyMs', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('mute', 'mute', { readyMs: 100 })])
  await assert.rejects(supervisor.start(), /mute was ended by SIGKILL before it was ready/)
})

test('a program that does not exist is told as a missing prerequisite', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('x', '', { command: '/nowhere/java' })])
  await assert.rejects(supervisor.start(), {
    code: 'prerequisite_missing',
    message: /^x cannot be started: \/nowhere\/java/,
  })
})

test('a child that does not end when asked is killed after its shutdownMs', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([
    stage.child('a'),
    stage.child('deaf', 'deaf', { shutdownMs: 100 }),
  ])
  await supervisor.start()
  await supervisor.drain(60_000)
  assert.deepEqual(stage.journal(), ['a up', 'deaf up', 'deaf deaf', 'a down'])
})

test('stopping while children start leaves none behind', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('a'), stage.child('b', 'mute'), stage.child('c')])
  const starting = assert.rejects(supervisor.start())
  await stage.until(() => stage.count('started', 'b') === 1)
  await supervisor.drain(5_000)
  await starting
  assert.equal(stage.count('started', 'c'), 0)
  for (const event of stage.events) if (event.kind === 'started') assert(!alive(event.pid))
})

test('stopping while a child backs off does not start it again', async (t) => {
  const stage = new Stage(t)
  const policy = { ...QUICK, firstDelayMs: 600_000, delayMsMax: 600_000 }
  const supervisor = stage.supervise([stage.child('a', 'exit-1')], { policy })
  await supervisor.start()
  await stage.until(() => stage.count('backing_off', 'a') === 1)
  await supervisor.drain(1_000)
  assert.equal(stage.count('started', 'a'), 1)
  assert.equal(supervisor.status()[0]?.state, 'stopped')
})

test('an ordinary program is ready when its probe says so, and is not watched for heartbeats', async (t) => {
  const stage = new Stage(t)
  let asked = 0
  const probe = async () => {
    asked += 1
    if (asked === 1) throw new Error('connection refused')
    return asked >= 3
  }
  const readiness = { kind: 'probe', probe, everyMs: 5 } as const
  const supervisor = stage.supervise([stage.child('server', 'mute', { readiness })], {
    heartbeatMissingMs: 10,
  })
  await supervisor.start()
  assert.equal(asked, 3)
  await sleep(50)
  assert.equal(stage.count('stalled', 'server'), 0)
})

test('what a killed child had started itself does not outlive it', async (t) => {
  const stage = new Stage(t)
  const supervisor = stage.supervise([stage.child('a', 'parent')])
  await supervisor.start()
  const grandchildOf = () => stage.journal().find((line) => line.startsWith('a grandchild'))
  while (grandchildOf() === undefined) await sleep(5)
  const pid = Number(grandchildOf()?.split(' ').at(-1))
  assert(alive(pid))
  process.kill(supervisor.status()[0]?.pid ?? 0, 'SIGKILL')
  await stage.until(() => stage.count('ready', 'a') === 2)
  while (alive(pid)) await sleep(5)
})

test('roles end by themselves when their supervisor is killed', async (t) => {
  const stage = new Stage(t)
  const { id, command, args } = stage.child('orphan')
  // A supervisor process of its own, as small as it gets: it spawns the child and waits.
  const script =
    `const { spawn } = require('node:child_process');` +
    `spawn(${JSON.stringify(command)}, ${JSON.stringify(args)}, ` +
    `{ stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true })` +
    `.once('message', () => process.stdout.write('up'))`
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(parent.stdout, 'data')
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  while (!stage.journal().includes(`${id} down`)) await sleep(5)
})

test('property: after any schedule of kills, every child runs again', async (t) => {
  const ids = ['a', 'b', 'c']
  const kill = fc.record({
    victim: fc.constantFrom(...ids),
    afterMs: fc.integer({ min: 0, max: 40 }),
  })
  const schedule = fc.array(kill, { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(schedule, async (kills) => {
      const stage = new Stage(t)
      const policy = { ...QUICK, restartsMax: 100 }
      const supervisor = stage.supervise([ids.map((id) => stage.child(id))], { policy })
      await supervisor.start()
      for (const { victim, afterMs } of kills) {
        await sleep(afterMs)
        const pid = supervisor.status().find(({ id }) => id === victim)?.pid
        if (pid !== undefined) process.kill(pid, 'SIGKILL')
      }
      const settled = () =>
        ids.every((id) => stage.count('started', id) === stage.count('exited', id) + 1)
      await stage.until(() => settled() && supervisor.notReady() === undefined)
      for (const { pid } of supervisor.status()) assert(alive(pid ?? 0))
      await supervisor.drain(5_000)
      for (const event of stage.events) if (event.kind === 'started') assert(!alive(event.pid))
    }),
    { numRuns: 5 },
  )
})

/** Whoever executes wills, with what was executed and how it ends. */
function executor(outcome: () => Promise<void> = async () => {}) {
  const executed: LastWill[] = []
  const executeWill = (will: LastWill): Promise<void> => {
    executed.push(will)
    return outcome()
  }
  return { executed, executeWill }
}

const WILL_OF_A = { kind: 'kept', details: { of: 'a' } }

test('what a killed child left to do is done at once, and without what it took back', async (t) => {
  const stage = new Stage(t)
  const { executed, executeWill } = executor()
  const slow = { ...QUICK, firstDelayMs: 60_000, delayMsMax: 60_000 }
  const supervisor = stage.supervise([stage.child('a', 'will')], { executeWill, policy: slow })
  await supervisor.start()
  process.kill(supervisor.status()[0]?.pid ?? 0, 'SIGKILL')
  // It waits for its restart all the while.
  await stage.until(() => stage.count('will_done', 'a') === 1)
  assert.deepEqual(executed, [WILL_OF_A])
  assert.equal(stage.count('ready', 'a'), 1)
})

test('a child that ends in order does its part itself', async (t) => {
  const stage = new Stage(t)
  const { executed, executeWill } = executor()
  const supervisor = stage.supervise([stage.child('a', 'will')], { executeWill })
  await supervisor.start()
  await supervisor.drain(10_000)
  assert.deepEqual(executed, [])
})

test('a child that had to be killed at the end has its will done before the end', async (t) => {
  const stage = new Stage(t)
  let done = false
  const { executed, executeWill } = executor(async () => {
    await sleep(50)
    done = true
  })
  const child = stage.child('a', 'stubborn', { shutdownMs: 50 })
  const supervisor = stage.supervise([child], { executeWill })
  await supervisor.start()
  await supervisor.drain(10_000)
  assert.deepEqual([executed, done], [[WILL_OF_A], true])
})

test('a will that cannot be done is told, and the child runs again all the same', async (t) => {
  const stage = new Stage(t)
  const { executeWill } = executor(() => Promise.reject(new Error('nobody answers')))
  const supervisor = stage.supervise([stage.child('a', 'will')], { executeWill })
  await supervisor.start()
  process.kill(supervisor.status()[0]?.pid ?? 0, 'SIGKILL')
  await stage.until(() => stage.count('ready', 'a') === 2 && stage.count('will_failed', 'a') === 1)
})
