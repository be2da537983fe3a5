/** When the credentials of devices were last used, to within a minute. */
import type { Clock } from '../platform/clock.ts'
import { LastUses } from '../platform/lifecycle/last-uses.ts'
import type { Logger } from '../platform/observe/logger.ts'
import type { PostgresDevices } from './device-directory-postgres.ts'

const EVERY_MS = 60_000

/** Takes the `credential` of an Authentication: the hash of its secret, in base64url. */
export const credentialUses = (
  devices: Pick<PostgresDevices, 'noteUses'>,
  given: Readonly<{ logger: Logger; clock: Clock; everyMs?: number }>,
): LastUses<string> =>
  new LastUses({
    ...{ name: 'credential-uses', everyMs: EVERY_MS, ...given },
    keyOf: (credential) => credential,
    write: (uses) =>
      devices.noteUses(
        uses.map(({ used, atMs }) => ({ secretHash: Buffer.from(used, 'base64url'), atMs })),
      ),
  })
