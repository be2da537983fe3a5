/** The cached directory: who is let in, from where, and how fast that ends. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/observe/logger.ts'
import { SECRET_PREFIX, newSecret, secretHash, usernameOf } from './credential.ts'
import {
  type CredentialRow,
  DeviceDirectory,
  type DeviceChangeHandler,
} from './device-directory.ts'

const KEY = 'test key'
const QUIET: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => QUIET,
}

/** A credential table that tests stop, fill and change; it counts its queries. */
class Table {
  readonly name = 'table'
  readonly failure = new Promise<never>(() => undefined)
  rows: CredentialRow[] = []
  queries = 0
  hashesAsked = 0
  down = false
  /** Runs between the reading of the rows and the answer. */
  beforeAnswer: () => void = () => undefined
  handler: DeviceChangeHandler | undefined

  add(
    device: string,
    secret: string,
    state: CredentialRow['state'] = 'active',
    times: Partial<Pick<CredentialRow, 'validFromMs' | 'validUntilMs'>> = {},
  ): void {
    const username = usernameOf('acme', device)
    const hash = secretHash(KEY, secret)
    this.rows.push({
      secretHash: hash,
      username,
      tenant: 'acme',
      device,
      state,
      clockPolicy: 'reject',
      validFromMs: null,
      validUntilMs: null,
      ...times,
    })
  }

  async find(hashes: readonly Buffer[]): Promise<readonly CredentialRow[]> {
    this.queries++
    this.hashesAsked += hashes.length
    if (this.down) throw new Error('down')
    const found = this.rows.filter((row) => hashes.some((hash) => hash.equals(row.secretHash)))
    this.beforeAnswer()
    return found
  }

  subscribe(handler: DeviceChangeHandler): void {
    this.handler = handler
  }
  async start(): Promise<void> {}
  async drain(): Promise<void> {}
}

let table: Table
let nowMs: number
let directory: DeviceDirectory
let revoked: string[]
const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs }

beforeEach(() => {
  table = new Table()
  table.add('press-7', 's7')
  nowMs = 0
  revoked = []
  directory = new DeviceDirectory({
    credentialKey: KEY,
    source: table,
    changes: table,
    clock,
    logger: QUIET,
    retryMs: 1,
  })
  directory.onRevoked((credential) => revoked.push(credential))
})

const ask = (device: string, secret: string) =>
  directory.authenticate(usernameOf('acme', device), Buffer.from(secret))
const kindOf = async (device: string, secret: string) => (await ask(device, secret)).kind

/** Resolves once the directory has told of this many revocations. */
function revocations(count: number): Promise<void> {
  return new Promise((resolve) => {
    directory.onRevoked(() => {
      if (revoked.length === count) resolve()
    })
  })
}

describe('secrets', () => {
  it('are long, distinct, recognisable, and kept only as a keyed hash', () => {
    const [one, two] = [newSecret(), newSecret()]
    assert.notEqual(one, two)
    assert.ok(one.startsWith(SECRET_PREFIX))
    assert.equal(Buffer.from(one.slice(SECRET_PREFIX.length), 'base64url').length, 24)
    assert.equal(secretHash(KEY, one).length, 32)
    assert.notDeepEqual(secretHash(KEY, one), secretHash('another key', one))
  })
})

describe('a device', () => {
  it('is known by its username and secret, or by its secret alone', async () => {
    const answer = await ask('press-7', 's7')
    assert.equal(answer.kind, 'device')
    assert.deepEqual(await directory.authenticate('s7', undefined), answer)
    assert.deepEqual(await directory.authenticate('s7', Buffer.alloc(0)), answer)
  })

  it('whose clock policy changed is told of to whoever listens, once it was read again', async () => {
    const read: unknown[] = []
    const told = new Promise<void>((resolve) => {
      directory.onUpdated(({ device, clockPolicy }) => {
        read.push([device, clockPolicy])
        resolve()
      })
    })
    await ask('press-7', 's7')
    assert.deepEqual(read, [], 'the first answer is no change')
    table.rows = table.rows.map((row) => ({ ...row, clockPolicy: 'restamp' }))
    table.handler?.changed('acme', 'press-7')
    await told
    assert.deepEqual(read, [['press-7', 'restamp']])
    const answer = await ask('press-7', 's7')
    assert.equal(answer.kind === 'device' && answer.clockPolicy, 'restamp')
  })

  it('is refused with the secret of another', async () => {
    table.add('press-8', 's8')
    assert.equal(await kindOf('press-7', 's8'), 'refused')
    assert.equal(await kindOf('press-8', 's8'), 'device')
  })

  it('is asked for once, however often and from however many connections', async () => {
    await Promise.all(Array.from({ length: 50 }, () => ask('press-7', 's7')))
    await ask('press-7', 's7')
    assert.ok(table.queries <= 2, `${table.queries} queries`)
  })

  it('connects from the cache while the store is down, strangers do not', async () => {
    await ask('press-7', 's7')
    table.down = true
    assert.equal(await kindOf('press-7', 's7'), 'device')
    assert.equal(await kindOf('press-8', 's8'), 'unavailable')
  })

  it('in quarantine is let in, and its state is told', async () => {
    table.add('p', 'sp', 'quarantined')
    const answer = await directory.authenticate('sp', undefined)
    assert.ok(answer.kind === 'device' && answer.state === 'quarantined')
  })

  for (const state of ['pending', 'suspended', 'retired'] as const) {
    it(`that is ${state} is refused`, async () => {
      table.add('p', 'sp', state)
      assert.equal(await kindOf('p', 'sp'), 'refused')
    })
  }
})

describe('a credential with a time', () => {
  it('works from its beginning until its end, also while the store is down', async () => {
    table.add('press-8', 's8', 'active', { validFromMs: 10_000, validUntilMs: 20_000 })
    nowMs = 9_999
    assert.equal(await kindOf('press-8', 's8'), 'refused')
    nowMs = 16_000 // The refusal is forgotten by then.
    assert.equal(await kindOf('press-8', 's8'), 'device')
    table.down = true
    nowMs = 19_999
    assert.equal(await kindOf('press-8', 's8'), 'device')
    nowMs = 20_000
    assert.equal(await kindOf('press-8', 's8'), 'refused')
  })

  it('is revoked at its end, and no other with it', async () => {
    table.add('press-8', 's8', 'active', { validUntilMs: 20_000 })
    table.add('press-8', 'another', 'active')
    const [ended] = [await ask('press-8', 's8'), await ask('press-8', 'another')]
    nowMs = 19_999
    directory.endExpired()
    assert.deepEqual(revoked, [])
    nowMs = 20_000
    directory.endExpired()
    assert.deepEqual(revoked, [ended.kind === 'device' && ended.credential])
    assert.equal(await kindOf('press-8', 'another'), 'device')
  })

  it('whose end was put off works on', async () => {
    table.add('press-8', 's8', 'active', { validUntilMs: 20_000 })
    await ask('press-8', 's8')
    const read = new Promise<void>((resolve) => directory.onUpdated(() => resolve()))
    table.rows = table.rows.map((row) => ({ ...row, validUntilMs: null }))
    table.handler?.changed('acme', 'press-8')
    await read
    nowMs = 30_000
    directory.endExpired()
    assert.deepEqual(revoked, [])
    assert.equal(await kindOf('press-8', 's8'), 'device')
  })
})

describe('a refusal', () => {
  it('is remembered for a moment, so that guessing does not reach the store', async () => {
    await ask('press-7', 'wrong')
    await ask('press-7', 'wrong')
    assert.equal(table.hashesAsked, 1)
    nowMs = 5001
    await ask('press-7', 'wrong')
    assert.equal(table.hashesAsked, 2)
  })

  it('is forgotten when a device changes: it may just have been created', async () => {
    assert.equal(await kindOf('new', 'sn'), 'refused')
    table.add('new', 'sn')
    table.handler?.changed('acme', 'new')
    assert.equal(await kindOf('new', 'sn'), 'device')
  })
})

describe('a change', () => {
  it('that removes a device revokes its credential', async () => {
    const answer = await ask('press-7', 's7')
    const told = revocations(1)
    table.rows = []
    table.handler?.changed('acme', 'press-7')
    await told
    assert.deepEqual(revoked, [answer.kind === 'device' && answer.credential])
    assert.equal(await kindOf('press-7', 's7'), 'refused')
  })

  it('that suspends a device revokes its credential', async () => {
    await ask('press-7', 's7')
    const told = revocations(1)
    table.rows = []
    table.add('press-7', 's7', 'suspended')
    table.handler?.changed('acme', 'press-7')
    await told
  })

  it('that rotates a secret revokes the old one only', async () => {
    table.add('press-7', 'new secret')
    const old = await ask('press-7', 's7')
    await ask('press-7', 'new secret')
    const told = revocations(1)
    table.rows = table.rows.slice(1)
    table.handler?.changed('acme', 'press-7')
    await told
    assert.equal(await kindOf('press-7', 'new secret'), 'device')
    assert.deepEqual(revoked, [old.kind === 'device' && old.credential])
  })

  it('told while the store is down is not served from the cache, and acted on later', async () => {
    await ask('press-7', 's7')
    const told = revocations(1)
    table.down = true
    table.rows = []
    table.handler?.changed('acme', 'press-7')
    assert.equal(await kindOf('press-7', 's7'), 'unavailable')
    table.down = false
    await told
  })

  it('that happens while the device is looked up is seen', async () => {
    let once = true
    table.beforeAnswer = () => {
      if (!once) return
      once = false
      table.rows = []
      table.handler?.changed('acme', 'press-7')
    }
    assert.equal(await kindOf('press-7', 's7'), 'refused')
  })

  it('missed while nobody listened is found out when listening begins again', async () => {
    await ask('press-7', 's7')
    const told = revocations(1)
    table.rows = []
    table.handler?.listening()
    await told
    assert.equal(await kindOf('press-7', 's7'), 'refused')
  })
})
