/**
 * Device secrets: how they are made, how they are kept, and the username that goes with them.
 *
 * A secret is random, never chosen by a person, so a slow hash would add nothing: it is stored as
 * HMAC-SHA-256 under the deployment's `credentialKey`. Whoever steals the table alone can neither
 * use it nor test guesses against it. Looking a secret up by its HMAC is also what keeps "no such
 * device" and "wrong secret" indistinguishable: both are one miss on the same index.
 */
import { createHmac, randomBytes } from 'node:crypto'

/** Lets secret scanners and people recognise a leaked device secret. */
export const SECRET_PREFIX = 'weirdev_'
const SECRET_BYTES = 24

/** A fresh secret: the prefix and 192 random bits in base64url. Shown once, never stored. */
export function newSecret(): string {
  return SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64url')
}

/** What is stored in place of a secret: 32 bytes. `secret` is taken as the bytes a device sends. */
export function secretHash(credentialKey: string, secret: string | Uint8Array): Buffer {
  return createHmac('sha256', credentialKey).update(secret).digest()
}

/** The username of a device, unique over the deployment. Neither part can contain an `@`. */
export const usernameOf = (tenant: string, device: string): string => `${device}@${tenant}`
