import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { LedgerWriter, readLedger } from './ledger.ts'

const folder = mkdtempSync(join(tmpdir(), 'weir-ledger-'))
after(() => rmSync(folder, { recursive: true }))
const HEADER = { ledger: 1, prefix: 'd', seed: 's', startedAtMs: 1 } as const

describe('the ledger', () => {
  it('gives back what was sent and what of it was acknowledged', async () => {
    const path = join(folder, 'one.ledger')
    const writer = new LedgerWriter(path, HEADER)
    const first = writer.sent('d1', [[5, { x: 1.5, on: true, mode: 'eco' }]])
    writer.sent('d2', [[null, { x: 2 }]])
    writer.acknowledged(first, 77)
    await writer.end()
    const ledger = await readLedger(path)
    assert.deepEqual(ledger.header, HEADER)
    assert.equal(ledger.lastAckAtMs, 77)
    assert.deepEqual(ledger.messages, [
      { id: 1, device: 'd1', samples: [[5, { x: 1.5, on: true, mode: 'eco' }]], acked: true },
      { id: 2, device: 'd2', samples: [[null, { x: 2 }]], acked: false },
    ])
  })

  it('is readable when its writer was killed in the middle of a line', async () => {
    const path = join(folder, 'cut.ledger')
    const writer = new LedgerWriter(path, HEADER)
    writer.sent('d1', [[5, { x: 1 }]])
    writer.sent('d1', [[6, { x: 2 }]])
    await writer.end()
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, `${lines.slice(0, 2).join('\n')}\n${lines[2]?.slice(0, 9)}`)
    const ledger = await readLedger(path)
    assert.equal(ledger.messages.length, 1)
    assert.equal(ledger.lastAckAtMs, undefined)
  })

  it('refuses a file that is not a ledger', async () => {
    const path = join(folder, 'other')
    writeFileSync(path, '{"end":1}\n')
    await assert.rejects(readLedger(path), /not a ledger/)
  })
})
