/**
 * A command of the `weir` binary that is not a role: it does its work and ends. The number that
 * `run` resolves to is the exit code (exit-codes.ts); 0 only when what the command promises holds.
 */
export type Command = Readonly<{
  name: string
  /** One line for `weir --help`. */
  summary: string
  /** `argv` starts after the command's own name. */
  run(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>): Promise<number>
}>
