/**
 * Who may import whom. This is the table of docs/ARCHITECTURE.md; the banks and the river meet in
 * topics and tables only, so that each can be replaced, replayed and load-tested alone.
 */
import { posix } from 'node:path'
import {
  type Finding,
  importsOf,
  isTest,
  type SourceFile,
  type SourceImport,
} from './source-tree.ts'

type FolderRule = Readonly<{
  may: readonly string[]
  /** What may be imported for its types only: it is not in the built program. */
  mayTypes?: readonly string[]
}>

const EVERYTHING = [
  'schemas',
  'platform',
  'devices',
  'alerts',
  'connectors',
  'pipeline',
  'api',
  'migrations',
  'loadtest',
  'cli',
  'local',
  'test',
  'tools',
  'deploy',
]

/** The longest folder that contains a file rules it. A folder may always import itself. */
const FOLDERS: Readonly<Record<string, FolderRule>> = {
  schemas: { may: [] },
  platform: { may: [] },
  devices: { may: ['platform'], mayTypes: ['schemas'] },
  alerts: { may: ['platform'], mayTypes: ['schemas'] },
  connectors: { may: ['schemas', 'platform', 'devices'] },
  pipeline: { may: ['schemas', 'platform', 'alerts'] },
  'api/contract': { may: [] },
  api: { may: ['schemas', 'platform', 'devices', 'alerts'] },
  dashboard: { may: ['api/contract'] },
  loadtest: { may: ['schemas', 'platform', 'api/contract'] },
  migrations: { may: ['platform'] },
  cli: { may: EVERYTHING },
  local: { may: EVERYTHING },
  test: { may: EVERYTHING },
  tools: { may: EVERYTHING },
  deploy: { may: EVERYTHING },
}

/** Tests of a folder may also use what crosses folders: the shared stack of servers. */
const FOR_TESTS = ['test', 'local', 'migrations', 'schemas', 'platform']

export function importTable(file: SourceFile): readonly Finding[] {
  const from = ruledFolder(file.path)
  const rule = FOLDERS[from]
  if (rule === undefined) {
    return [{ path: file.path, line: 1, problem: `no import rule for the folder ${from}` }]
  }
  return importsOf(file).flatMap((imported) => {
    if (!imported.specifier.startsWith('.')) return []
    const target = posix.join(posix.dirname(file.path), imported.specifier)
    const to = ruledFolder(target)
    if (mayImport({ from, rule, to, target }, imported)) return []
    if (isTest(file.path) && FOR_TESTS.includes(to)) return []
    return [
      {
        path: file.path,
        line: imported.line,
        problem: `${from}/ may not import ${to}/ (${target})`,
      },
    ]
  })
}

type Edge = Readonly<{ from: string; rule: FolderRule; to: string; target: string }>

function mayImport(edge: Edge, { typeOnly }: SourceImport): boolean {
  const { from, rule, to, target } = edge
  // api/ and its contract rule themselves apart: the contract is handed to others.
  if (from === to || (to === 'api/contract' && rule.may.includes('api'))) return true
  if (from === 'api' && to === 'api/contract') return true
  if (from === 'cli' && isRoot(to)) return target.endsWith('/main.ts')
  if (rule.may.includes(to)) return true
  return typeOnly && rule.mayTypes?.includes(to) === true
}

/** Of these the command line knows the composition root only. */
function isRoot(folder: string): boolean {
  return ['connectors', 'pipeline', 'api', 'loadtest'].includes(folder)
}

function ruledFolder(path: string): string {
  const [first = '', second = ''] = path.split('/')
  return `${first}/${second}` in FOLDERS ? `${first}/${second}` : first
}
