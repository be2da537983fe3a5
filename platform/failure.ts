/** The one kind of error that callers tell apart, and the mark of what cannot happen. */
import { FAILURE_CODES, type FailureCode } from './failure-codes.ts'

/**
 * An expected failure of the world (a port, a server, a request), as opposed to a bug. The code
 * says what happened in one word that programs may rely on; the message says it to people, and
 * names the option or the field that would change it.
 */
export class Failure extends Error {
  readonly code: FailureCode

  constructor(code: FailureCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Failure'
    this.code = code
  }

  /** Whether the very same attempt can succeed later. */
  get retry(): 'never' | 'later' {
    return FAILURE_CODES[this.code].retry
  }

  /** The HTTP status the api answers with. */
  get status(): number {
    return FAILURE_CODES[this.code].status
  }
}

/** Closes an exhaustive switch: the compiler refuses the call while a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}
