/** What the device endpoints do. */
import type { Device, DeviceState } from '../../devices/device.ts'
import type { Changed } from '../../devices/device-store.ts'
import { followers } from '../../devices/lifecycle.ts'
import type { ApiParts } from '../api-parts.ts'
import type * as contract from '../contract/resources.ts'
import { decodeCursor, encodeCursor, pageOf } from '../cursor.ts'
import { LIMITS } from '../limits.ts'
import { newestOfDevices } from '../readings/newest-values.ts'
import { Refusal } from '../problem.ts'
import type { Call, Reply } from '../route.ts'

export async function createDevice({ devices }: ApiParts, call: Call): Promise<Reply> {
  // Held against its schema by dispatch.
  const { id, name, ...given } = call.body as contract.NewDevice
  const created = await devices.create(call.tenant, { id, name: name ?? id, ...given }, call.by)
  if (created === 'exists') {
    const text = `A device with the id "${id}" exists. Its secret cannot be shown again.`
    throw new Refusal('device_exists', text, { field: 'id' })
  }
  const { username, secret } = created
  const body: contract.CreatedDevice = {
    device: shown(created.device),
    credential: { username, secret },
  }
  const headers = {
    location: `/v1/devices/${encodeURIComponent(id)}`,
    etag: etagOf(created.device.version),
  }
  return { status: 201, body, headers }
}

export async function listDevices(parts: ApiParts, call: Call): Promise<Reply> {
  const search = call.parameters.text('q') ?? ''
  const limit = call.parameters.integer('limit') ?? 1
  const cursor = call.parameters.text('cursor')
  const question = ['devices', search]
  const [after] = cursor === undefined ? [''] : decodeCursor(question, cursor, ['string'])
  const page = { search, afterId: String(after), limit: limit + 1 }
  const [found, matching] = await Promise.all([
    parts.devices.list(call.tenant, page),
    parts.devices.count(call.tenant, search, LIMITS.devicesCountedMax + 1),
  ])
  const { items, next } = pageOf(found, limit, ({ id }) => encodeCursor(question, [id]))
  const body: contract.DeviceList = {
    items: await listed(parts, call, items),
    next,
    ...(matching > LIMITS.devicesCountedMax ? {} : { total: matching }),
  }
  return { status: 200, body }
}

async function listed(
  parts: ApiParts,
  call: Call,
  devices: readonly Device[],
): Promise<contract.DeviceList['items']> {
  if (call.parameters.text('include') !== 'latest') return devices.map(shown)
  const ids = devices.map((device) => device.id)
  const newest = await newestOfDevices(parts, call.tenant, ids)
  return devices.map((device) => ({ ...shown(device), latest: newest.get(device.id) ?? {} }))
}

export async function getDevice(parts: ApiParts, call: Call): Promise<Reply> {
  return versioned(await existing(parts, call))
}

export async function updateDevice({ devices }: ApiParts, call: Call): Promise<Reply> {
  const id = call.parameters.requiredText('id')
  const change = call.body as contract.DeviceChange // Held against its schema by dispatch.
  return replyOf(call, await devices.update(call.tenant, id, change, call))
}

export async function setDeviceState({ devices }: ApiParts, call: Call): Promise<Reply> {
  const id = call.parameters.requiredText('id')
  const { state, reason } = call.body as contract.StateChange // Held against its schema.
  return replyOf(call, await devices.setState(call.tenant, id, { state, reason }, call), state)
}

export async function deleteDevice({ devices, latest }: ApiParts, call: Call): Promise<Reply> {
  const id = call.parameters.requiredText('id')
  replyOf(call, await devices.delete(call.tenant, id, call))
  latest.forget(call.tenant, id)
  return { status: 204 }
}

/** The device that the path names, or a Refusal. */
export async function existing({ devices }: ApiParts, call: Call): Promise<Device> {
  const id = call.parameters.requiredText('id')
  const device = await devices.get(call.tenant, id)
  if (device === undefined) throw notFound(id)
  return device
}

/** The device that was changed, or a Refusal. */
function replyOf(call: Call, changed: Changed, wanted?: DeviceState): Reply {
  const id = call.parameters.requiredText('id')
  switch (changed.kind) {
    case 'changed':
      return versioned(changed.device)
    case 'absent':
      throw notFound(id)
    case 'outdated': {
      const text = `It is version ${changed.version} now; the change was meant for ${call.version}.`
      throw new Refusal('version_conflict', text, { headers: { etag: etagOf(changed.version) } })
    }
    case 'not_allowed': {
      const may = followers(changed.from).join(', ') || 'none'
      const text = `A device that is ${changed.from} cannot become ${wanted}; may follow: ${may}.`
      throw new Refusal('state_conflict', text, { field: 'state' })
    }
  }
}

const etagOf = (version: number): string => `"${version}"`
const versioned = (device: Device): Reply => ({
  ...{ status: 200, body: shown(device), headers: { etag: etagOf(device.version) } },
})

export const notFound = (id: string): Refusal =>
  new Refusal('device_not_found', `There is no device "${id}".`, { field: 'id' })

const shown = ({ createdAtMs, stateAtMs, ...device }: Device): contract.Device => ({
  ...{ ...device, createdAt: createdAtMs, stateAt: stateAtMs },
})
