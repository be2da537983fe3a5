/**
 * Fetches files from Maven Central through Maven itself, so that mirrors, proxies and checksums
 * are Maven's business. A folder appears only when it is complete.
 */
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type RunOptions, runProgram } from './run-program.ts'

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1'

/** Puts the artifacts (group:name:version) and all they depend on into `folder`. */
export async function downloadJars(
  artifacts: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  await inFreshFolder(folder, async (half, scratch) => {
    await writeFile(join(scratch, 'pom.xml'), pomOf(artifacts))
    await maven({ cwd: scratch, signal }, [
      `${PLUGIN}:copy-dependencies`,
      `-DoutputDirectory=${half}`,
    ])
  })
}

/** Fetches one tar.gz artifact (group:name:version:tar.gz:classifier) and unpacks it. */
export async function downloadArchive(
  artifact: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  await inFreshFolder(folder, async (half, scratch) => {
    await maven({ cwd: scratch, signal }, [
      `${PLUGIN}:copy`,
      `-Dartifact=${artifact}`,
      `-DoutputDirectory=${scratch}`,
    ])
    const archive = (await readdir(scratch)).find((name) => name.endsWith('.tar.gz'))
    if (archive === undefined) throw new Error(`Maven left no archive of ${artifact}`)
    await runProgram('tar', ['-xzf', join(scratch, archive), '-C', half], { signal })
  })
}

async function inFreshFolder(
  folder: string,
  fill: (half: string, scratch: string) => Promise<void>,
): Promise<void> {
  const parent = dirname(folder)
  await mkdir(parent, { recursive: true })
  const work = await mkdtemp(join(parent, `.${basename(folder)}-`))
  try {
    const half = join(work, 'files')
    const scratch = join(work, 'scratch')
    await mkdir(half)
    await mkdir(scratch)
    await fill(half, scratch)
    await rm(folder, { recursive: true, force: true })
    await rename(half, folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const maven = (options: RunOptions, args: readonly string[]): Promise<string> =>
  runProgram('mvn', ['-B', '-q', '-ntp', ...args], options)

function pomOf(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`
  })
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir.local</groupId><artifactId>servers</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>${dependencies.join('')}</dependencies>
</project>
`
}
