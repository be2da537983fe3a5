/** What a role tells its supervisor over the Node IPC channel. Losing the channel means: drain. */
export type RoleMessage =
  | { type: 'ready'; role: string; addresses: Record<string, string> }
  | { type: 'heartbeat'; eventLoopDelayMs: number }
