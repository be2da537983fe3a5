/** What the device endpoints do. */
import type { Device } from '../../devices/device.ts'
import type { ApiParts } from '../api-parts.ts'
import type * as contract from '../contract/resources.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
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
  return { status: 201, body, headers: { location: `/v1/devices/${encodeURIComponent(id)}` } }
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
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const more = found.length > limit && last !== undefined
  const body: contract.DeviceList = {
    items: await listed(parts, call, items),
    next: more ? encodeCursor(question, [last.id]) : null,
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
  return { status: 200, body: shown(await existing(parts, call)) }
}

export async function updateDevice({ devices }: ApiParts, call: Call): Promise<Reply> {
  const id = call.parameters.requiredText('id')
  const change = call.body as contract.DeviceChange // Held against its schema by dispatch.
  const device = await devices.update(call.tenant, id, change, call.by)
  if (device === undefined) throw notFound(id)
  return { status: 200, body: shown(device) }
}

export async function deleteDevice({ devices, latest }: ApiParts, call: Call): Promise<Reply> {
  const id = call.parameters.requiredText('id')
  if (!(await devices.delete(call.tenant, id, call.by))) throw notFound(id)
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

const notFound = (id: string): Refusal =>
  new Refusal('device_not_found', `There is no device "${id}".`, { field: 'id' })

const shown = ({ id, name, state, clockPolicy, createdAtMs }: Device): contract.Device => ({
  id,
  name,
  state,
  clockPolicy,
  createdAt: createdAtMs,
})
