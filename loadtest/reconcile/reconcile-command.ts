/** `weir loadtest reconcile`: does what is stored match a ledger? Exit code 0 only if it does. */
import { EXIT } from '../../platform/lifecycle/exit-codes.ts'
import { commandWithOptions } from '../../platform/lifecycle/command-with-options.ts'
import { readLedger } from '../ledger.ts'
import { ProgressLine } from '../progress-line.ts'
import { printJson } from '../report.ts'
import { readStackFile } from '../stack-file.ts'
import { holds } from './compare.ts'
import { printVerdict, reconcile } from './reconcile.ts'

const OPTIONS = {
  stack: {
    kind: 'text',
    default: '.weir/local.json',
    doc: 'Description of the running system, as npm start writes it.',
  },
  ledger: { kind: 'text', placeholder: 'FILE', doc: 'Ledger that a load test wrote.' },
  limitS: {
    kind: 'integer',
    default: 120,
    min: 1,
    max: 86_400,
    unit: 's',
    doc: 'How long the pipeline may take to have counted everything.',
  },
  json: { kind: 'switch', default: false, doc: 'Print one JSON object as the last line.' },
} as const

export const reconcileCommand = commandWithOptions({
  name: 'loadtest reconcile',
  summary: 'compares a ledger with what is stored: lost, duplicated, invented, wrong rollups',
  options: OPTIONS,
  async run(options) {
    const progress = new ProgressLine()
    progress.show(() => `reconcile: ${options.ledger} against ${options.stack}`)
    try {
      const stack = readStackFile(options.stack)
      const ledger = await readLedger(options.ledger)
      const verdict = await reconcile({ stack, ledger, limitMs: options.limitS * 1000 })
      progress.stop()
      const ok = holds(verdict)
      printVerdict(verdict)
      if (options.json) printJson({ command: 'loadtest reconcile', ok, ...verdict })
      return ok ? EXIT.ok : EXIT.failed
    } finally {
      progress.stop()
    }
  },
})
