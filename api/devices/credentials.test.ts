/** The credentials of devices over HTTP, on a real server and a real Postgres. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CREDENTIALS_PER_DEVICE_MAX } from '../../devices/credential-store.ts'
import { systemClock } from '../../platform/clock.ts'
import { testStack } from '../../test/stack.ts'
import type { ChangeList, ShownKey } from '../contract/access.ts'
import type { CredentialList, ShownCredential } from '../contract/credentials.ts'
import type { Problem } from '../contract/resources.ts'
import {
  type Answered,
  type Ask,
  clientOf,
  jsonBody,
  serveApi,
  type ServedApi,
} from '../testing/api-fixture.ts'

let api: ServedApi
let ask: Ask
let askOther: Ask

before(async () => {
  api = await serveApi(await testStack())
  ;({ ask, askOther } = api)
})
after(() => api.close())

const codeOf = ({ status, body }: Answered) => `${status} ${(body as Problem).code}`
const namesOf = async (device: string): Promise<readonly string[]> => {
  const listed = await ask(`/v1/devices/${device}/credentials`)
  return (listed.body as CredentialList).items.map(({ name }) => name)
}
async function newDevice(id: string): Promise<void> {
  assert.equal((await ask('/v1/devices', jsonBody({ id }))).status, 201)
}
const create = (device: string, body: unknown) =>
  ask(`/v1/devices/${device}/credentials`, jsonBody(body))
const rotate = (device: string, name: string, body: unknown) =>
  ask(`/v1/devices/${device}/credentials/${name}/rotate`, jsonBody(body))

describe('a credential', () => {
  it('is made beside the first, shown once, and kept only as a hash', async () => {
    await newDevice('c-1')
    const created = await create('c-1', { name: 'spare', notAfter: 4_000_000_000_000 })
    assert.equal(created.status, 201)
    assert.equal(created.headers.get('location'), '/v1/devices/c-1/credentials/spare')
    const { credential, secret } = created.body as ShownCredential
    assert.equal(credential.username, 'c-1@acme')
    assert.equal(credential.notAfter, 4_000_000_000_000)
    assert.deepEqual(await namesOf('c-1'), ['first', 'spare'])
    const listed = await ask('/v1/devices/c-1/credentials')
    assert.ok(!JSON.stringify(listed.body).includes(secret))
    const changes = await ask('/v1/changes?subject=device%2Fc-1%2Fcredential%2Fspare')
    const [change] = (changes.body as ChangeList).items
    assert.equal(change?.action, 'credential.create')
    assert.ok(!JSON.stringify(changes.body).includes(secret))
    const rows = await api.postgres.query<{ text: string }>(
      'SELECT c::text AS text FROM device_credentials c UNION ALL SELECT c::text FROM changes c',
    )
    assert.ok(rows.every(({ text }) => !text.includes(secret)))
  })

  it('that is rotated keeps its old secret for the overlap, and no longer', async () => {
    await newDevice('c-2')
    const { secret } = (await create('c-2', { name: 'a' })).body as ShownCredential
    const rotated = await rotate('c-2', 'a', { overlapSeconds: 60 })
    assert.equal(rotated.status, 200)
    const shown = rotated.body as ShownCredential
    assert.notEqual(shown.secret, secret)
    assert.ok((shown.credential.formerUntil ?? 0) > systemClock.nowMs())
    const again = (await rotate('c-2', 'a', {})).body as ShownCredential
    assert.equal(again.credential.formerUntil, undefined)
    const [kept] = await api.postgres.query<{ former: unknown }>(
      "SELECT former_hash AS former FROM device_credentials WHERE device = 'c-2' AND name = 'a'",
    )
    assert.equal(kept?.former, null)
  })

  it('is revoked alone', async () => {
    await newDevice('c-3')
    await create('c-3', { name: 'b' })
    const gone = await ask('/v1/devices/c-3/credentials/first', { method: 'DELETE' })
    assert.equal(gone.status, 204)
    assert.deepEqual(await namesOf('c-3'), ['b'])
    const twice = await ask('/v1/devices/c-3/credentials/first', { method: 'DELETE' })
    assert.equal(codeOf(twice), '404 credential_not_found')
  })

  it('has a name of its own, and a device has no more than the limit, however many ask', async () => {
    await newDevice('c-4')
    assert.equal(codeOf(await create('c-4', { name: 'first' })), '409 credential_exists')
    const asked = Array.from({ length: CREDENTIALS_PER_DEVICE_MAX + 5 }, (_, index) =>
      create('c-4', { name: `n${index}` }),
    )
    const answers = await Promise.all(asked)
    const made = answers.filter(({ status }) => status === 201).length
    assert.equal(made, CREDENTIALS_PER_DEVICE_MAX - 1)
    const refused = answers.filter(({ status }) => status !== 201).map(codeOf)
    assert.deepEqual(new Set(refused), new Set(['400 limit_exceeded']))
    assert.equal((await namesOf('c-4')).length, CREDENTIALS_PER_DEVICE_MAX)
  })

  it('is refused to a device whose state gets no secrets, and can still be taken from it', async () => {
    await newDevice('c-5')
    const body = JSON.stringify({ state: 'suspended', reason: 'a test' })
    const headers = { 'content-type': 'application/json' }
    await ask('/v1/devices/c-5/state', { method: 'PUT', headers, body })
    assert.equal(codeOf(await create('c-5', { name: 'x' })), '409 state_conflict')
    assert.equal(codeOf(await rotate('c-5', 'first', {})), '409 state_conflict')
    const gone = await ask('/v1/devices/c-5/credentials/first', { method: 'DELETE' })
    assert.equal(gone.status, 204)
  })

  it('belongs to its tenant', async () => {
    await newDevice('c-6')
    const path = '/v1/devices/c-6/credentials'
    assert.equal(codeOf(await askOther(path)), '404 device_not_found')
    assert.equal(codeOf(await askOther(path, jsonBody({ name: 'x' }))), '404 device_not_found')
    const rotating = askOther(`${path}/first/rotate`, jsonBody({}))
    assert.equal(codeOf(await rotating), '404 device_not_found')
    const revoking = askOther(`${path}/first`, { method: 'DELETE' })
    assert.equal(codeOf(await revoking), '404 device_not_found')
    assert.deepEqual(await namesOf('c-6'), ['first'])
  })

  it('is nothing for a viewer', async () => {
    await newDevice('c-7')
    const made = await ask('/v1/keys', jsonBody({ name: 'looks', role: 'viewer' }))
    const viewer = clientOf(api.server.port, (made.body as ShownKey).secret)
    const path = '/v1/devices/c-7/credentials'
    assert.equal(codeOf(await viewer(path)), '403 forbidden')
    assert.equal(codeOf(await viewer(path, jsonBody({ name: 'x' }))), '403 forbidden')
    assert.deepEqual(await namesOf('c-7'), ['first'])
  })
})

describe('what is refused changes nothing', () => {
  const bad: readonly (readonly [string, unknown])[] = [
    ['no name', {}],
    ['a name with a slash', { name: '../x' }],
    ['a name that is too long', { name: 'x'.repeat(65) }],
    ['an end that is past', { name: 'x', notAfter: 1000 }],
    ['an end before its beginning', { name: 'x', notBefore: 4e12, notAfter: 3e12 }],
    ['a time that is no number', { name: 'x', notBefore: 'soon' }],
    ['a secret of its own', { name: 'x', secret: 'chosen' }],
    ['a username of its own', { name: 'x', username: 'c-8@other' }],
    ['__proto__', '{"name":"x","__proto__":{"notAfter":1}}'],
  ]
  for (const [what, body] of bad) {
    it(what, async () => {
      await ask('/v1/devices', jsonBody({ id: 'c-8' }))
      assert.equal(codeOf(await create('c-8', body)), '400 request_invalid')
      assert.deepEqual(await namesOf('c-8'), ['first'])
    })
  }

  it('an overlap of more than a week', async () => {
    const path = '/v1/devices/c-8/credentials/first/rotate'
    const before = await api.postgres.query('SELECT * FROM device_credentials ORDER BY id')
    const answer = await ask(path, jsonBody({ overlapSeconds: 604_801 }))
    assert.equal(codeOf(answer), '400 request_invalid')
    const after = await api.postgres.query('SELECT * FROM device_credentials ORDER BY id')
    assert.deepEqual(after, before)
  })
})
