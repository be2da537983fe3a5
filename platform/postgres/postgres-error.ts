/**
 * Errors of Postgres, sorted by what a caller does about them: connection trouble becomes a
 * Failure that may be tried again; what a statement did wrong stays the driver's error, with its
 * five-character SQLSTATE.
 */
import { Failure } from '../failure.ts'

const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

/** Admin shutdown, crash shutdown, still starting, idle timeout; too many connections; cancelled. */
const PASSING_STATES: ReadonlySet<string> = new Set([
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '53300',
  '57014',
])

/** What the driver says without a code when a connection ends under it or cannot be had. */
const DRIVER_WORDS =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered|Query read timeout)/

/** The SQLSTATE (or system error code) of an error, if it has one. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Whether the same call may succeed once Postgres is reachable again. */
function isConnectionTrouble(error: unknown): boolean {
  const code = sqlStateOf(error)
  if (code !== undefined) {
    return NETWORK_CODES.has(code) || PASSING_STATES.has(code) || code.startsWith('08')
  }
  if (error instanceof AggregateError) return error.errors.some(isConnectionTrouble)
  return error instanceof Error && DRIVER_WORDS.test(error.message)
}

/** A Failure('unavailable') for connection trouble, any other error as it is. */
export function asFailure(error: unknown): unknown {
  if (error instanceof Failure || !isConnectionTrouble(error)) return error
  const reason = error instanceof Error && error.message !== '' ? error.message : sqlStateOf(error)
  return new Failure('unavailable', `Postgres is not reachable: ${reason}`, { cause: error })
}
