/** What the endpoints of a device's credentials do. */
import {
  type CredentialRefusal,
  type DeviceCredential,
  type ShownCredential,
} from '../../devices/credential-store.ts'
import type { ApiParts } from '../api-parts.ts'
import type * as contract from '../contract/credentials.ts'
import { LIMITS } from '../limits.ts'
import { invalid, Refusal } from '../problem.ts'
import type { Call, Reply } from '../route.ts'
import { existing, notFound } from './device-handlers.ts'

export async function createCredential(parts: ApiParts, call: Call): Promise<Reply> {
  // Held against its schema by dispatch.
  const { name, notBefore, notAfter } = call.body as contract.NewCredential
  if (notAfter !== undefined && notAfter <= Math.max(parts.clock.nowMs(), notBefore ?? 0)) {
    throw invalid('notAfter must be later than now and than notBefore.', 'notAfter')
  }
  const id = call.parameters.requiredText('id')
  const given = { name, notBeforeMs: notBefore, notAfterMs: notAfter }
  const created = await parts.credentials.create(call.tenant, id, given, call.by)
  if (created.kind !== 'shown') throw refusalOf(created, id, name)
  const location = `/v1/devices/${encodeURIComponent(id)}/credentials/${encodeURIComponent(name)}`
  return { status: 201, body: shownOnce(created), headers: { location } }
}

export async function listCredentials(parts: ApiParts, call: Call): Promise<Reply> {
  const { id } = await existing(parts, call)
  const found = await parts.credentials.list(call.tenant, id)
  const body: contract.CredentialList = { items: found.map(shown) }
  return { status: 200, body }
}

export async function rotateCredential({ credentials }: ApiParts, call: Call): Promise<Reply> {
  const { overlapSeconds = 0 } = call.body as contract.CredentialRotation // Held as well.
  const [id, name] = [call.parameters.requiredText('id'), call.parameters.requiredText('name')]
  const rotated = await credentials.rotate(call.tenant, id, { name, overlapSeconds }, call.by)
  if (rotated.kind !== 'shown') throw refusalOf(rotated, id, name)
  return { status: 200, body: shownOnce(rotated) }
}

export async function revokeCredential({ credentials }: ApiParts, call: Call): Promise<Reply> {
  const [id, name] = [call.parameters.requiredText('id'), call.parameters.requiredText('name')]
  const revoked = await credentials.revoke(call.tenant, id, name, call.by)
  if (revoked.kind !== 'revoked') throw refusalOf(revoked, id, name)
  return { status: 204 }
}

function refusalOf(refusal: CredentialRefusal, id: string, name: string): Refusal {
  switch (refusal.kind) {
    case 'no_device':
      return notFound(id)
    case 'no_credential': {
      const text = `The device "${id}" has no credential "${name}".`
      return new Refusal('credential_not_found', text, { field: 'name' })
    }
    case 'exists': {
      const text = `The device has a credential "${name}". Rotate it to get another secret.`
      return new Refusal('credential_exists', text, { field: 'name' })
    }
    case 'too_many': {
      const text = `A device has at most ${LIMITS.credentialsPerDeviceMax} credentials.`
      return new Refusal('limit_exceeded', text)
    }
    case 'not_allowed': {
      const text = `A device that is ${refusal.state} gets no secrets.`
      return new Refusal('state_conflict', text)
    }
  }
}

const shownOnce = ({ credential, secret }: ShownCredential): contract.ShownCredential => ({
  ...{ credential: shown(credential), secret },
})

const shown = (credential: DeviceCredential): contract.DeviceCredential => ({
  name: credential.name,
  username: credential.username,
  createdAt: credential.createdAtMs,
  ...(credential.notBeforeMs === undefined ? {} : { notBefore: credential.notBeforeMs }),
  ...(credential.notAfterMs === undefined ? {} : { notAfter: credential.notAfterMs }),
  ...(credential.lastUsedAtMs === undefined ? {} : { lastUsedAt: credential.lastUsedAtMs }),
  ...(credential.formerUntilMs === undefined ? {} : { formerUntil: credential.formerUntilMs }),
})
