/**
 * What must be on the machine before the local servers can run, said in sentences that name what
 * is missing, what to do, and how to do without it.
 */
import { Failure } from '../platform/failure.ts'
import { runProgram } from './run-program.ts'

/** Which prerequisites the servers that we start ourselves have. */
export type Needs = Readonly<{ java: boolean; maven: boolean; clickhouse: boolean }>

export type MachineFacts = Readonly<{
  platform: string
  arch: string
  nodeMajor: number
  /** Undefined where there is no glibc, as on Alpine or macOS. */
  glibc: string | undefined
  /** Undefined when no `java` can be run. */
  javaMajor: number | undefined
  maven: boolean
}>

const JAVA_MAJOR_MIN = 17

/** Rejects with prerequisite_missing and one sentence for each thing that is missing. */
export async function requirePrerequisites(needs: Needs): Promise<void> {
  const missing = missingPrerequisites(needs, await machineFacts(needs))
  if (missing.length > 0) throw new Failure('prerequisite_missing', missing.join('\n'))
}

export function missingPrerequisites(needs: Needs, facts: MachineFacts): readonly string[] {
  const missing: string[] = []
  if (needs.java && (facts.javaMajor ?? 0) < JAVA_MAJOR_MIN) {
    const found = facts.javaMajor === undefined ? 'there is none' : `this is ${facts.javaMajor}`
    missing.push(
      `Kafka and the schema registry need Java ${JAVA_MAJOR_MIN} or newer, and ${found}: install it` +
        ' (Debian, Ubuntu: apt install openjdk-17-jre-headless), or use existing servers with' +
        ' --kafka-brokers and --registry-url.',
    )
  }
  if (needs.maven && !facts.maven) {
    missing.push(
      'Kafka and the schema registry are fetched by Maven, and there is no mvn: install it' +
        ' (Debian, Ubuntu: apt install maven), or use existing servers with --kafka-brokers and' +
        ' --registry-url.',
    )
  }
  if (needs.clickhouse && (facts.platform !== 'linux' || facts.arch !== 'x64')) {
    missing.push(
      `The embedded ClickHouse runs on Linux on x64 only, and this is ${facts.platform} on` +
        ` ${facts.arch}: use an existing server with --clickhouse-url.`,
    )
  }
  const glibcMin = facts.nodeMajor >= 22 ? '2.38' : '2.27'
  if (facts.platform === 'linux' && !reaches(facts.glibc, glibcMin)) {
    const found = facts.glibc === undefined ? 'this system has none' : `this is ${facts.glibc}`
    const way = facts.nodeMajor >= 22 ? 'use Node.js 20 or a newer system' : 'use a newer system'
    missing.push(
      `uWebSockets.js needs glibc ${glibcMin} or newer under Node.js ${facts.nodeMajor}, and ${found}: ${way}.`,
    )
  }
  return missing
}

function reaches(version: string | undefined, least: string): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number)
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number)
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
}

async function machineFacts(needs: Needs): Promise<MachineFacts> {
  const [java, maven] = await Promise.all([
    needs.java ? runProgram('java', ['-version']).catch(() => '') : '',
    needs.maven ? runProgram('mvn', ['-version']).catch(() => undefined) : '',
  ])
  return {
    platform: process.platform,
    arch: process.arch,
    nodeMajor: Number(process.versions.node.split('.')[0]),
    glibc: glibcVersion(),
    javaMajor: javaMajorOf(java),
    maven: maven !== undefined,
  }
}

/** The major version in what `java -version` prints: "17.0.15", or "1.8.0_292" for Java 8. */
export function javaMajorOf(printed: string): number | undefined {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(printed) ?? []
  if (first === undefined) return undefined
  return first === '1' && second !== undefined ? Number(second) : Number(first)
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport()
  if (typeof report !== 'object' || report === null || !('header' in report)) return undefined
  const { header } = report
  if (typeof header !== 'object' || header === null) return undefined
  if (!('glibcVersionRuntime' in header)) return undefined
  return String(header.glibcVersionRuntime)
}
