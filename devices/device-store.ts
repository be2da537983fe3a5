/** Devices in Postgres. Every statement names the tenant: there is no way to ask across tenants. */
import { Failure } from '../platform/failure.ts'
import { epochMs } from '../platform/postgres/epoch-ms.ts'
import type { Postgres, PostgresQueries } from '../platform/postgres/postgres.ts'
import { newSecret, secretHash, usernameOf } from './credential.ts'
import { type Actor, recordChange } from './access/change-log.ts'
import {
  type ClockPolicy,
  clockPolicyOf,
  type Device,
  type DeviceState,
  deviceStateOf,
} from './device.ts'
import { mayFollow } from './lifecycle.ts'

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

/** What became of a change: the device as it is then, or why there was none. */
export type Changed =
  | Readonly<{ kind: 'changed'; device: Device }>
  | Readonly<{ kind: 'absent' }>
  /** It is not the version that the change was meant for. */
  | Readonly<{ kind: 'outdated'; version: number }>
  | Readonly<{ kind: 'not_allowed'; from: DeviceState }>

/** Who changes which version; undefined: whichever there is. */
export type Writer = Readonly<{ by: Actor; version?: number | undefined }>

type DeviceRow = {
  id: string
  name: string
  state: string
  state_reason: string
  state_by: string
  state_ms: number
  clock_policy: string
  created_ms: number
  uid: string
  version: number
}
/** Whether a device has the text in its id or name, in any case; '' matches every device. */
const matches = (parameter: string): string =>
  `(${parameter} = '' OR position(lower(${parameter}) in lower(id)) > 0
    OR position(lower(${parameter}) in lower(name)) > 0)`
const COLUMNS = `id, name, state, state_reason, state_by, clock_policy, uid, version,
  ${epochMs('state_at')} AS state_ms,
  ${epochMs('created_at')} AS created_ms`

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
        `INSERT INTO devices (tenant, id, name, clock_policy, state_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant, id) DO NOTHING RETURNING ${COLUMNS}`,
        [tenant, id, name, clockPolicy, by.name],
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

  update(tenant: string, id: string, change: DeviceChange, writer: Writer): Promise<Changed> {
    return this.#change(tenant, id, { ...writer, action: 'device.update' }, async (sql, old) => {
      const { name = old.name, clockPolicy = old.clock_policy } = change
      if (name === old.name && clockPolicy === old.clock_policy) return 'same'
      const [row] = await sql.query<DeviceRow>(
        `UPDATE devices SET name = $3, clock_policy = $4, version = version + 1
         WHERE tenant = $1 AND id = $2 RETURNING ${COLUMNS}`,
        [tenant, id, name, clockPolicy],
      )
      return row
    })
  }

  /** Every connection of the device hears of it within a second. */
  setState(
    tenant: string,
    id: string,
    to: Readonly<{ state: DeviceState; reason: string }>,
    writer: Writer,
  ): Promise<Changed> {
    return this.#change(tenant, id, { ...writer, action: 'device.state' }, async (sql, old) => {
      if (!mayFollow(stateIn(old), to.state)) return 'not_allowed'
      const [row] = await sql.query<DeviceRow>(
        `UPDATE devices SET state = $3, state_reason = $4, state_by = $5, state_at = now(),
           version = version + 1
         WHERE tenant = $1 AND id = $2 RETURNING ${COLUMNS}`,
        [tenant, id, to.state, to.reason, writer.by.name],
      )
      return row
    })
  }

  /** Removes the device and its credentials. What it measured stays. */
  delete(tenant: string, id: string, writer: Writer): Promise<Changed> {
    return this.#change(tenant, id, { ...writer, action: 'device.delete' }, async (sql) => {
      await sql.query('DELETE FROM devices WHERE tenant = $1 AND id = $2', [tenant, id])
      return undefined
    })
  }

  /** Holds the device, demands the version, changes it and logs that. */
  #change(
    tenant: string,
    id: string,
    { by, version, action }: Writer & Readonly<{ action: string }>,
    write: (
      sql: PostgresQueries,
      old: DeviceRow,
    ) => Promise<DeviceRow | 'not_allowed' | 'same' | undefined>,
  ): Promise<Changed> {
    return this.#database.transaction(async (sql) => {
      const held = `SELECT ${COLUMNS} FROM devices WHERE tenant = $1 AND id = $2 FOR UPDATE`
      const [old] = await sql.query<DeviceRow>(held, [tenant, id])
      if (old === undefined) return { kind: 'absent' }
      if (version !== undefined && version !== old.version) {
        return { kind: 'outdated', version: old.version }
      }
      const row = await write(sql, old)
      if (row === 'not_allowed') return { kind: 'not_allowed', from: stateIn(old) }
      if (row === 'same') return { kind: 'changed', device: deviceOf(old) }
      const [before, after] = [settingsOf(old), row && settingsOf(row)]
      await recordChange(sql, { tenant, by, action, subject: subjectOf(id), before, after })
      return { kind: 'changed', device: deviceOf(row ?? old) }
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
}

const subjectOf = (id: string): string => `device/${id}`

/** What people set, as the change log shows it. */
const settingsOf = ({ name, state, state_reason, clock_policy: clockPolicy }: DeviceRow) => ({
  ...{ name, state, clockPolicy },
  ...(state_reason === '' ? {} : { stateReason: state_reason }),
})

function deviceOf(row: DeviceRow): Device {
  const clockPolicy = clockPolicyOf(row.clock_policy)
  if (clockPolicy === undefined) {
    throw new Failure('internal', `unknown clock policy ${row.clock_policy}`)
  }
  return {
    id: row.id,
    name: row.name,
    state: stateIn(row),
    stateReason: row.state_reason,
    stateBy: row.state_by,
    stateAtMs: row.state_ms,
    clockPolicy,
    createdAtMs: row.created_ms,
    uid: row.uid,
    version: row.version,
  }
}

function stateIn(row: DeviceRow): DeviceState {
  const state = deviceStateOf(row.state)
  if (state === undefined) throw new Failure('internal', `unknown device state ${row.state}`)
  return state
}
