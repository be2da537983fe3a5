/** When keys were last used, to within a minute: whoever cleans up sees which are dead. */
import type { Clock } from '../../platform/clock.ts'
import { LastUses } from '../../platform/lifecycle/last-uses.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { PostgresQueries } from '../../platform/postgres/postgres.ts'
import type { Principal } from './permission.ts'

const EVERY_MS = 60_000

export const keyUses = (
  database: PostgresQueries,
  given: Readonly<{ logger: Logger; clock: Clock; everyMs?: number }>,
): LastUses<Principal> =>
  new LastUses({
    ...{ name: 'key-uses', everyMs: EVERY_MS, ...given },
    keyOf: ({ tenant, name }) => `${tenant}/${name}`,
    write: async (uses) => {
      await database.query(
        `UPDATE api_keys k SET last_used_at = to_timestamp(u.at_ms / 1000)
         FROM unnest($1::text[], $2::text[], $3::double precision[]) AS u (tenant, name, at_ms)
         WHERE k.tenant = u.tenant AND 'key:' || k.name = u.name`,
        [
          uses.map(({ used }) => used.tenant),
          uses.map(({ used }) => used.name),
          uses.map(({ atMs }) => atMs),
        ],
      )
    },
  })
