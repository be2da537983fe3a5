/** Prints the steps of a start for people: what begins, what is done and how long it took. */
import type { Progress } from './server-place.ts'

export const progressPrinter =
  (write: (line: string) => void): Progress =>
  (step) => {
    switch (step.kind) {
      case 'start':
        return write(`  ...  ${step.what}\n`)
      case 'done':
        return write(`${seconds(step.tookMs)}  ${step.what}\n`)
      case 'note':
        return write(`    !  ${step.what}\n`)
    }
  }

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`.padStart(5)
