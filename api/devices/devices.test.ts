/** Devices over HTTP: every good and bad input, on a real server and a real Postgres. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { testStack } from '../../test/stack.ts'
import type { CreatedDevice, Device, DeviceList, Problem } from '../contract/resources.ts'
import {
  type Answered,
  type Ask,
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

const problem = (answered: Answered): Problem => answered.body as Problem

function assertProblem(answered: Answered, status: number, code: string, field?: string): void {
  assert.deepEqual(
    { status: answered.status, code: problem(answered).code, field: problem(answered).field },
    { status, code, field },
  )
  assert.equal(answered.headers.get('content-type'), 'application/problem+json')
  assert.equal(problem(answered).status, status)
}

describe('creating a device', () => {
  it('answers with the device and a credential that is stored only as a hash', async () => {
    const created = await ask('/v1/devices', jsonBody({ id: 'pump-1', name: 'Pump one' }))
    assert.equal(created.status, 201)
    assert.equal(created.headers.get('location'), '/v1/devices/pump-1')
    const { device, credential } = created.body as CreatedDevice
    assert.deepEqual(
      { ...device, createdAt: 0, stateAt: 0, uid: '' },
      {
        ...{ id: 'pump-1', name: 'Pump one', clockPolicy: 'reject', createdAt: 0, uid: '' },
        ...{ state: 'active', stateReason: '', stateBy: 'key:test', stateAt: 0, version: 1 },
      },
    )
    assert.equal(credential.username, 'pump-1@acme')
    assert.ok(credential.secret.length >= 22, 'a secret of 128 bits at least')
    const rows = await api.postgres.query<{ all: string }>(
      `SELECT string_agg(d::text || encode(c.secret_hash, 'escape'), '') AS all
       FROM devices d JOIN device_credentials c ON c.device = d.id`,
    )
    assert.ok(!rows[0]?.all.includes(credential.secret))
  })

  it('names a device after its id where no name is given', async () => {
    const created = await ask('/v1/devices', jsonBody({ id: 'nameless' }))
    assert.equal((created.body as CreatedDevice).device.name, 'nameless')
  })

  it('refuses an id that exists, and keeps tenants apart', async () => {
    await ask('/v1/devices', jsonBody({ id: 'twice' }))
    assertProblem(await ask('/v1/devices', jsonBody({ id: 'twice' })), 409, 'device_exists', 'id')
    assert.equal((await askOther('/v1/devices', jsonBody({ id: 'twice' }))).status, 201)
  })

  const bad: readonly (readonly [string, unknown, string | undefined])[] = [
    ['no id', {}, 'id'],
    ['an empty id', { id: '' }, 'id'],
    ['an id with a slash', { id: 'a/b' }, 'id'],
    ['an id with a wildcard', { id: '+' }, 'id'],
    ['an id that is too long', { id: 'x'.repeat(129) }, 'id'],
    ['an id that is a number', { id: 7 }, 'id'],
    ['an id with a newline at its end', { id: 'a\n' }, 'id'],
    ['a name that is empty', { id: 'ok', name: '' }, 'name'],
    ['a name that is too long', { id: 'ok', name: 'x'.repeat(257) }, 'name'],
    ['a name with U+0000', { id: 'ok', name: 'a\u0000b' }, 'name'],
    ['a name with half a character', { id: 'ok', name: 'a\ud800b' }, 'name'],
    ['a clock policy that is none', { id: 'ok', clockPolicy: 'guess' }, 'clockPolicy'],
    ['a clock policy of null', { id: 'ok', clockPolicy: null }, 'clockPolicy'],
    ['a field that does not exist', { id: 'ok', state: 'active' }, 'state'],
    ['__proto__', '{"id":"ok","__proto__":{"name":"x"}}', '__proto__'],
    ['a key twice', '{"id":"ok","id":"other"}', 'id'],
    ['a key twice, once in escapes', '{"id":"ok","\\u0069d":"other"}', 'id'],
    ['nesting without end', '['.repeat(5_000), undefined],
    ['an array', [], undefined],
    ['null', 'null', undefined],
    ['something else than JSON', '{id:1}', undefined],
    ['an unended string', '{"id":"', undefined],
    ['nothing', '', undefined],
  ]
  for (const [what, body, field] of bad) {
    it(`refuses ${what}`, async () => {
      assertProblem(await ask('/v1/devices', jsonBody(body)), 400, 'request_invalid', field)
    })
  }

  it('refuses bytes that are not UTF-8', async () => {
    const init = { ...jsonBody({}), body: Buffer.from('{"id":"\xff"}', 'latin1') }
    assertProblem(await ask('/v1/devices', init), 400, 'request_invalid')
  })

  it('refuses a body over the limit with 413, and other types with 415', async () => {
    const large = jsonBody(JSON.stringify({ id: 'x', name: 'y'.repeat(70_000) }))
    assertProblem(await ask('/v1/devices', large), 413, 'payload_too_large')
    const text = { method: 'POST', body: '{"id":"x"}', headers: { 'content-type': 'text/plain' } }
    assertProblem(await ask('/v1/devices', text), 415, 'media_type_unsupported')
  })
})

describe('changing a device', () => {
  const patch = (body: unknown) => ({ ...jsonBody(body), method: 'PATCH' })
  const stored = async (id: string) => (await ask(`/v1/devices/${id}`)).body as Device

  it('changes what is named and leaves the rest', async () => {
    await ask('/v1/devices', jsonBody({ id: 'p-1', name: 'P', clockPolicy: 'restamp' }))
    const before = await stored('p-1')
    assert.equal(before.clockPolicy, 'restamp')
    const renamed = await ask('/v1/devices/p-1', patch({ name: 'Q' }))
    assert.equal(renamed.status, 200)
    assert.deepEqual(renamed.body, { ...before, name: 'Q', version: 2 })
    await ask('/v1/devices/p-1', patch({ clockPolicy: 'reject' }))
    assert.deepEqual(await stored('p-1'), {
      ...{ ...before, name: 'Q', clockPolicy: 'reject', version: 3 },
    })
    assert.deepEqual((await ask('/v1/devices/p-1', patch({}))).body, await stored('p-1'))
  })

  it('answers 404 for one that does not exist, or is of another tenant', async () => {
    const change = patch({ clockPolicy: 'restamp' })
    assertProblem(await ask('/v1/devices/never', change), 404, 'device_not_found', 'id')
    await askOther('/v1/devices', jsonBody({ id: 'theirs' }))
    assertProblem(await ask('/v1/devices/theirs', change), 404, 'device_not_found', 'id')
    const theirs = (await askOther('/v1/devices/theirs')).body as Device
    assert.equal(theirs.clockPolicy, 'reject')
  })

  const bad: readonly (readonly [unknown, string | undefined])[] = [
    [{ clockPolicy: 'guess' }, 'clockPolicy'],
    [{ name: '' }, 'name'],
    [{ name: null }, 'name'],
    [{ id: 'other' }, 'id'],
    [{ state: 'retired' }, 'state'],
    [[], undefined],
  ]
  for (const [body, field] of bad) {
    it(`refuses ${JSON.stringify(body)}`, async () => {
      assertProblem(await ask('/v1/devices/p-1', patch(body)), 400, 'request_invalid', field)
    })
  }
})

describe('the version of a device', () => {
  const patch = (name: string, match?: string) => ({
    ...jsonBody({ name }),
    method: 'PATCH',
    headers: {
      'content-type': 'application/json',
      ...(match === undefined ? {} : { 'if-match': match }),
    },
  })

  it('is its ETag, and a change that was meant for another changes nothing', async () => {
    const created = await ask('/v1/devices', jsonBody({ id: 'v-1' }))
    assert.equal(created.headers.get('etag'), '"1"')
    const second = await ask('/v1/devices/v-1', patch('Two', '"1"'))
    assert.deepEqual([second.status, second.headers.get('etag')], [200, '"2"'])
    const late = await ask('/v1/devices/v-1', patch('Three', '"1"'))
    assertProblem(late, 412, 'version_conflict', undefined)
    assert.equal(late.headers.get('etag'), '"2"')
    assertProblem(
      ...[await ask('/v1/devices/v-1', { method: 'DELETE', headers: { 'if-match': '"1"' } })],
      ...([412, 'version_conflict', undefined] as const),
    )
    assert.equal(((await ask('/v1/devices/v-1')).body as Device).name, 'Two')
    assert.equal((await ask('/v1/devices/v-1', patch('Three', '*'))).status, 200)
  })

  it('lets one of many who change it at once win', async () => {
    await ask('/v1/devices', jsonBody({ id: 'v-2' }))
    const race = Array.from({ length: 20 }, (_, n) => ask('/v1/devices/v-2', patch(`N${n}`, '"1"')))
    const statuses = (await Promise.all(race)).map(({ status }) => status).sort((a, b) => a - b)
    assert.deepEqual(statuses, [200, ...Array.from({ length: 19 }, () => 412)])
  })

  it('is told only by one strong ETag', async () => {
    await ask('/v1/devices', jsonBody({ id: 'v-3' }))
    for (const match of ['1', 'W/"1"', '"1", "2"', '"x"', '""']) {
      const answered = await ask('/v1/devices/v-3', patch('No', match))
      assertProblem(answered, 400, 'request_invalid', 'If-Match')
    }
  })

  it('begins anew, and so does its identity, where an id is used again', async () => {
    const first = (await ask('/v1/devices', jsonBody({ id: 'v-4' }))).body as CreatedDevice
    await ask('/v1/devices/v-4', { method: 'DELETE' })
    const second = (await ask('/v1/devices', jsonBody({ id: 'v-4' }))).body as CreatedDevice
    assert.equal(second.device.version, 1)
    assert.notEqual(second.device.uid, first.device.uid)
  })
})

describe('the state of a device', () => {
  const put = (id: string, state: string, reason: unknown = 'a test') =>
    ask(`/v1/devices/${id}/state`, { ...jsonBody({ state, reason }), method: 'PUT' })

  // By hand, from docs/LIFECYCLE.md: what may follow what.
  const FOLLOWS: Readonly<Record<string, readonly string[]>> = {
    pending: ['active', 'retired'],
    active: ['suspended', 'quarantined', 'retired'],
    suspended: ['active', 'quarantined', 'retired'],
    quarantined: ['active', 'suspended', 'retired'],
    retired: [],
  }
  for (const [from, follows] of Object.entries(FOLLOWS)) {
    it(`${from} is followed by ${follows.join(', ') || 'none'}`, async () => {
      for (const to of Object.keys(FOLLOWS)) {
        const id = `s-${from}-${to}`
        await ask('/v1/devices', jsonBody({ id }))
        const text = 'UPDATE devices SET state = $2 WHERE id = $1'
        await api.postgres.query(text, [id, from])
        const answered = await put(id, to, 'because')
        if (follows.includes(to)) {
          const { state, stateReason, stateBy, version } = answered.body as Device
          assert.deepEqual([state, stateReason, stateBy, version], [to, 'because', 'key:test', 2])
        } else {
          assertProblem(answered, 409, 'state_conflict', 'state')
          assert.equal(((await ask(`/v1/devices/${id}`)).body as Device).state, from)
        }
      }
    })
  }

  it('needs a reason, and is of devices that are ours', async () => {
    await ask('/v1/devices', jsonBody({ id: 's-1' }))
    for (const reason of ['', null, 'x'.repeat(257), 'a\u0000']) {
      assertProblem(await put('s-1', 'suspended', reason), 400, 'request_invalid', 'reason')
    }
    assertProblem(await put('s-1', 'asleep'), 400, 'request_invalid', 'state')
    await askOther('/v1/devices', jsonBody({ id: 's-theirs' }))
    assertProblem(await put('s-theirs', 'retired'), 404, 'device_not_found', 'id')
    assert.equal(((await askOther('/v1/devices/s-theirs')).body as Device).state, 'active')
  })
})

describe('listing devices', () => {
  const ids = Array.from({ length: 23 }, (_, index) => `list-${String(index).padStart(2, '0')}`)
  before(async () => {
    for (const id of ids) await ask('/v1/devices', jsonBody({ id, name: `Walk 100% ${id}` }))
    await askOther('/v1/devices', jsonBody({ id: 'list-foreign' }))
  })

  it('gives every item exactly once over the pages, whatever their size', async () => {
    for (const limit of [1, 7, 23, 100]) {
      const seen: string[] = []
      let next: string | null = null
      do {
        const cursor: string = next === null ? '' : `&cursor=${next}`
        const page = (await ask(`/v1/devices?q=list-&limit=${limit}${cursor}`)).body as DeviceList
        assert.ok(page.items.length <= limit)
        seen.push(...page.items.map((item) => item.id))
        next = page.next
      } while (next !== null)
      assert.deepEqual(seen, ids)
    }
  })

  it('searches ids and names in any case, and takes wildcards literally', async () => {
    const found = async (q: string) =>
      ((await ask(`/v1/devices?q=${encodeURIComponent(q)}`)).body as DeviceList).items.length
    assert.equal(await found('LIST-1'), 10)
    assert.equal(await found('walk 100%'), 23)
    assert.equal(await found('%'), 23)
    assert.equal(await found('_'), 0)
    assert.equal(await found("' OR 1=1 --"), 0)
  })

  it('says how many match on all pages, whichever page is asked for', async () => {
    const first = (await ask('/v1/devices?q=list-&limit=7')).body as DeviceList
    assert.equal(first.total, ids.length)
    const path = `/v1/devices?q=list-&limit=7&cursor=${first.next ?? ''}`
    assert.equal(((await ask(path)).body as DeviceList).total, ids.length)
    assert.equal(((await ask('/v1/devices?q=LIST-1')).body as DeviceList).total, 10)
    assert.equal(((await ask('/v1/devices?q=nothing')).body as DeviceList).total, 0)
    assert.equal(((await askOther('/v1/devices?q=list-')).body as DeviceList).total, 1)
  })

  const bad: readonly (readonly [string, string, string])[] = [
    ['limit=0', 'request_invalid', 'limit'],
    ['limit=501', 'request_invalid', 'limit'],
    ['limit=ten', 'request_invalid', 'limit'],
    ['limit=1&limit=2', 'request_invalid', 'limit'],
    ['colour=red', 'request_invalid', 'colour'],
    ['include=everything', 'request_invalid', 'include'],
    ['q=%ff', 'request_invalid', 'q'],
    ['q=%00', 'request_invalid', 'q'],
    [`q=${'x'.repeat(257)}`, 'request_invalid', 'q'],
    ['cursor=nonsense', 'cursor_invalid', 'cursor'],
    [`cursor=${Buffer.from('[1,"x"]').toString('base64url')}`, 'cursor_invalid', 'cursor'],
  ]
  for (const [query, code, field] of bad) {
    it(`refuses ${query.slice(0, 30)}`, async () => {
      assertProblem(await ask(`/v1/devices?${query}`), 400, code, field)
    })
  }

  it('refuses the cursor of another question', async () => {
    const page = (await ask('/v1/devices?q=list-&limit=2')).body as DeviceList
    const other = await ask(`/v1/devices?q=walk&limit=2&cursor=${page.next ?? ''}`)
    assertProblem(other, 400, 'cursor_invalid', 'cursor')
  })
})

describe('one device', () => {
  it('is found, deleted, and gone; another tenant can do none of it', async () => {
    await ask('/v1/devices', jsonBody({ id: 'short-lived' }))
    const path = '/v1/devices/short-lived'
    assertProblem(await askOther(path), 404, 'device_not_found', 'id')
    assertProblem(await askOther(path, { method: 'DELETE' }), 404, 'device_not_found', 'id')
    assert.equal((await ask(path)).status, 200)
    assert.equal((await ask(path, { method: 'HEAD' })).status, 200)
    assert.equal((await ask(path, { method: 'DELETE' })).status, 204)
    assertProblem(await ask(path), 404, 'device_not_found', 'id')
    assertProblem(await ask(path, { method: 'DELETE' }), 404, 'device_not_found', 'id')
  })

  it('refuses ids that cannot be', async () => {
    assertProblem(await ask('/v1/devices/a%2Fb'), 400, 'request_invalid', 'id')
    assertProblem(await ask('/v1/devices/%ff'), 400, 'request_invalid', 'id')
    assertProblem(await ask('/v1/devices/'), 400, 'request_invalid', 'id')
  })
})

describe('asking at all', () => {
  it('demands a valid key and says how', async () => {
    const without = await ask('/v1/devices', { headers: { authorization: '' } })
    assertProblem(without, 401, 'unauthenticated')
    assert.equal(without.headers.get('www-authenticate'), 'Bearer')
    for (const value of ['Bearer', 'Bearer wrong', 'Basic YTpi', `Bearer ${'x'.repeat(9_00)}`]) {
      assertProblem(
        await ask('/v1/devices', { headers: { authorization: value } }),
        401,
        'unauthenticated',
      )
    }
  })

  it('answers 404 and 405 with what is offered', async () => {
    assertProblem(await ask('/v1/nothing'), 404, 'not_found')
    const wrong = await ask('/v1/devices', { method: 'PUT' })
    assertProblem(wrong, 405, 'method_not_allowed')
    assert.equal(wrong.headers.get('allow'), 'POST, GET, HEAD')
  })

  it('tells what runs and where devices connect, to whoever has a key', async () => {
    const about = await ask('/v1/about')
    assert.equal(about.status, 200)
    assert.deepEqual(about.body, { version: '0.0.0', mqttUrl: 'mqtt://devices.example:1883' })
    const without = await ask('/v1/about', { headers: { authorization: '' } })
    assertProblem(without, 401, 'unauthenticated')
  })

  it('says at / that the dashboard is not built', async () => {
    const home = await ask('/')
    assert.equal(home.status, 200)
    assert.match(String(home.body), /npm run build/)
  })
})
