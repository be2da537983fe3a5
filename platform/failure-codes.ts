/**
 * Every error code that a program or a person can meet, in one list. `status` is the HTTP status
 * the api answers with; `retry` says whether the very same request can succeed later.
 * docs/ERRORS.md explains each one, and a test holds the two together.
 */
export const FAILURE_CODES = {
  config_invalid: { status: 500, retry: 'never', title: 'The configuration is not usable' },
  prerequisite_missing: { status: 500, retry: 'never', title: 'A program this needs is missing' },
  port_taken: { status: 500, retry: 'never', title: 'A port is taken by another program' },
  already_running: { status: 500, retry: 'never', title: 'It runs already' },
  unavailable: { status: 503, retry: 'later', title: 'A part this needs is not reachable' },
  overloaded: { status: 503, retry: 'later', title: 'Too much work is waiting' },
  shutting_down: { status: 503, retry: 'later', title: 'This process is shutting down' },
  internal: { status: 500, retry: 'later', title: 'A defect on our side' },
  unauthenticated: { status: 401, retry: 'never', title: 'No valid API key was given' },
  forbidden: { status: 403, retry: 'never', title: 'The key does not permit this' },
  not_found: { status: 404, retry: 'never', title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, retry: 'never', title: 'The method is not offered here' },
  request_invalid: { status: 400, retry: 'never', title: 'The request is not well formed' },
  payload_too_large: { status: 413, retry: 'never', title: 'The body is larger than the limit' },
  device_not_found: { status: 404, retry: 'never', title: 'No such device' },
  device_exists: { status: 409, retry: 'never', title: 'A device with this id exists' },
  version_conflict: { status: 412, retry: 'never', title: 'It was changed meanwhile' },
  state_conflict: { status: 409, retry: 'never', title: 'This state may not follow' },
  credential_not_found: { status: 404, retry: 'never', title: 'No such credential' },
  credential_exists: {
    status: 409,
    retry: 'never',
    title: 'A credential with this name exists',
  },
  key_not_found: { status: 404, retry: 'never', title: 'No such key' },
  key_exists: { status: 409, retry: 'never', title: 'A key with this name exists' },
  cursor_invalid: { status: 400, retry: 'never', title: 'The cursor is not one we gave out' },
  schema_incompatible: { status: 500, retry: 'never', title: 'A schema breaks compatibility' },
  migration_conflict: {
    status: 500,
    retry: 'never',
    title: 'The database and the migrations differ',
  },
  media_type_unsupported: {
    status: 415,
    retry: 'never',
    title: 'The body is of a type not read here',
  },
  limit_exceeded: { status: 400, retry: 'never', title: 'More was asked for than the limit' },
} as const satisfies Record<string, FailureCodeSpec>

export type FailureCodeSpec = Readonly<{ status: number; retry: 'never' | 'later'; title: string }>
export type FailureCode = keyof typeof FAILURE_CODES
