/** Keys, what they may do, how they end, and the log of changes: on a real server and Postgres. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../platform/clock.ts'
import { testStack } from '../../test/stack.ts'
import type { ChangeList, Key, KeyList, NewKey, ShownKey } from '../contract/access.ts'
import type { Problem } from '../contract/resources.ts'
import {
  type Answered,
  clientOf,
  jsonBody,
  serveApi,
  type ServedApi,
} from '../testing/api-fixture.ts'

let api: ServedApi
before(async () => {
  api = await serveApi(await testStack())
})
after(() => api.close())

const askWith = (secret: string) => clientOf(api.server.port, secret)
const codeOf = ({ status, body }: Answered) => [status, (body as Problem).code]

async function newKey(given: NewKey, ask = api.ask): Promise<ShownKey> {
  const answered = await ask('/v1/keys', jsonBody(given))
  assert.equal(answered.status, 201, JSON.stringify(answered.body))
  return answered.body as ShownKey
}

/** The status that a key gets, asked until it is this one; for as long as revocation may take. */
async function becomes(secret: string, status: number, withinMs = 1_000): Promise<void> {
  const untilMs = systemClock.monotonicMs() + withinMs
  for (;;) {
    const answered = await askWith(secret)('/v1/devices')
    if (answered.status === status) return
    assert.ok(systemClock.monotonicMs() < untilMs, `still ${answered.status} after ${withinMs} ms`)
    await pause(20)
  }
}

const changesOf = async (subject: string): Promise<ChangeList['items']> => {
  const answered = await api.ask(`/v1/changes?subject=${encodeURIComponent(subject)}`)
  return (answered.body as ChangeList).items
}

describe('what a key may do', () => {
  it('is read where its role is viewer, which is what it gets unless it asks for more', async () => {
    const { key, secret } = await newKey({ name: 'reader' })
    assert.equal(key.role, 'viewer')
    const ask = askWith(secret)
    assert.equal((await ask('/v1/devices')).status, 200)
    assert.deepEqual(codeOf(await ask('/v1/devices', jsonBody({ id: 'no' }))), [403, 'forbidden'])
    assert.deepEqual(codeOf(await ask('/v1/keys')), [403, 'forbidden'])
    assert.deepEqual(codeOf(await ask('/v1/changes')), [403, 'forbidden'])
    assert.equal((await api.ask('/v1/devices/no')).status, 404)
  })

  it('is no more than its scopes say', async () => {
    const { secret } = await newKey({ name: 'maker', role: 'operator', scopes: ['devices:write'] })
    const ask = askWith(secret)
    assert.equal((await ask('/v1/devices', jsonBody({ id: 'made' }))).status, 201)
    const refused = await ask('/v1/devices/made')
    assert.deepEqual(codeOf(refused), [403, 'forbidden'])
    assert.match((refused.body as Problem).detail, /devices:read/)
  })

  it('is never more than what the key has that made it', async () => {
    const scopes = ['keys:write', 'devices:read']
    const { secret } = await newKey({ name: 'key-maker', role: 'admin', scopes })
    const ask = askWith(secret)
    const all = jsonBody({ name: 'all', role: 'admin' })
    assert.deepEqual(codeOf(await ask('/v1/keys', all)), [403, 'forbidden'])
    const more = jsonBody({ name: 'more', role: 'viewer', scopes: ['telemetry:read'] })
    assert.deepEqual(codeOf(await ask('/v1/keys', more)), [403, 'forbidden'])
    const rotation = jsonBody({})
    assert.deepEqual(codeOf(await ask('/v1/keys/test/rotate', rotation)), [403, 'forbidden'])
    await newKey({ name: 'less', role: 'viewer', scopes: ['devices:read'] }, ask)
  })
})

describe('a key that is made', () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ['no name', {}, 'name'],
    ['a name with a slash', { name: 'a/b' }, 'name'],
    ['a role that is none', { name: 'x', role: 'root' }, 'role'],
    ['a scope that is none', { name: 'x', scopes: ['devices:*'] }, 'scopes'],
    ['an end that is past', { name: 'x', expiresAt: 1 }, 'expiresAt'],
    ['a tenant', { name: 'x', tenant: 'other' }, 'tenant'],
    ['a secret', { name: 'x', secret: 'weir_mine' }, 'secret'],
  ]
  for (const [what, body, field] of bad) {
    it(`is refused with ${what}`, async () => {
      const answered = await api.ask('/v1/keys', jsonBody(body))
      assert.deepEqual(codeOf(answered), [400, 'request_invalid'])
      assert.ok((answered.body as Problem).field?.startsWith(field))
    })
  }

  it('has a name of its own in its tenant, and nothing is changed where it has not', async () => {
    const { secret } = await newKey({ name: 'once' })
    assert.deepEqual(codeOf(await api.ask('/v1/keys', jsonBody({ name: 'once' }))), [
      ...[409, 'key_exists'],
    ])
    assert.equal((await askWith(secret)('/v1/devices')).status, 200)
    assert.equal((await api.askOther('/v1/keys/once')).status, 404)
    assert.equal((await api.askOther('/v1/keys/once', { method: 'DELETE' })).status, 404)
    assert.equal((await askWith(secret)('/v1/devices')).status, 200)
  })

  it('is listed without its secret, page by page', async () => {
    const { secret } = await newKey({ name: 'listed', scopes: ['audit:read'] })
    const names: string[] = []
    let next: string | null = null
    do {
      const cursor: string = next === null ? '' : `&cursor=${next}`
      const page = (await api.ask(`/v1/keys?limit=2${cursor}`)).body as KeyList
      assert.ok(!JSON.stringify(page).includes(secret))
      names.push(...page.items.map(({ name }) => name))
      next = page.next
    } while (next !== null)
    assert.deepEqual(names, [...new Set(names)].sort())
    assert.ok(names.includes('listed') && names.includes('test'))
  })
})

describe('a key ends', () => {
  it('within a second of being revoked by another process', async () => {
    const { secret } = await newKey({ name: 'doomed' })
    await becomes(secret, 200)
    // The server under test is not told: it must hear of it.
    const text = 'DELETE FROM api_keys WHERE name = $1'
    await api.postgres.query(text, ['doomed'])
    await becomes(secret, 401)
  })

  it('when its time has come', async () => {
    const { secret } = await newKey({ name: 'short', expiresAt: systemClock.nowMs() + 700 })
    await becomes(secret, 200)
    await becomes(secret, 401, 2_000)
  })

  it('when its secret is rotated, at once or after an overlap in which both work', async () => {
    const { secret: first } = await newKey({ name: 'turning' })
    const rotate = async (overlapSeconds: number): Promise<ShownKey> => {
      const answered = await api.ask('/v1/keys/turning/rotate', jsonBody({ overlapSeconds }))
      assert.equal(answered.status, 200)
      return answered.body as ShownKey
    }
    await becomes(first, 200)
    const second = await rotate(1)
    assert.ok((second.key.formerUntil ?? 0) > systemClock.nowMs() - 1_000)
    await becomes(second.secret, 200)
    assert.equal((await askWith(first)('/v1/devices')).status, 200)
    await becomes(first, 401, 3_000)
    const third = await rotate(0)
    await becomes(second.secret, 401)
    await becomes(third.secret, 200)
  })
})

describe('the log of changes', () => {
  it('says who changed what from where, before and after, and no secret', async () => {
    const { secret } = await newKey({ name: 'changer', role: 'operator' })
    const ask = askWith(secret)
    await ask('/v1/devices', jsonBody({ id: 'watched', name: 'One' }))
    await ask('/v1/devices/watched', { ...jsonBody({ name: 'Two' }), method: 'PATCH' })
    await ask('/v1/devices/watched', { method: 'DELETE' })
    const changes = await changesOf('device/watched')
    const one = { name: 'One', state: 'active', clockPolicy: 'reject' }
    const two = { ...one, name: 'Two' }
    assert.deepEqual(
      changes.map(({ action, actor, address, before, after }) => ({
        ...{ action, actor, address, before, after },
      })),
      [
        ['device.delete', two, undefined],
        ['device.update', one, two],
        ['device.create', undefined, one],
      ].map(([action, before, after]) => ({
        ...{ action, actor: 'key:changer', address: '127.0.0.1', before, after },
      })),
    )
    const [entry] = await api.postgres.query<{ all: string }>(
      `SELECT string_agg(c::text, '') AS all FROM changes c`,
    )
    assert.ok(!entry?.all.includes(secret))
  })

  it('has no entry for what was refused', async () => {
    await api.ask('/v1/keys', jsonBody({ name: 'again' }))
    await api.ask('/v1/keys', jsonBody({ name: 'again' }))
    await api.ask('/v1/devices/ghost', { ...jsonBody({ name: 'x' }), method: 'PATCH' })
    assert.equal((await changesOf('key/again')).length, 1)
    assert.deepEqual(await changesOf('device/ghost'), [])
  })

  it('is of one tenant, and goes on where a page ended', async () => {
    await api.askOther('/v1/keys', jsonBody({ name: 'theirs' }))
    assert.deepEqual(await changesOf('key/theirs'), [])
    const ids: number[] = []
    let next: string | null = null
    do {
      const cursor: string = next === null ? '' : `&cursor=${next}`
      const page = (await api.ask(`/v1/changes?limit=3${cursor}`)).body as ChangeList
      ids.push(...page.items.map(({ id }) => id))
      next = page.next
    } while (next !== null)
    assert.ok(ids.length > 6)
    assert.deepEqual(
      ids,
      [...new Set(ids)].sort((a, b) => b - a),
    )
  })
})

it('the use of a key is noted', async () => {
  const { secret } = await newKey({ name: 'used' })
  assert.equal(((await api.ask('/v1/keys/used')).body as Key).lastUsedAt, undefined)
  await becomes(secret, 200)
  await api.noteUses()
  const { lastUsedAt = 0 } = (await api.ask('/v1/keys/used')).body as Key
  assert.ok(Math.abs(lastUsedAt - systemClock.nowMs()) < 60_000)
})
