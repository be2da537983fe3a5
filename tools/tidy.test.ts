/** Style as a test: what a reviewer would have to say every week, said by the build instead. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FAILURE_CODES } from '../platform/failure-codes.ts'
import { packageRoot } from '../platform/package-root.ts'
import { configDocument, metricDocument, optionSections } from './reference-documents.ts'
import {
  documentPaths,
  errorDocument,
  existingPaths,
  generatedDocument,
} from './tidy/document-rules.ts'
import { importTable } from './tidy/import-rules.ts'
import { type Dependencies, libraryDoors } from './tidy/library-rules.ts'
import {
  type Finding,
  isTest,
  isTypeScript,
  projectPaths,
  type SourceFile,
  sourceTree,
  strayTestCode,
} from './tidy/source-tree.ts'
import { fileName, fileSize, lineWidth, machineTraces, wallClock } from './tidy/text-rules.ts'

const ROOT = packageRoot(import.meta.dirname)
const TREE = sourceTree(ROOT)
const EXISTING = existingPaths(projectPaths(ROOT))
const DEPENDENCIES = dependencies()

type Rule = Readonly<{
  name: string
  check: (file: SourceFile) => readonly Finding[]
  /** Each must be found at fault, or the rule does nothing. */
  bad: readonly SourceFile[]
  good: readonly SourceFile[]
}>

const sample = (path: string, text = ''): SourceFile => ({ path, text })
const at = (folder: string, ...rest: readonly string[]) => ['', folder, ...rest].join('/')

const RULES: readonly Rule[] = [
  {
    name: 'folders import only what the table allows',
    check: (file) => (isTypeScript(file) ? importTable(file) : []),
    bad: [
      sample('pipeline/a.ts', `import { x } from '../connectors/b.ts'\n`),
      sample('connectors/mqtt/a.ts', `import {\n  x,\n} from '../../pipeline/b.ts'\n`),
      sample('schemas/a.ts', `import type { X } from '../platform/b.ts'\n`),
      sample('devices/a.ts', `import { x } from '../schemas/b.ts'\n`),
      sample('platform/a.test.ts', `import { x } from '../connectors/b.ts'\n`),
      sample('api/contract/a.ts', `export * from '../routes.ts'\n`),
      sample('dashboard/a.tsx', `import '../api/routes.ts'\n`),
      sample('loadtest/a.ts', `const x = await import('../pipeline/main.ts')\n`),
      sample('cli/a.ts', `import { x } from '../api/routes.ts'\n`),
      sample('elsewhere/a.ts', ''),
    ],
    good: [
      sample('pipeline/a.ts', `import { x } from '../platform/b.ts'\nimport './c.ts'\n`),
      sample('devices/a.ts', `import type { X } from '../schemas/b.ts'\n`),
      sample('api/a.ts', `import type { X } from './contract/b.ts'\n`),
      sample('pipeline/a.test.ts', `import { servers } from '../test/servers.ts'\n`),
      sample('cli/a.ts', `const x = import('../api/main.ts')\n`),
    ],
  },
  {
    name: 'a library enters by one file',
    check: (file) =>
      isTypeScript(file) && !isTest(file.path) ? libraryDoors(file, DEPENDENCIES) : [],
    bad: [
      sample('pipeline/a.ts', `import { Kafka } from 'kafkajs'\n`),
      sample('pipeline/a.ts', `import type { Kafka } from 'kafkajs'\n`),
      sample('platform/kafka/a.ts', `import { Kafka } from 'kafkajs'\n`),
      sample('api/a.ts', `import pg from 'pg'\n`),
      sample('api/a.ts', `import left from 'left-pad'\n`),
      sample('api/a.ts', `const x = require('kafkajs/src/index')\n`),
      sample('api/a.ts', `import Ajv from 'ajv'\n`),
    ],
    good: [
      sample('platform/kafka/a.ts', `import type { Kafka } from 'kafkajs'\n`),
      sample('platform/postgres/postgres.ts', `import pg from 'pg'\n`),
      sample('test/a.test.ts', `import { Kafka } from 'kafkajs'\n`),
    ],
  },
  {
    name: 'file names say what is inside',
    check: fileName,
    bad: ['utils', 'helpers', 'common', 'misc', 'types', 'index', 'CamelCase', 'a_B'].map((stem) =>
      sample(`platform/${stem}.ts`),
    ),
    good: [sample('platform/a-b.test.ts'), sample('dashboard/index.html')],
  },
  {
    name: 'files fit in a head',
    check: fileSize,
    bad: [sample('a.ts', '\n'.repeat(501))],
    good: [sample('a.ts', '\n'.repeat(500)), sample('a.csv', '\n'.repeat(501))],
  },
  {
    name: 'lines fit on a screen',
    check: lineWidth,
    bad: [sample('a.ts', `// ${'x'.repeat(108)}\n`)],
    good: [sample('a.ts', `// ${'x'.repeat(107)}\n`), sample('a.md', 'x'.repeat(200))],
  },
  {
    name: 'only the clock reads the clock',
    check: wallClock,
    bad: [sample('api/a.ts', 'const now = new Date()\n')],
    good: [sample('platform/clock.ts', 'new Date()'), sample('api/a.ts', ' * new Date() is bad\n')],
  },
  {
    name: 'nothing is true on one machine only',
    check: machineTraces,
    bad: [
      sample('a.md', `see ${at('work', 'main')}`),
      sample('a.ts', `const x = '${at('home', 'me', 'x')}'`),
      sample('a.sh', `cd ${at('root', 'x')}`),
      sample('.npmrc', `registry=https://npm.example.com/`),
      sample('package-lock.json', `"resolved": "https://example.com/a.tgz"`),
    ],
    good: [
      sample('a.ts', `fetch('/v1/home/x'); const b = './home/x'`),
      sample('a.xml', 'http://maven.apache.org/POM/4.0.0'),
    ],
  },
  {
    name: 'paths in documents exist',
    check: (file) => documentPaths(file, EXISTING),
    bad: [
      sample('docs/a.md', 'see `platform/no-such-file.ts`'),
      sample('README.md', '[here](docs/NO-SUCH.md)'),
      sample('docs/a.md', 'see `platform/no-such-*.ts`'),
    ],
    good: [
      sample('docs/a.md', '`platform/clock.ts` `.weir/x.json` `a/b` [x](https://example.com)'),
    ],
  },
]

for (const { name, check, bad, good } of RULES) {
  test(`tidy: ${name}`, () => {
    assert.deepEqual(TREE.flatMap(check).map(told), [])
  })

  test(`the rule "${name}" finds what is bad and leaves what is good`, () => {
    for (const file of bad)
      assert.notDeepEqual(check(file), [], `not found: ${file.path} ${file.text}`)
    for (const file of good) assert.deepEqual(check(file), [])
  })
}

test('tidy: what only tests use lies where tests do', () => {
  assert.deepEqual(strayTestCode(TREE).map(told), [])
  const stray = strayTestCode([
    sample('pipeline/a.test.ts', `import { world } from './world.ts'\n`),
    sample('pipeline/b.test.ts', `import { part } from './testing/part.ts'\n`),
    sample('pipeline/world.ts', `import { part } from './world-part.ts'\n`),
    sample('pipeline/main.ts', `import { fold } from './fold.ts'\n`),
    sample('pipeline/fold.test.ts', `import { fold } from './fold.ts'\n`),
  ])
  assert.deepEqual(
    stray.map(({ path }) => path),
    ['pipeline/world.ts', 'pipeline/world-part.ts'],
  )
})

test('tidy: docs/ERRORS.md explains every error code, and no other', () => {
  const codes = Object.keys(FAILURE_CODES)
  assert.deepEqual(errorDocument(fileAt('docs/ERRORS.md'), codes).map(told), [])
  assert.equal(errorDocument(sample('x.md', '### `a`\n### `b`\n'), ['b', 'c']).length, 2)
})

test('tidy: docs/METRICS.md and docs/CONFIG.md are what the tables say', async () => {
  const config = configDocument(await optionSections())
  const findings = [
    ...generatedDocument(fileAt('docs/METRICS.md'), metricDocument()),
    ...generatedDocument(fileAt('docs/CONFIG.md'), config),
  ]
  assert.deepEqual(findings.map(told), [])
  assert.match(config, /`--kafka-brokers A,B,…` \| `WEIR_KAFKA_BROKERS`/)
  assert.equal(generatedDocument(sample('x.md', 'a\nold'), 'a\nnew')[0]?.line, 2)
})

const LINTED: readonly (readonly [string, string])[] = [
  ['no-console', `console.log('x')`],
  ['no-restricted-properties', 'export const a = Date.now()'],
  ['no-restricted-properties', 'export const a = performance.now()'],
  ['no-restricted-properties', `export const a = process.env['X']`],
  ['no-restricted-properties', `export const { env } = process`],
  ['max-params', 'export function f(a: 1, b: 2, c: 3, d: 4, e: 5) { return [a, b, c, d, e] }'],
  ['max-lines-per-function', `export function f() {\n${'  f()\n'.repeat(70)}}`],
  ['max-lines', 'export {}\n'.repeat(501)],
  ['no-explicit-any', 'export const a: any = 1'],
  ['no-non-null-assertion', 'export const a = (b?: string) => b!.length'],
]

test('the linter refuses what its configuration forbids', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-tidy-'))
  try {
    LINTED.forEach(([, text], index) => writeFileSync(join(folder, `${index}.ts`), `${text}\n`))
    const oxlint = join(ROOT, 'node_modules/.bin/oxlint')
    const args = ['-c', join(ROOT, '.oxlintrc.json'), '--format=unix', folder]
    const { stdout } = spawnSync(oxlint, args, { encoding: 'utf8', cwd: folder })
    LINTED.forEach(([rule, text], index) => {
      const said = stdout.split('\n').filter((line) => line.includes(`${index}.ts:`))
      assert(
        said.some((line) => line.includes(`(${rule})`)),
        `${rule} is silent about ${text}`,
      )
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

function told({ path, line, problem }: Finding): string {
  return `${path}:${line}: ${problem}`
}

function fileAt(path: string): SourceFile {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

function dependencies(): Dependencies {
  const { dependencies: production, devDependencies: development } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  return {
    production: new Set(Object.keys(production)),
    development: new Set(Object.keys(development)),
  }
}
