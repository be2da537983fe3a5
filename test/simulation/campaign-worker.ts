/** Runs every n-th schedule of a campaign in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { type CampaignResult, programWith, runCampaign } from './campaign.ts'
import { forgetCopies } from './modules.ts'
import { mutantNamed } from './mutants.ts'

export type WorkerOrder = Readonly<{
  fromSeed: number
  schedules: number
  stride: number
  mutant: string | undefined
}>
export type WorkerReport =
  | Readonly<{ kind: 'progress'; done: number }>
  | Readonly<{ kind: 'result'; result: CampaignResult }>

const PROGRESS_EVERY = 50

// The one who starts the thread writes it so.
const { mutant, ...order } = workerData as WorkerOrder
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has none
const report = (message: WorkerReport): void => parentPort?.postMessage(message)
const program = await programWith(mutant === undefined ? undefined : mutantNamed(mutant))
try {
  const progress = (done: number): void => {
    if (done % PROGRESS_EVERY === 0) report({ kind: 'progress', done })
  }
  const result = await runCampaign({ program, ...order, progress })
  report({ kind: 'result', result })
} finally {
  forgetCopies()
}
