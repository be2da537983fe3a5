/**
 * `npm test`: prepares the checkout, starts one stack of real servers in a temporary folder, runs
 * every test file against it, stops it. `npm test -- <text>…` runs the files whose path contains
 * one of the texts. The last line counts; the exit code is 0 only when nothing failed.
 */
import { setMaxListeners } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { run } from 'node:test'
import { spec as Spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { prepareOrExit } from './prepare.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DIST = join(ROOT, 'dist')
const FILE_TIMEOUT_MS = 300_000
/** Two cores are the least we run on; the servers need some of them too. */
const CONCURRENCY = 2
const SERVER_MODULES = new Set([join('test', 'stack.js'), join('test', 'system.js')])

prepareOrExit()
const interrupted = new AbortController()
// Every test file listens to it, until the last one has ended.
setMaxListeners(0, interrupted.signal)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interrupted.abort())
process.exit(await main(process.argv.slice(2)))

async function main(filters) {
  const files = testFiles(DIST).filter((file) => {
    const path = relative(DIST, file).replace(/\.js$/, '.ts')
    return filters.length === 0 || filters.some((filter) => path.includes(filter))
  })
  if (files.length === 0) {
    process.stdout.write(
      `No test file has ${filters.join(' or ')} in its path.\n0 passed, 0 failed\n`,
    )
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'weir-test-'))
  // As root, Postgres runs as another user, who has to get through.
  chmodSync(folder, 0o711)
  let stack
  try {
    // Whoever names a running stack is responsible for it, as CI with its service containers is.
    const given = process.env.WEIR_TEST_STACK !== undefined
    if (!given && files.some((file) => needsServers(file))) stack = await startServers(folder)
    return await runFiles(files)
  } catch (error) {
    if (!interrupted.signal.aborted) process.stdout.write(`${error.message ?? error}\n`)
    process.stdout.write('0 passed, 1 failed\n')
    return 1
  } finally {
    await stack?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted()
}

/** Servers reach a test through one of two modules, so what it imports, at any distance, tells. */
function needsServers(file, seen = new Set()) {
  if (seen.has(file)) return false
  seen.add(file)
  if (SERVER_MODULES.has(relative(DIST, file))) return true
  const imports = readFileSync(file, 'utf8').matchAll(/from '(\.[^']+\.js)'/g)
  return [...imports].some(([, path]) => needsServers(join(dirname(file), path), seen))
}

async function startServers(folder) {
  const { startStack } = await import('../dist/local/stack.js')
  const { progressPrinter } = await import('../dist/local/progress-printer.js')
  const stack = await startStack({
    stateDir: folder,
    serversDir: process.env.WEIR_SERVERS_DIR ?? join(ROOT, '.weir', 'servers'),
    host: '127.0.0.1',
    postgresPassword: 'test',
    onProgress: progressPrinter((line) => process.stdout.write(line)),
    signal: interrupted.signal,
  })
  stack.failure.catch((error) => process.stdout.write(`${error.message}\n`))
  const { kafka, registry, clickhouse, postgres } = stack
  const file = join(folder, 'stack.json')
  writeFileSync(file, JSON.stringify({ kafka, registry, clickhouse, postgres }))
  process.env.WEIR_TEST_STACK = file
  return stack
}

async function runFiles(files) {
  // Test files run in processes of their own and inherit it: stacks then name our sources.
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const failures = []
  const { signal } = interrupted
  const events = run({ files, concurrency: CONCURRENCY, timeout: FILE_TIMEOUT_MS, signal })
  const count = (kind) => (test) => {
    if (test.details?.type === 'suite' && kind === 'passed') return
    if (test.skip !== undefined && test.skip !== false) counts.skipped += 1
    else if (test.details?.type !== 'suite') counts[kind] += 1
    if (kind === 'failed' && test.details?.type !== 'suite') failures.push(test)
  }
  events.on('test:pass', count('passed'))
  events.on('test:fail', count('failed'))
  for await (const text of events.compose(new Spec())) process.stdout.write(text)
  return summary(counts, failures)
}

function summary({ passed, failed, skipped }, failures) {
  for (const { name, file } of failures) {
    process.stdout.write(`failed: ${relative(ROOT, file ?? '')}: ${name}\n`)
  }
  if (interrupted.signal.aborted) process.stdout.write('interrupted\n')
  const tail = skipped > 0 ? `, ${skipped} skipped` : ''
  process.stdout.write(`${passed} passed, ${failed} failed${tail}\n`)
  return failed === 0 && passed > 0 && !interrupted.signal.aborted ? 0 : 1
}
