/**
 * A folder of built web files, held in memory. What is not in the folder when it is read cannot be
 * asked for: no path of a request ever touches the disk, so none can climb out of the folder.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import type { HttpRequest, HttpResponse } from './http-exchange.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
}

/** Scripts, styles and connections of our own host only; nobody may put us in a frame. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
}

/** Vite's names of hashed files: `assets/name-hash.ext`. Their content never changes. */
const HASHED = /^\/assets\/.+-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$/
const FILE_BYTES_MAX = 8 * 1024 * 1024

type StaticFile = Readonly<{ body: Buffer; headers: Readonly<Record<string, string>> }>

export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>

  private constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files
  }

  /** Reads the folder; undefined when it is not there or has no index.html. */
  static async read(folder: string): Promise<StaticFiles | undefined> {
    const files = new Map<string, StaticFile>()
    for (const file of await filesBelow(folder)) {
      const body = await readFile(join(folder, file))
      if (body.length > FILE_BYTES_MAX) continue
      const path = `/${file.split(sep).join('/')}`
      files.set(path, { body, headers: headersOf(path, body) })
    }
    return files.has('/index.html') ? new StaticFiles(files) : undefined
  }

  /** The file of a path, or index.html for an address inside the app; undefined: nothing here. */
  answer(request: HttpRequest): HttpResponse | undefined {
    const { path } = request
    const found = this.#files.get(path)
    const inApp = found === undefined && isAppAddress(path)
    const file = inApp ? this.#files.get('/index.html') : found
    if (file === undefined) return undefined
    if (request.headers.get('if-none-match') === file.headers['etag']) {
      return { status: 304, headers: file.headers, body: '' }
    }
    return { status: 200, headers: file.headers, body: file.body }
  }
}

/** A screen's address has no dot in its last part; a file that is not there does. */
function isAppAddress(path: string): boolean {
  return !path.startsWith('/assets/') && !path.slice(path.lastIndexOf('/')).includes('.')
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)))
  } catch {
    return []
  }
}

function headersOf(path: string, body: Buffer): Readonly<Record<string, string>> {
  const digest = createHash('sha256').update(body).digest('base64url').slice(0, 22)
  return {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'cache-control': HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: `"${digest}"`,
    ...SECURITY_HEADERS,
  }
}
