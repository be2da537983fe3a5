/** An operator at a shell: `weir dlq …` and `weir reprocess …` as processes of their own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Deployment } from '../../testing/stack-deployment.ts'

const KAFKA_FLAGS = ['--kafka-brokers', '--topic-prefix', '--registry-url', '--schema-ids-file']
const TABLE_FLAGS = ['--clickhouse-url', '--clickhouse-database']

export type Said = Readonly<{ status: number | null; text: string; json: Record<string, unknown> }>

/** Runs a command against the deployment, with --json; `json` is the last line of its output. */
export async function operator(deployment: Deployment, words: readonly string[]): Promise<Said> {
  const flags = words[0] === 'reprocess' ? [...KAFKA_FLAGS, ...TABLE_FLAGS] : KAFKA_FLAGS
  const { argv } = deployment
  const own = argv.flatMap((word, at) => (flags.includes(word) ? [word, argv[at + 1] ?? ''] : []))
  const weir = join(import.meta.dirname, '..', '..', '..', 'cli', 'weir.js')
  const child = spawn(process.execPath, [weir, ...words, '--json', ...own], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(child, 'close')
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  const json = last.startsWith('{') ? (JSON.parse(last) as Record<string, unknown>) : {}
  return { status: child.exitCode, text, json }
}
