/**
 * Everything that can ask a process to end, as one promise, and what must end it at once.
 *
 *   SIGTERM, SIGINT, SIGHUP, supervisor's channel lost ->  `ending` resolves: drain, then exit 0
 *   a second signal, at least a second later           ->  exit now
 *   an uncaught exception or unhandled rejection       ->  log it and exit now
 *
 * A process that met a defect is in a state nobody thought of, so it never continues: what it had
 * not acknowledged is sent again to the one that replaces it.
 */
import type { Clock } from '../clock.ts'
import type { Logger } from '../observe/logger.ts'
import { EXIT } from './exit-codes.ts'

/** Ctrl-C reaches the whole process group and the supervisor signals as well: that is one wish. */
const SAME_WISH_MS = 1_000

export type ProcessEnding = Readonly<{
  /** Why the process was asked to end. */
  ending: Promise<string>
  /** Logs the defect and ends the process; never returns. */
  crash(message: string, error: unknown): never
}>

export function watchProcessEnding(logger: Logger, clock: Clock): ProcessEnding {
  function crash(message: string, error: unknown): never {
    logger.error(message, { error })
    process.exit(EXIT.failed)
  }
  process.on('uncaughtException', (error) => crash('uncaught exception', error))
  process.on('unhandledRejection', (error) => crash('unhandled rejection', error))

  const ending = new Promise<string>((resolve) => {
    let askedAtMs: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (askedAtMs === undefined) askedAtMs = clock.monotonicMs()
        else if (clock.monotonicMs() - askedAtMs > SAME_WISH_MS) exitNow(logger, signal)
        resolve(signal)
      })
    }
    process.once('disconnect', () => resolve('the supervisor is gone'))
  })
  return { ending, crash }
}

function exitNow(logger: Logger, signal: string): never {
  logger.warn('asked to end again: ending without finishing', { signal })
  process.exit(EXIT.failed)
}
