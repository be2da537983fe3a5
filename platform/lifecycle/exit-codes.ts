/** What a process of ours ends with. Scripts and supervisors may rely on these. */
export const EXIT = {
  /** What was asked for is done, or a running process was asked to end and did so in order. */
  ok: 0,
  /** A failure of the world, a broken promise of the command, or a defect. */
  failed: 1,
  /** The command line or the environment is not usable; nothing was started. */
  usage: 2,
} as const
