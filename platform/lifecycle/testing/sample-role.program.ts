/**
 * A role for run-role.test.ts and supervisor.test.ts, run as a real process. What goes wrong, and
 * where, is chosen by option; every service says on standard output what is asked of it.
 */
import { createServer } from 'node:net'
import type { OptionTable } from '../../config/options.ts'
import { Failure } from '../../failure.ts'
import { listenFailure } from '../../http/listen-failure.ts'
import type { Role } from '../role.ts'
import { runRole } from '../run-role.ts'
import type { Service } from '../service.ts'

const SAMPLE_OPTIONS = {
  samplePort: { kind: 'integer', default: 0, min: 0, max: 65_535, doc: 'Port to listen on.' },
  trouble: {
    kind: 'choice',
    choices: [
      'none',
      'failure',
      'bug',
      'dies',
      'throws',
      'rejects',
      'stalls',
      'slow',
      'stuck',
      'still',
    ],
    default: 'none',
    doc: 'What goes wrong.',
  },
  samplePassword: { kind: 'text', default: '', secret: true, doc: 'Must never be logged.' },
} as const satisfies OptionTable

type Trouble = (typeof SAMPLE_OPTIONS.trouble.choices)[number]

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

function listener(port: number): Service {
  const server = createServer()
  return {
    name: 'listener',
    failure: new Promise(() => {}),
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', (error) =>
          reject(listenFailure(error, { host: '127.0.0.1', port, option: 'samplePort' })),
        )
        server.listen(port, '127.0.0.1', () => {
          say('listener started')
          resolve()
        })
      }),
    drain: async () => {
      say('listener drained')
      server.close()
    },
    notReady: () => 'waiting for a friend',
  }
}

function troubled(trouble: Trouble): Service {
  let die: (error: Error) => void = () => {}
  const failure = new Promise<never>((_resolve, reject) => {
    die = reject
  })
  return {
    name: 'troubled',
    failure,
    async start() {
      if (trouble === 'failure') throw new Failure('unavailable', 'The moon is not reachable.')
      if (trouble === 'bug') throw new TypeError('a bug')
      say('troubled started')
      setTimeout(() => misbehave(trouble, die), 50)
    },
    stalled: () => (trouble === 'still' ? 'nothing moves' : undefined),
    async drain() {
      if (trouble === 'stuck') await new Promise(() => {})
      say('troubled drained')
    },
  }
}

function misbehave(trouble: Trouble, die: (error: Error) => void): void {
  if (trouble === 'dies') die(new Error('the service died'))
  if (trouble === 'throws') throw new Error('nobody caught this')
  if (trouble === 'rejects') void Promise.reject(new Error('nobody awaited this'))
  if (trouble === 'stalls') for (;;);
}

const sampleRole: Role<typeof SAMPLE_OPTIONS> = {
  name: 'sample',
  summary: 'A role for tests.',
  options: SAMPLE_OPTIONS,
  check: ({ trouble, samplePort }) =>
    trouble === 'none' && samplePort === 1 ? ['--sample-port 1 needs --trouble.'] : [],
  async build({ options, logger, wills }) {
    wills?.declare('greeting', { kind: 'say', details: { text: 'goodbye' } })
    logger.info('building', { password: options.samplePassword })
    return {
      services: [listener(options.samplePort), troubled(options.trouble)],
      addresses: () => ({ sample: 'tcp://sample' }),
    }
  },
}

process.exit(await runRole(sampleRole, { argv: process.argv.slice(2), env: process.env }))
