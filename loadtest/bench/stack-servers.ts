/** Finds the processes of a running system by the ports that its description names. */
import { readFileSync } from 'node:fs'
import { Failure } from '../../platform/failure.ts'
import type { Servers } from './measured-round.ts'
import { pidListeningOn } from './process-cpu.ts'

const PARTS = [
  { name: 'connector', path: ['mqtt'], defaultPort: 1883 },
  { name: 'kafka', path: ['kafka', 'brokers', '0'], defaultPort: 9092 },
  { name: 'pipeline', path: ['admin', 'pipeline'], defaultPort: 80 },
  { name: 'clickhouse', path: ['clickhouse'], defaultPort: 8123 },
  { name: 'api', path: ['api'], defaultPort: 80 },
] as const

/** Those that `needed` names must be there; the others are left out where they cannot be seen. */
export function serversOf(stackPath: string, needed: readonly string[]): Servers {
  const stack: unknown = JSON.parse(readFileSync(stackPath, 'utf8'))
  const servers = new Map<string, number>()
  for (const { name, path, defaultPort } of PARTS) {
    const part = path.reduce(member, stack)
    const address = member(part, 'url') ?? part
    const pid =
      typeof address === 'string' ? pidListeningOn(portOf(address, defaultPort)) : undefined
    if (pid !== undefined) servers.set(name, pid)
    else if (needed.includes(name)) {
      throw new Failure(
        'unavailable',
        `no process of this machine serves ${path.join('.')} of ${stackPath}`,
      )
    }
  }
  return servers
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined

function portOf(address: string, defaultPort: number): number {
  const port = /:(\d+)(?:\/|$)/.exec(address)?.[1]
  return port === undefined ? defaultPort : Number(port)
}
