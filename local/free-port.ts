/**
 * Ports for servers that only we talk to: chosen once, remembered beside the data, chosen anew
 * when another program has taken one meanwhile. Kafka tells clients its own address, so a port
 * that stays is worth something.
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { readFile, rename, writeFile } from 'node:fs/promises'

/** Below the range that systems hand out for outgoing connections, which come and go. */
const FIRST = 20_000
const LAST = 31_999

/** Whether nobody listens there at this moment. */
export async function isFree(host: string, port: number): Promise<boolean> {
  return (await whyNotFree(host, port)) === undefined
}

/** What the system says to somebody who would listen there; nothing if it lets them. */
export function whyNotFree(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

/** Keeps remembered ports that are free and fills in the others. */
export async function rememberedPorts<K extends string>(
  file: string,
  host: string,
  names: readonly K[],
): Promise<Record<K, number>> {
  const remembered = await readPorts(file)
  const chosen = new Map<K, number>()
  for (const name of names) {
    let port = remembered[name]
    while (
      port === undefined ||
      [...chosen.values()].includes(port) ||
      !(await isFree(host, port))
    ) {
      port = randomInt(FIRST, LAST + 1)
    }
    chosen.set(name, port)
  }
  // Each name was set in the loop above, which the compiler cannot see.
  const ports = Object.fromEntries(chosen) as Record<K, number>
  await writeFile(`${file}.half`, `${JSON.stringify(ports, undefined, 2)}\n`)
  await rename(`${file}.half`, file)
  return ports
}

async function readPorts(file: string): Promise<Record<string, number>> {
  try {
    const json: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof json !== 'object' || json === null) return {}
    return Object.fromEntries(Object.entries(json).filter(([, port]) => Number.isInteger(port)))
  } catch {
    return {} // None yet, or cut short by a crash: ports can always be chosen anew.
  }
}
