/** The pipeline as a process of its own, for tests that kill it and measurements that weigh it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Deployment } from './stack-deployment.ts'

/** The role as an operating system process; resolves when it says that it is ready. */
export async function startChild(
  { argv }: Pick<Deployment, 'argv'>,
  execArgv: readonly string[] = [],
): Promise<ChildProcess> {
  const weir = join(import.meta.dirname, '..', '..', 'cli', 'weir.js')
  const child = spawn(process.execPath, [...execArgv, weir, 'pipeline', ...argv], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      if (typeof message === 'object' && 'type' in message && message.type === 'ready') resolve()
    })
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${said}`)))
  })
  return child
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
