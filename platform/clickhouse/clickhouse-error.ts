/**
 * Errors of ClickHouse, sorted by what a caller does about them. Transient: the same rows may be
 * sent again, for as long as it takes. Permanent: they will be refused every time.
 */
import { Failure } from '../failure.ts'

/** Only what is wrong with the statement or the rows themselves; everything else may pass. */
const PERMANENT_SERVER_CODES: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  16, // NO_SUCH_COLUMN_IN_TABLE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  33, // CANNOT_READ_ALL_DATA: the rows end in the middle of a value
  41, // CANNOT_PARSE_DATETIME
  42, // NUMBER_OF_ARGUMENTS_DOESNT_MATCH
  43, // ILLEGAL_TYPE_OF_ARGUMENT
  44, // ILLEGAL_COLUMN
  46, // UNKNOWN_FUNCTION
  47, // UNKNOWN_IDENTIFIER
  50, // UNKNOWN_TYPE
  53, // TYPE_MISMATCH
  57, // TABLE_ALREADY_EXISTS
  62, // SYNTAX_ERROR
  72, // CANNOT_PARSE_NUMBER
  115, // UNKNOWN_SETTING
  117, // INCORRECT_DATA
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  456, // UNKNOWN_QUERY_PARAMETER
  457, // BAD_QUERY_PARAMETER
  469, // VIOLATED_CONSTRAINT: of a table that somebody added a rule to
])

export class ClickhouseError extends Failure {
  readonly kind: 'transient' | 'permanent'
  /** ClickHouse's own number; undefined when the server did not answer. */
  readonly serverCode: number | undefined

  constructor(message: string, serverCode: number | undefined, cause: unknown) {
    const permanent = serverCode !== undefined && PERMANENT_SERVER_CODES.has(serverCode)
    super(permanent ? 'internal' : 'unavailable', message, { cause })
    this.name = 'ClickhouseError'
    this.kind = permanent ? 'permanent' : 'transient'
    this.serverCode = serverCode
  }
}
