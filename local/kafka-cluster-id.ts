/** The name of a new Kafka cluster: 16 bytes in base64url, as Kafka's own tool makes them. */
import { randomBytes } from 'node:crypto'

/**
 * Never begins with `-`: the storage tool would take that for an option and refuse to format. One
 * bit is given up for it, so the first character is always a letter.
 */
export function clusterIdOf(bytes: Uint8Array): string {
  const id = Buffer.from(bytes)
  id[0] = (id[0] ?? 0) & 0x7f
  return id.toString('base64url')
}

export const newClusterId = (): string => clusterIdOf(randomBytes(16))
