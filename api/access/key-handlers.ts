/** What the endpoints of keys and of the change log do. */
import type { ApiKey, ShownKey } from '../../devices/access/api-key-store.ts'
import { covers, type Grant, type Permission } from '../../devices/access/permission.ts'
import type { ApiParts } from '../api-parts.ts'
import type * as contract from '../contract/access.ts'
import { decodeCursor, encodeCursor, pageOf } from '../cursor.ts'
import { invalid, Refusal } from '../problem.ts'
import type { Call, Reply } from '../route.ts'

/** A key as its schema lets it through: scopes are permissions. */
type NewKey = contract.NewKey & Readonly<{ scopes?: Permission[] }>

export async function createKey({ keys, clock }: ApiParts, call: Call): Promise<Reply> {
  const { name, role = 'viewer', scopes, expiresAt } = call.body as NewKey
  if (expiresAt !== undefined && expiresAt <= clock.nowMs()) {
    throw invalid('expiresAt is past already.', 'expiresAt')
  }
  demandCover(call, { role, scopes })
  const created = await keys.create(
    call.tenant,
    { ...{ name, role, scopes }, expiresAtMs: expiresAt },
    call.by,
  )
  if (created === 'exists') {
    const text = `A key with the name "${name}" exists. Rotate it to get another secret.`
    throw new Refusal('key_exists', text, { field: 'name' })
  }
  const headers = { location: `/v1/keys/${encodeURIComponent(name)}` }
  return { status: 201, body: shownOnce(created), headers }
}

export async function listKeys({ keys }: ApiParts, call: Call): Promise<Reply> {
  const limit = call.parameters.integer('limit') ?? 1
  const cursor = call.parameters.text('cursor')
  const [after] = cursor === undefined ? [''] : decodeCursor(['keys'], cursor, ['string'])
  const found = await keys.list(call.tenant, String(after), limit + 1)
  const { items, next } = pageOf(found, limit, ({ name }) => encodeCursor(['keys'], [name]))
  const body: contract.KeyList = { items: items.map(shown), next }
  return { status: 200, body }
}

export async function getKey(parts: ApiParts, call: Call): Promise<Reply> {
  return { status: 200, body: shown(await existing(parts, call)) }
}

export async function rotateKey(parts: ApiParts, call: Call): Promise<Reply> {
  const { overlapSeconds = 0 } = call.body as contract.KeyRotation
  const key = await existing(parts, call)
  // Whoever gets the secret gets what the key may do.
  demandCover(call, key)
  const rotated = await parts.keys.rotate(call.tenant, key.name, overlapSeconds, call.by)
  if (rotated === undefined) throw notFound(key.name)
  return { status: 200, body: shownOnce(rotated) }
}

export async function revokeKey({ keys }: ApiParts, call: Call): Promise<Reply> {
  const name = call.parameters.requiredText('name')
  if (!(await keys.revoke(call.tenant, name, call.by))) throw notFound(name)
  return { status: 204 }
}

export async function listChanges({ changes }: ApiParts, call: Call): Promise<Reply> {
  const [subject, actor] = [call.parameters.text('subject'), call.parameters.text('actor')]
  const limit = call.parameters.integer('limit') ?? 1
  const cursor = call.parameters.text('cursor')
  const question = ['changes', subject, actor]
  const [before] = cursor === undefined ? [undefined] : decodeCursor(question, cursor, ['number'])
  const beforeId = before === undefined ? undefined : Number(before)
  const page = { subject, actor, beforeId, limit: limit + 1 }
  const found = await changes.list(call.tenant, page)
  const { items, next } = pageOf(found, limit, ({ id }) => encodeCursor(question, [id]))
  const body: contract.ChangeList = {
    items: items.map(({ atMs, before: was, after: is, ...change }) => ({
      ...change,
      at: atMs,
      ...(was === null ? {} : { before: was }),
      ...(is === null ? {} : { after: is }),
    })),
    next,
  }
  return { status: 200, body }
}

async function existing({ keys }: ApiParts, call: Call): Promise<ApiKey> {
  const name = call.parameters.requiredText('name')
  const key = await keys.get(call.tenant, name)
  if (key === undefined) throw notFound(name)
  return key
}

function demandCover({ principal }: Call, given: Grant): void {
  if (principal !== undefined && covers(principal, given)) return
  throw new Refusal('forbidden', 'This key may not give out more than it has itself.')
}

const notFound = (name: string): Refusal =>
  new Refusal('key_not_found', `There is no key "${name}".`, { field: 'name' })

const shownOnce = ({ key, secret }: ShownKey): contract.ShownKey => ({ key: shown(key), secret })

const shown = (key: ApiKey): contract.Key => ({
  name: key.name,
  role: key.role,
  createdAt: key.createdAtMs,
  ...(key.scopes === undefined ? {} : { scopes: [...key.scopes] }),
  ...(key.expiresAtMs === undefined ? {} : { expiresAt: key.expiresAtMs }),
  ...(key.lastUsedAtMs === undefined ? {} : { lastUsedAt: key.lastUsedAtMs }),
  ...(key.formerUntilMs === undefined ? {} : { formerUntil: key.formerUntilMs }),
})
