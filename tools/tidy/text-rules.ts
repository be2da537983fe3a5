/** Rules that look at one file alone: its name, its size, and words that must not be in it. */
import { posix } from 'node:path'
import { type Finding, findingsFor, isTypeScript, type SourceFile } from './source-tree.ts'

const BANNED_NAMES = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'types', 'index']
const FILE_LINES_MAX = 500
/** The formatter holds code to 100; a sentence in a comment may run over by a word. */
const LINE_COLUMNS_MAX = 110

/** kebab-case, and named after the one thing inside: a drawer has no name of its own. */
export function fileName({ path }: SourceFile): readonly Finding[] {
  const [stem = ''] = posix.basename(path).split('.')
  if (BANNED_NAMES.includes(stem) && !path.endsWith('.html')) {
    return [{ path, line: 1, problem: `"${stem}" names a drawer: name the file after its content` }]
  }
  if (!/\.(?:ts|tsx|sql)$/.test(path) || /^[a-z0-9]+(?:[-_][a-z0-9]+)*$/.test(stem)) return []
  return [{ path, line: 1, problem: 'file names are kebab-case' }]
}

export function fileSize(file: SourceFile): readonly Finding[] {
  if (!isTypeScript(file)) return []
  const lines = file.text.split('\n').length - 1
  if (lines <= FILE_LINES_MAX) return []
  return [{ path: file.path, line: lines, problem: `${lines} lines: at most ${FILE_LINES_MAX}` }]
}

/** What the formatter does not break: comments. Texts are one piece, and may be long. */
export function lineWidth(file: SourceFile): readonly Finding[] {
  if (!isTypeScript(file)) return []
  return file.text.split('\n').flatMap((text, at) => {
    const columns = Array.from(text).length
    if (columns <= LINE_COLUMNS_MAX || isMostlyText(text)) return []
    const problem = `${columns} columns: at most ${LINE_COLUMNS_MAX}`
    return [{ path: file.path, line: at + 1, problem }]
  })
}

function isMostlyText(line: string): boolean {
  return /^\s*(?!\*|\/)[^]*(?:['"`]|\/[^/])/.test(line) || /https?:\/\//.test(line)
}

/** `new Date()` reads the clock like Date.now(), which the linter sees; this one it does not. */
export function wallClock(file: SourceFile): readonly Finding[] {
  if (!isTypeScript(file) || CLOCKS.includes(file.path) || isTidy(file)) return []
  return findingsFor(file, /^(?!\s*(?:\*|\/\/)).*\bnew Date\(\)/gm, 'take a Clock')
}

const CLOCKS = ['platform/clock.ts', 'dashboard/clock.ts']

/** What is true on one machine only: its folders, and where it fetches packages from. */
export function machineTraces(file: SourceFile): readonly Finding[] {
  if (isTidy(file)) return []
  const folders = /(?<![\w.~}$*-])\/(?:work|home|root|Users)\/[\w.-]+/g
  const hosts =
    /https?:\/\/(?:[\w-]+\.)*[\w-]*(?:npm|yarnpkg|pypi|artifactory|nexus|mirror)[\w-]*\.[\w.-]+/gi
  return [
    ...findingsFor(file, folders, 'a folder of one machine'),
    ...findingsFor(file, hosts, 'a package registry'),
    ...(file.path === 'package-lock.json' ? resolvedAddresses(file) : []),
  ]
}

function resolvedAddresses(file: SourceFile): readonly Finding[] {
  return findingsFor(file, /"resolved": ".*?"/g, 'the lockfile keeps no download address')
}

/** These files spell what they forbid. */
function isTidy({ path }: SourceFile): boolean {
  return path.startsWith('tools/tidy')
}
