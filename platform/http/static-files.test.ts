/** A built web app from memory: caching, headers, and no way out of its folder. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { StaticFiles } from './static-files.ts'
import type { HttpResponse } from './http-exchange.ts'

let folder: string
let files: StaticFiles
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-static-'))
  await mkdir(join(folder, 'web', 'assets'), { recursive: true })
  await writeFile(join(folder, 'secret.txt'), 'secret')
  await writeFile(join(folder, 'web', 'index.html'), '<p>app')
  await writeFile(join(folder, 'web', 'assets', 'index-Dw8KU3Mw.js'), 'let a')
  await writeFile(join(folder, 'web', 'favicon.ico'), 'x')
  const read = await StaticFiles.read(join(folder, 'web'))
  assert.ok(read !== undefined)
  files = read
})
after(() => rm(folder, { recursive: true }))

function get(path: string, headers: Record<string, string> = {}): HttpResponse | undefined {
  const request = { method: 'GET', path, query: '', remoteAddress: '', body: Buffer.alloc(0) }
  return files.answer({ ...request, headers: new Map(Object.entries(headers)) })
}

describe('static files', () => {
  it('of a folder that is not there are undefined', async () => {
    assert.equal(await StaticFiles.read(join(folder, 'nothing')), undefined)
    assert.equal(await StaticFiles.read(join(folder, 'web', 'assets')), undefined)
  })

  it('with a hash in their name are kept for ever, others are asked for again', () => {
    const script = get('/assets/index-Dw8KU3Mw.js')
    assert.equal(script?.headers['cache-control'], 'public, max-age=31536000, immutable')
    assert.match(script?.headers['content-type'] ?? '', /javascript/)
    assert.equal(get('/index.html')?.headers['cache-control'], 'no-cache')
    assert.equal(get('/favicon.ico')?.headers['cache-control'], 'no-cache')
  })

  it('are not sent again to who has them', () => {
    const etag = get('/')?.headers['etag'] ?? ''
    const again = get('/', { 'if-none-match': etag })
    assert.deepEqual([again?.status, again?.body], [304, ''])
  })

  it('carry the security headers', () => {
    const headers = get('/')?.headers ?? {}
    assert.match(headers['content-security-policy'] ?? '', /frame-ancestors 'none'/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'no-referrer')
  })

  it('give the app at every address of a screen, and nothing at files that are not there', () => {
    for (const path of ['/', '/devices/pump', '/alerts']) {
      assert.equal(String(get(path)?.body), '<p>app')
    }
    for (const path of ['/assets/old-AAAAAAAA.js', '/robots.txt', '/assets/']) {
      assert.equal(get(path), undefined)
    }
  })

  it('never come from outside the folder', () => {
    const paths = [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/assets/../../secret.txt',
      '//secret.txt',
      '/..\\secret.txt',
      '/assets/..%2f..%2fsecret.txt',
      '/secret.txt\0.js',
    ]
    for (const path of paths) assert.notEqual(String(get(path)?.body), 'secret', path)
  })
})
