/**
 * The life of a device: which state may follow which, and what each of them permits. This table is
 * the one that docs/LIFECYCLE.md publishes and every protocol enforces.
 */
import { DEVICE_STATES, type DeviceState } from './device.ts'

/** What a device may do, or what is done with what it says. */
export const ACTS = ['connect', 'publish', 'commands', 'rotate', 'counted'] as const
export type Act = (typeof ACTS)[number]

const NOTHING: ReadonlySet<Act> = new Set()
const PERMITS: Readonly<Record<DeviceState, ReadonlySet<Act>>> = {
  pending: NOTHING,
  active: new Set(ACTS),
  suspended: NOTHING,
  // It speaks, and may get another secret, but nobody counts on what it says.
  quarantined: new Set<Act>(['connect', 'publish', 'rotate']),
  retired: NOTHING,
}

const FOLLOWS: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
  pending: ['active', 'retired'],
  active: ['suspended', 'quarantined', 'retired'],
  suspended: ['active', 'quarantined', 'retired'],
  quarantined: ['active', 'suspended', 'retired'],
  retired: [],
}

export const permits = (state: DeviceState, act: Act): boolean => PERMITS[state].has(act)

export const mayFollow = (from: DeviceState, to: DeviceState): boolean => FOLLOWS[from].includes(to)

/** The states that may follow, for a sentence. */
export const followers = (from: DeviceState): readonly DeviceState[] =>
  DEVICE_STATES.filter((state) => mayFollow(from, state))
