/** Who asks, put together: the keys, the news that they changed, and the notes of their use. */
import type { ApiKeyStore } from '../../devices/access/api-key-store.ts'
import { keyUses } from '../../devices/access/key-uses.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Service } from '../../platform/lifecycle/service.ts'
import type { Logger } from '../../platform/observe/logger.ts'
import type { Postgres } from '../../platform/postgres/postgres.ts'
import { PostgresListener } from '../../platform/postgres/postgres-listener.ts'
import { Authenticator } from './authenticator.ts'

/** The channel of migrations/postgres/0003_access.sql. */
const CHANNEL = 'access_changed'

type Access = Readonly<{ authenticator: Authenticator; services: readonly Service[] }>

export function openAccess(
  given: Readonly<{
    postgres: Postgres
    postgresUrl: string
    keys: ApiKeyStore
    logger: Logger
    clock: Clock
  }>,
): Access {
  const { postgres, postgresUrl: url, keys, logger, clock } = given
  const uses = keyUses(postgres, { logger, clock })
  const changes = new PostgresListener({
    ...{ url, applicationName: 'weir-api-access', logger, clock, channels: [CHANNEL] },
    onNotification: () => authenticator.forget(),
    onListening: () => authenticator.forget(),
  })
  const authenticator = new Authenticator({
    ...{ keys, clock },
    hears: () => changes.notReady() === undefined,
    used: (principal) => uses.note(principal),
  })
  return { authenticator, services: [uses, unheard(changes)] }
}

/** While changes are not heard keys are asked for more often: the api is ready all the same. */
const unheard = (changes: PostgresListener): Service => ({
  ...{ name: 'access-changes', failure: changes.failure },
  start: () => changes.start(),
  drain: () => changes.drain(),
})
