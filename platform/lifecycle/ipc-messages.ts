import type { LastWill } from './last-will.ts'

/** What a role tells its supervisor over the Node IPC channel. Losing the channel means: drain. */
export type RoleMessage =
  | { type: 'ready'; role: string; addresses: Record<string, string> }
  | { type: 'heartbeat'; eventLoopDelayMs: number }
  | { type: 'last_will'; id: string; will: LastWill | null }
