/** The credentials of a device. */

export type DeviceCredential = {
  name: string
  /** What the device sends as its username; the secret is its password. */
  username: string
  createdAt: number
  /** It works from then on; absent: from the beginning. */
  notBefore?: number
  /** It works until then; absent: without an end. */
  notAfter?: number
  /** To within a minute; absent: never. */
  lastUsedAt?: number
  /** Until when the secret before the last rotation works on; absent: it does not. */
  formerUntil?: number
}
/** POST /v1/devices/{id}/credentials */
export type NewCredential = { name: string; notBefore?: number; notAfter?: number }
/** POST /v1/devices/{id}/credentials/{name}/rotate */
export type CredentialRotation = { overlapSeconds?: number }
/** The secret appears in this answer only. */
export type ShownCredential = { credential: DeviceCredential; secret: string }
export type CredentialList = { items: DeviceCredential[] }
