/**
 * What a supervisor knows of one child process: the child specification of OTP, for operating
 * system processes. Servers of the local stack and our own roles are described the same way.
 */
export type ChildSpec = Readonly<{
  id: string
  command: string
  args: readonly string[]
  env?: Readonly<Record<string, string>>
  cwd?: string
  /** Run as another user, as Postgres demands when we are root. */
  uid?: number
  gid?: number
  /** permanent: always restarted; transient: restarted unless it exits with 0; temporary: never. */
  restart: 'permanent' | 'transient' | 'temporary'
  /** What asks it to end, and how long it may take before SIGKILL. */
  shutdownSignal: 'SIGTERM' | 'SIGINT'
  shutdownMs: number
  /** Standard output and error are appended here; undefined: passed through to ours. */
  logFile?: string
  /**
   * ipc: the child is one of our roles; it sends `ready` and `heartbeat` messages (ipc-messages.ts).
   * probe: an ordinary program; `probe` resolves true once it serves.
   */
  readiness:
    | Readonly<{ kind: 'ipc' }>
    | Readonly<{ kind: 'probe'; probe: (pid: number) => Promise<boolean>; everyMs: number }>
  readyMs: number
}>

export type ChildState = 'starting' | 'ready' | 'backing_off' | 'stopping' | 'stopped' | 'failed'
export type ChildStatus = Readonly<{
  id: string
  state: ChildState
  pid: number | undefined
  restarts: number
  /** What the child announced with `ready`: admin and protocol URLs. Empty for probed programs. */
  addresses: Readonly<Record<string, string>>
}>
