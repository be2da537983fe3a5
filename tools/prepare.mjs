/**
 * Makes the checkout ready to run: installs packages and builds, when something has changed since
 * the last time. Plain JavaScript without packages, because it runs before there are any.
 *
 *   node tools/prepare.mjs        npm run build
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const NOT_SOURCES = new Set(['node_modules', 'dist', 'dashboard', 'docs'])
const NODE_MIN = [20, 19]

/** Throws an Error whose message is for people when something cannot be done. */
export function prepare() {
  requireNode(process.versions.node)
  if (packagesAreOld()) {
    // `--include=dev`: a machine that says NODE_ENV=production still has to build.
    const quietly = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
    step('install packages', ['npm', 'ci', ...quietly])
  }
  const sources = readdirSync(ROOT).filter(
    (name) => !name.startsWith('.') && !NOT_SOURCES.has(name),
  )
  buildIfOld('build', sources, join(ROOT, 'dist', '.built'), () => {
    step('build', [process.execPath, 'node_modules/typescript/bin/tsc', '-p', '.'])
    removeOrphans(join(ROOT, 'dist'), ROOT)
  })
  const dashboard = ['dashboard', join('api', 'contract'), 'package-lock.json']
  const page = join(ROOT, 'dist', 'dashboard', 'index.html')
  if (existsSync(join(ROOT, 'dashboard', 'vite.config.ts'))) {
    buildIfOld(
      'dashboard',
      dashboard,
      existsSync(page) ? join(ROOT, 'dist', '.built-dashboard') : '',
      () => {
        const vite = [process.execPath, 'node_modules/vite/bin/vite.js']
        step('build the dashboard', [...vite, 'build', 'dashboard', '--logLevel', 'warn'])
      },
    )
  }
}

function requireNode(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  throw new Error(
    `Weir needs Node.js ${NODE_MIN.join('.')} or newer (20, 22 or 24), and this is ${version}: install one from https://nodejs.org or your system's packages.`,
  )
}

/** npm writes its own copy of the lockfile last, so its time is the time of the installation. */
function packagesAreOld() {
  const installed = timeOf(join(ROOT, 'node_modules', '.package-lock.json'))
  return installed < timeOf(join(ROOT, 'package-lock.json'))
}

/** The stamp carries the time before the build: what is edited meanwhile is built the next time. */
function buildIfOld(name, sources, stamp, build) {
  const newest = Math.max(...sources.map((source) => newestIn(join(ROOT, source))))
  if (stamp !== '' && newest < timeOf(stamp)) return
  const began = new Date()
  build()
  const made = stamp === '' ? join(ROOT, 'dist', `.built-${name}`) : stamp
  mkdirSync(dirname(made), { recursive: true })
  writeFileSync(made, '')
  utimesSync(made, began, began)
}

/** Folders count as well: theirs is the only time that a deleted file changes. */
function newestIn(path) {
  const own = timeOf(path)
  if (own === 0 || !statSync(path).isDirectory()) return own
  let newest = own
  for (const name of readdirSync(path)) {
    if (name !== 'node_modules') newest = Math.max(newest, newestIn(join(path, name)))
  }
  return newest
}

function timeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

/** A compiled file whose source is gone would still be run, as a test for instance. */
function removeOrphans(built, source) {
  for (const entry of readdirSync(built, { withFileTypes: true })) {
    const path = join(built, entry.name)
    if (entry.isDirectory()) {
      if (path !== join(ROOT, 'dist', 'dashboard')) removeOrphans(path, join(source, entry.name))
    } else if (/\.js(\.map)?$/.test(entry.name)) {
      const name = entry.name.replace(/\.js(\.map)?$/, '.ts')
      if (!existsSync(join(source, name))) rmSync(path)
    }
  }
}

function step(what, [command, ...args]) {
  const began = process.uptime()
  process.stdout.write(`  ...  ${what}\n`)
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) {
    throw new Error(`Could not ${what}: ${error?.message ?? `${command} ended with ${status}`}.`)
  }
  const seconds = (process.uptime() - began).toFixed(1)
  process.stdout.write(`${seconds.padStart(4)}s  ${what}\n`)
}

/** Runs `prepare`, and ends the process with its sentence when it fails. */
export function prepareOrExit() {
  try {
    prepare()
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) prepareOrExit()
