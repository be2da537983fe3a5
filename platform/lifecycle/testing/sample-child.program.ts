/**
 * A child for supervisor.test.ts: `sample-child.program.js ID JOURNAL BEHAVIOUR`. It appends what
 * happens to it to the journal, which is how a test sees the order across processes.
 *
 *   serve     ready at once, ends when asked        deaf      does not end when asked
 *   mute      never ready                           stall     ready, then busy for ever
 *   exit-N    ready, then ends with code N          early-N   ends with code N, never ready
 *   parent    as serve, with a child of its own
 *   will      as serve, and leaves two wills, of which it takes back one at once, one when asked to
 *             end; `stubborn` does neither end nor take back
 */
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'

const [id = '', journal = '', behaviour = 'serve'] = process.argv.slice(2)

function note(what: string): void {
  appendFileSync(journal, `${id} ${what}\n`)
}

function announce(): void {
  note('up')
  process.send?.({ type: 'ready', role: id, addresses: { self: id } })
  setInterval(() => process.send?.({ type: 'heartbeat', eventLoopDelayMs: 0 }), 20)
}

function leaveWills(): void {
  for (const name of ['kept', 'taken back']) {
    process.send?.({ type: 'last_will', id: name, will: { kind: name, details: { of: id } } })
  }
  process.send?.({ type: 'last_will', id: 'taken back', will: null })
}

function end(): void {
  note('down')
  if (behaviour === 'will') process.send?.({ type: 'last_will', id: 'kept', will: null })
  process.exit(0)
}

process.on('disconnect', end)
const deaf = behaviour === 'deaf' || behaviour === 'stubborn'
process.on('SIGTERM', () => (deaf ? note('deaf') : end()))
const [kind, code = '0'] = behaviour.split('-')
if (kind === 'early') process.exit(Number(code))
if (behaviour === 'will' || behaviour === 'stubborn') leaveWills()
if (kind === 'mute') setInterval(() => {}, 1_000)
else announce()
if (kind === 'exit') setTimeout(() => process.exit(Number(code)), 20)
if (kind === 'parent') {
  const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  note(`grandchild ${grandchild.pid ?? 0}`)
}
if (kind === 'stall') {
  setTimeout(() => {
    for (;;);
  }, 30)
}
