/**
 * ClickHouse from the npm package of chDB: the real server's HTTP and TCP handlers, in a child
 * process. It has no users, so it must listen on loopback only.
 */
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { probed, type ServerPlace } from './server-place.ts'

export type ClickhousePlace = ServerPlace & Readonly<{ tcpPort: number }>

/** Says how to run ClickHouse; its library came with npm. */
export async function clickhouseServer(place: ClickhousePlace): Promise<ChildSpec> {
  await mkdir(place.dataDir, { recursive: true })
  const packageJson = createRequire(import.meta.url).resolve('@chdb/lib-linux-x64-gnu/package.json')
  return {
    id: 'clickhouse',
    command: process.execPath,
    args: [
      join(import.meta.dirname, 'clickhouse-child.js'),
      join(dirname(packageJson), 'libchdb.so'),
      place.dataDir,
      place.host,
      String(place.port),
      String(place.tcpPort),
    ],
    // Days begin at midnight UTC, wherever the machine stands.
    env: { TZ: 'UTC' },
    cwd: place.dataDir,
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 5000,
    logFile: place.logFile,
    readiness: probed(() => serves(place)),
    readyMs: 30_000,
  }
}

async function serves(at: Readonly<{ host: string; port: number }>): Promise<boolean> {
  try {
    const url = `http://${at.host}:${at.port}/ping`
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    return response.ok && (await response.text()).startsWith('Ok')
  } catch {
    return false // Not listening yet: being asked again is the point of a probe.
  }
}
