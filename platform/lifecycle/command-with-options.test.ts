import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failure } from '../failure.ts'
import { commandOfCommands, commandWithOptions } from './command-with-options.ts'

const command = commandWithOptions({
  name: 'sample',
  summary: 'is a sample',
  options: { size: { kind: 'integer', default: 1, min: 1, max: 9, doc: 'A size.' } },
  run: ({ size }) => {
    if (size === 8) throw new Failure('config_invalid', 'eight is too many')
    if (size === 9) throw new Failure('unavailable', 'nobody answers')
    return Promise.resolve(size === 2 ? 1 : 0)
  },
})

describe('a command with options', () => {
  it('ends with what its work gives', async () => {
    assert.equal(await command.run([], {}), 0)
    assert.equal(await command.run(['--size', '2'], {}), 1)
    assert.equal(await command.run([], { WEIR_SIZE: '2' }), 1)
  })

  it('refuses a command line that is not usable, with 2', async () => {
    for (const argv of [['--size', '10'], ['--size'], ['--sizes', '1'], ['extra']]) {
      assert.equal(await command.run(argv, {}), 2, argv.join(' '))
    }
  })

  it('tells a failure of the world in one sentence', async () => {
    assert.equal(await command.run(['--size', '8'], {}), 2)
    assert.equal(await command.run(['--size', '9'], {}), 1)
  })

  it('shows its help', async () => {
    assert.equal(await command.run(['--help'], {}), 0)
  })
})

describe('a command of commands', () => {
  const chooser = commandOfCommands({
    name: 'many',
    summary: 'has many',
    commands: { one: command },
  })

  it('runs the one that is named', async () => {
    assert.equal(await chooser.run(['one', '--size', '2'], {}), 1)
  })

  it('refuses a name that it does not have, and none at all', async () => {
    assert.equal(await chooser.run(['two'], {}), 2)
    assert.equal(await chooser.run(['toString'], {}), 2)
    assert.equal(await chooser.run([], {}), 2)
    assert.equal(await chooser.run(['--help'], {}), 0)
  })
})
