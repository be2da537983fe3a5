import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { cpuSeconds, pidListeningOn, residentMiB, threadCpuSeconds } from './process-cpu.ts'

describe('CPU seconds of a process', () => {
  it('grow with the work that it does', () => {
    const before = cpuSeconds(process.pid) ?? Number.NaN
    const { user } = process.cpuUsage()
    let x = 0
    while (process.cpuUsage().user - user < 60_000) x = Math.sin(x + 1)
    assert.ok((cpuSeconds(process.pid) ?? 0) > before)
    const { now, peak } = residentMiB(process.pid)
    assert.ok(now > 10 && peak >= now)
  })

  it('are told apart by the name of the thread', () => {
    const all = cpuSeconds(process.pid) ?? Number.NaN
    const own = readFileSync('/proc/self/comm', 'utf8').trim()
    assert.ok(threadCpuSeconds(process.pid, own) > 0)
    assert.ok(threadCpuSeconds(process.pid, own) <= all + 0.1)
    assert.equal(threadCpuSeconds(process.pid, 'no-such-thread'), 0)
  })

  it('are undefined for a process that does not exist', () => {
    assert.equal(cpuSeconds(2 ** 22 + 1), undefined)
  })
})

describe('the process behind a port', () => {
  it('is the one that listens there', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    // A server that listens on TCP has such an address.
    const { port } = server.address() as AddressInfo
    assert.equal(pidListeningOn(port), process.pid)
    await new Promise((resolve) => server.close(resolve))
    assert.equal(pidListeningOn(port), undefined)
  })
})
