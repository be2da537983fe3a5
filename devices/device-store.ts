/** Devices in Postgres. Every statement names the tenant: there is no way to ask across tenants. */
import { Failure } from '../platform/failure.ts'
import type { Postgres } from '../platform/postgres/postgres.ts'
import { newSecret, secretHash, usernameOf } from './credential.ts'
import { type Actor, recordChange } from './access/change-log.ts'
import { type ClockPolicy, clockPolicyOf, type Device, deviceStateOf } from './device.ts'

/** The only moment at which the secret exists in clear. */
export type CreatedDevice = Readonly<{ device: Device; username: string; secret: string }>

export type NewDevice = Readonly<{ id: string; name: string; clockPolicy?: ClockPolicy }>
/** What is left out stays as it is. */
export type DeviceChange = Readonly<{ name?: string; clockPolicy?: ClockPolicy }>

export type DevicePage = Readonly<{
  /** Part of an id or a name, in any case; '' finds everything. */
  search: string
  /** Devices with an id after this one, in the database's order; '' starts at the first. */
  afterId: string
  limit: number
}>

type DeviceRow = {
  id: string
  name: string
  state: string
  clock_policy: string
  created_ms: number
}
/** Whether a device has the text in its id or name, in any case; '' matches every device. */
const matches = (parameter: string): string =>
  `(${parameter} = '' OR position(lower(${parameter}) in lower(id)) > 0
    OR position(lower(${parameter}) in lower(name)) > 0)`
const COLUMNS = `id, name, state, clock_policy,
  floor(extract(epoch from created_at) * 1000)::bigint AS created_ms`

export class DeviceStore {
  readonly #database: Pick<Postgres, 'query' | 'transaction'>
  readonly #credentialKey: string

  constructor(database: Pick<Postgres, 'query' | 'transaction'>, credentialKey: string) {
    this.#database = database
    this.#credentialKey = credentialKey
  }

  /** Creates a device and its credential together; `exists` when the tenant has that id. */
  async create(tenant: string, device: NewDevice, by: Actor): Promise<CreatedDevice | 'exists'> {
    const { id, name, clockPolicy = 'reject' } = device
    const secret = newSecret()
    const username = usernameOf(tenant, id)
    return this.#database.transaction(async (sql) => {
      const [row] = await sql.query<DeviceRow>(
        `INSERT INTO devices (tenant, id, name, clock_policy) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant, id) DO NOTHING RETURNING ${COLUMNS}`,
        [tenant, id, name, clockPolicy],
      )
      if (row === undefined) return 'exists'
      await sql.query(
        `INSERT INTO device_credentials (tenant, device, username, secret_hash)
         VALUES ($1, $2, $3, $4)`,
        [tenant, id, username, secretHash(this.#credentialKey, secret)],
      )
      const after = settingsOf(row)
      await recordChange(sql, {
        tenant,
        by,
        action: 'device.create',
        subject: subjectOf(id),
        after,
      })
      return { device: deviceOf(row), username, secret }
    })
  }

  async get(tenant: string, id: string): Promise<Device | undefined> {
    const text = `SELECT ${COLUMNS} FROM devices WHERE tenant = $1 AND id = $2`
    const [row] = await this.#database.query<DeviceRow>(text, [tenant, id])
    return row === undefined ? undefined : deviceOf(row)
  }

  /** The device as it is then; undefined when there is none. */
  async update(
    tenant: string,
    id: string,
    change: DeviceChange,
    by: Actor,
  ): Promise<Device | undefined> {
    return this.#database.transaction(async (sql) => {
      const held = `SELECT ${COLUMNS} FROM devices WHERE tenant = $1 AND id = $2 FOR UPDATE`
      const [old] = await sql.query<DeviceRow>(held, [tenant, id])
      const [row] = await sql.query<DeviceRow>(
        `UPDATE devices SET name = coalesce($3, name), clock_policy = coalesce($4, clock_policy)
         WHERE tenant = $1 AND id = $2 RETURNING ${COLUMNS}`,
        [tenant, id, change.name ?? null, change.clockPolicy ?? null],
      )
      if (old === undefined || row === undefined) return undefined
      const [before, after] = [settingsOf(old), settingsOf(row)]
      await recordChange(sql, {
        ...{ tenant, by, action: 'device.update', subject: subjectOf(id), before, after },
      })
      return deviceOf(row)
    })
  }

  /** Devices in id order, at most `limit`. */
  async list(tenant: string, page: DevicePage): Promise<readonly Device[]> {
    const rows = await this.#database.query<DeviceRow>(
      `SELECT ${COLUMNS} FROM devices
       WHERE tenant = $1 AND id > $2
         AND ${matches('$3')}
       ORDER BY id LIMIT $4`,
      [tenant, page.afterId, page.search, page.limit],
    )
    return rows.map(deviceOf)
  }

  /** How many devices match, counted up to `max`: the work is bounded however large the fleet. */
  async count(tenant: string, search: string, max: number): Promise<number> {
    const [row] = await this.#database.query<{ matching: number }>(
      `SELECT count(*)::int AS matching FROM (
         SELECT 1 FROM devices WHERE tenant = $1 AND ${matches('$2')} LIMIT $3
       ) AS found`,
      [tenant, search, max],
    )
    return row?.matching ?? 0
  }

  /** Removes the device and its credentials. What it measured stays. */
  async delete(tenant: string, id: string, by: Actor): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      const text = `DELETE FROM devices WHERE tenant = $1 AND id = $2 RETURNING ${COLUMNS}`
      const [row] = await sql.query<DeviceRow>(text, [tenant, id])
      if (row === undefined) return false
      const before = settingsOf(row)
      await recordChange(sql, {
        ...{ tenant, by, action: 'device.delete', subject: subjectOf(id), before },
      })
      return true
    })
  }
}

const subjectOf = (id: string): string => `device/${id}`

/** What people set, as the change log shows it. */
const settingsOf = ({ name, state, clock_policy: clockPolicy }: DeviceRow) => ({
  ...{ name, state, clockPolicy },
})

function deviceOf(row: DeviceRow): Device {
  const state = deviceStateOf(row.state)
  if (state === undefined) throw new Failure('internal', `unknown device state ${row.state}`)
  const clockPolicy = clockPolicyOf(row.clock_policy)
  if (clockPolicy === undefined) {
    throw new Failure('internal', `unknown clock policy ${row.clock_policy}`)
  }
  return { id: row.id, name: row.name, state, clockPolicy, createdAtMs: row.created_ms }
}
