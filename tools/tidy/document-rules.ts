/** Documents that run: what they name exists, and what exists is named. */
import { posix } from 'node:path'
import { type Finding, lineAt, type SourceFile } from './source-tree.ts'

/** Paths that documents may name although git does not have them. */
const MADE_AT_RUN_TIME = ['.weir/', 'dist/', '.build/', 'node_modules/']

/** Every `folder/file` in backquotes, and every relative link, leads somewhere. */
export function documentPaths(file: SourceFile, existing: ReadonlySet<string>): readonly Finding[] {
  if (!file.path.endsWith('.md')) return []
  const quoted = [...file.text.matchAll(/`(?<path>[\w.-]+(?:\/[\w.*-]+)+\/?)`/g)]
    // A path of ours starts with a folder of ours or names a file; `a/b` alone may be anything.
    .filter((match) => isPathOfOurs(match.groups?.['path'] ?? '', existing))
  const linked = [...file.text.matchAll(/\]\((?!https?:|#|mailto:)(?<path>[^)\s#]+)/g)]
  return [...quoted, ...linked].flatMap((match) => {
    const path = match.groups?.['path'] ?? ''
    if (MADE_AT_RUN_TIME.some((made) => path.startsWith(made))) return []
    const fromHere = posix.join(posix.dirname(file.path), path)
    if (exists(path, existing) || exists(fromHere, existing)) return []
    return [{ path: file.path, line: lineAt(file.text, match.index), problem: `no ${path}` }]
  })
}

/** Each heading is a code of the list, and each code has a heading. */
export function errorDocument(file: SourceFile, codes: readonly string[]): readonly Finding[] {
  const headings = [...file.text.matchAll(/^### `(?<code>[^`]+)`/gm)].map((match) => ({
    code: match.groups?.['code'] ?? '',
    line: lineAt(file.text, match.index),
  }))
  const unknown = headings
    .filter(({ code }) => !codes.includes(code))
    .map(({ code, line }) => ({ path: file.path, line, problem: `${code} is not an error code` }))
  const missing = codes
    .filter((code) => !headings.some((heading) => heading.code === code))
    .map((code) => ({ path: file.path, line: 1, problem: `${code} is not explained` }))
  return [...unknown, ...missing]
}

/** Generated documents are what the tables say today. */
export function generatedDocument(file: SourceFile, expected: string): readonly Finding[] {
  if (file.text === expected) return []
  const lines = expected.split('\n')
  const line = file.text.split('\n').findIndex((text, at) => text !== lines[at]) + 1
  return [{ path: file.path, line, problem: 'is out of date: run `npm run docs`' }]
}

function isPathOfOurs(path: string, existing: ReadonlySet<string>): boolean {
  const [first = ''] = path.split('/')
  return exists(first, existing) || MADE_AT_RUN_TIME.includes(`${first}/`)
}

function exists(path: string, existing: ReadonlySet<string>): boolean {
  const plain = path.replace(/\/$/, '')
  if (!plain.includes('*')) return existing.has(plain)
  const pattern = new RegExp(`^${plain.replaceAll('.', '\\.').replaceAll(/\*+/g, '.*')}$`)
  return [...existing].some((known) => pattern.test(known))
}

/** All files and the folders that hold them. */
export function existingPaths(files: readonly string[]): ReadonlySet<string> {
  const paths = new Set<string>(files)
  for (const file of files) {
    for (let at = file.indexOf('/'); at > 0; at = file.indexOf('/', at + 1)) {
      paths.add(file.slice(0, at))
    }
  }
  return paths
}
