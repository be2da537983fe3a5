/** Who may do what, and who changed what. */

export type Role = 'viewer' | 'operator' | 'admin'

/** GET /v1/keys/{name}. Its secret is never shown again. */
export type Key = {
  name: string
  role: Role
  /** Permissions; absent: all that the role has. */
  scopes?: string[]
  createdAt: number
  /** Absent: it does not. */
  expiresAt?: number
  /** To within a minute; absent: never. */
  lastUsedAt?: number
  /** Until when the secret before the last rotation works on; absent: it does not. */
  formerUntil?: number
}
/** POST /v1/keys */
export type NewKey = { name: string; role?: Role; scopes?: string[]; expiresAt?: number }
/** POST /v1/keys/{name}:rotate */
export type KeyRotation = { overlapSeconds?: number }
/** The secret appears in this answer only. */
export type ShownKey = { key: Key; secret: string }
export type KeyList = { items: Key[]; next: string | null }

/** GET /v1/changes, newest first. */
export type Change = {
  id: number
  at: number
  /** `key:NAME`, or `system` where the deployment itself did it. */
  actor: string
  address: string
  action: string
  subject: string
  /** What was set before, and after; absent where there was nothing. */
  before?: unknown
  after?: unknown
}
export type ChangeList = { items: Change[]; next: string | null }
