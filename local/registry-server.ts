/**
 * Apicurio Registry with its files in an embedded H2 database, from Maven Central. We speak its
 * Confluent-compatible API only, so any registry with that API can stand in its place.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChildSpec } from '../platform/lifecycle/child-spec.ts'
import { downloadArchive } from './maven-download.ts'
import { probed, type ServerPlace, withProgress } from './server-place.ts'

const APICURIO_VERSION = '2.6.13.Final'
const RUNNER = `apicurio-registry-app-${APICURIO_VERSION}-runner.jar`

export const registryUrlOf = (at: Readonly<{ host: string; port: number }>): string =>
  `http://${at.host}:${at.port}/apis/ccompat/v7`

/** Where its program lies once it is fetched. */
export const registryHome = (serversDir: string): string =>
  join(serversDir, `apicurio-${APICURIO_VERSION}`)

/** Fetches the registry if it is not there and says how to run it. */
export async function registryServer(place: ServerPlace): Promise<ChildSpec> {
  const home = registryHome(place.serversDir)
  if (!existsSync(home)) {
    const artifact = `io.apicurio:apicurio-registry-app:${APICURIO_VERSION}:tar.gz:all`
    const what = `download Apicurio Registry ${APICURIO_VERSION} (142 MB)`
    await withProgress(place.onProgress, what, () => downloadArchive(artifact, home, place.signal))
  }
  await mkdir(place.dataDir, { recursive: true })
  return {
    id: 'registry',
    command: 'java',
    args: [
      '-Xmx300m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      `-Dquarkus.http.host=${place.host}`,
      `-Dquarkus.http.port=${place.port}`,
      `-Dquarkus.datasource.jdbc.url=jdbc:h2:file:${join(place.dataDir, 'registry')}`,
      '-jar',
      join(home, RUNNER),
    ],
    cwd: home,
    restart: 'permanent',
    shutdownSignal: 'SIGTERM',
    shutdownMs: 10_000,
    logFile: place.logFile,
    readiness: probed(() => serves(place)),
    readyMs: 60_000,
  }
}

async function serves(at: Readonly<{ host: string; port: number }>): Promise<boolean> {
  try {
    const response = await fetch(`${registryUrlOf(at)}/subjects`, {
      signal: AbortSignal.timeout(2000),
    })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false // Not listening yet: being asked again is the point of a probe.
  }
}
