/** What a device is to us: its id, its states. */

export const DEVICE_STATES = ['pending', 'active', 'suspended', 'quarantined', 'retired'] as const
export type DeviceState = (typeof DEVICE_STATES)[number]

/**
 * What becomes of a message whose times cannot be believed, because the device's clock is wrong:
 * refused (a dead letter), or moved as a whole to the time at which it was received.
 */
export const CLOCK_POLICIES = ['reject', 'restamp'] as const
export type ClockPolicy = (typeof CLOCK_POLICIES)[number]

export type Device = Readonly<{
  id: string
  name: string
  state: DeviceState
  /** Why it is in its state, who put it there, and when. */
  stateReason: string
  stateBy: string
  stateAtMs: number
  clockPolicy: ClockPolicy
  createdAtMs: number
  /** Tells apart devices that had one id one after the other. */
  uid: string
  /** Counts changes; the first is 1. */
  version: number
}>

/**
 * The rule of devices.id in the database. No slash, because keys are `tenant/device`; no leading
 * punctuation, because ids appear in topics, where `$` and `+` mean something.
 */
export const DEVICE_ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'
const TENANT_ID_PATTERN = '^[a-z0-9][a-z0-9-]{0,62}$'
export const DEVICE_NAME_CHARS_MAX = 256
export const STATE_REASON_CHARS_MAX = 256

const DEVICE_ID = new RegExp(DEVICE_ID_PATTERN)
const TENANT_ID = new RegExp(TENANT_ID_PATTERN)

export const isDeviceId = (text: string): boolean => DEVICE_ID.test(text)
export const isTenantId = (text: string): boolean => TENANT_ID.test(text)

/** A policy as the database gave it; undefined for a word this version does not know. */
export function clockPolicyOf(text: string): ClockPolicy | undefined {
  return CLOCK_POLICIES.find((policy) => policy === text)
}

/** A state as the database gave it; undefined for a word this version does not know. */
export function deviceStateOf(text: string): DeviceState | undefined {
  return DEVICE_STATES.find((state) => state === text)
}
