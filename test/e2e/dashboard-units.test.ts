/**
 * Runs the tests that sit beside the dashboard's sources. Those are written for a bundler and a
 * browser, so the main build leaves them out; here they are bundled for Node and run as they are.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'
import { packageRoot } from '../../platform/package-root.ts'

const dashboard = join(packageRoot(import.meta.dirname), 'dashboard')
// Inside the project, so that what is not bundled is found in node_modules.
const builds = join(packageRoot(import.meta.dirname), '.build')
await mkdir(builds, { recursive: true })
const folder = await mkdtemp(join(builds, 'dashboard-units-'))
after(() => rm(folder, { recursive: true, force: true }))

const files = (await readdir(dashboard, { recursive: true })).filter((file) =>
  file.endsWith('.test.ts'),
)
assert.ok(files.length > 0, 'the dashboard has tests')
// One entry: all tests must be known before the first of them ends, or the runner thinks it is done.
const entry = join(folder, 'all.ts')
await writeFile(
  entry,
  files.map((file) => `import ${JSON.stringify(join(dashboard, file))}\n`).join(''),
)
await build({
  configFile: false,
  root: dashboard,
  logLevel: 'error',
  build: { ssr: entry, outDir: join(folder, 'built'), target: 'node20', sourcemap: true },
})
await import(pathToFileURL(join(folder, 'built', 'all.js')).href)
