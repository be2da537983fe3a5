/** An operator at a shell: `weir dlq …` and the like as processes of their own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Deployment } from '../../testing/stack-deployment.ts'

export type Said = Readonly<{ status: number | null; text: string; json: Record<string, unknown> }>

/** Runs a command against the deployment, with --json; `json` is the last line of its output. */
export async function operator(deployment: Deployment, words: readonly string[]): Promise<Said> {
  const weir = join(import.meta.dirname, '..', '..', '..', 'cli', 'weir.js')
  const argv = [weir, ...words, '--json', '--stack', describedIn(deployment)]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: {} })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  const json = last.startsWith('{') ? (JSON.parse(last) as Record<string, unknown>) : {}
  return { status: child.exitCode, text, json }
}

/** The file that says where the deployment is, as `npm start` writes it. */
export function describedIn({ argv, prefix }: Deployment): string {
  const option = (name: string): string => argv[argv.indexOf(name) + 1] ?? ''
  const path = join(dirname(option('--schema-ids-file')), 'local.json')
  const stack = {
    kafka: { brokers: option('--kafka-brokers').split(','), topicPrefix: prefix },
    registry: { url: option('--registry-url') },
    clickhouse: { url: option('--clickhouse-url'), database: option('--clickhouse-database') },
  }
  writeFileSync(path, JSON.stringify(stack))
  return path
}
