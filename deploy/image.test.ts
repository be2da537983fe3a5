/**
 * Where no container engine runs, the image is still tried: the commands of deploy/Dockerfile are
 * read from it and run in clean folders, as its stages would, and then its entry point. What this
 * does not show: the base image, the user, the health check.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../platform/package-root.ts'

const ROOT = packageRoot(import.meta.dirname)
const WORKDIR = '/opt/weir'

type Instruction = Readonly<{ keyword: string; rest: string }>
type Stage = Readonly<{ from: string; name: string; instructions: readonly Instruction[] }>

function stages(): readonly Stage[] {
  const source = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8').replaceAll('\\\n', ' ')
  const found: { from: string; name: string; instructions: Instruction[] }[] = []
  for (const line of source.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [keyword = '', ...words] = line.trim().split(/\s+/)
    const rest = words.join(' ')
    if (keyword === 'FROM') {
      const [from = '', , name = 'final'] = words
      found.push({ from, name, instructions: [] })
    } else {
      found.at(-1)?.instructions.push({ keyword, rest })
    }
  }
  return found
}

/** Runs COPY and RUN of the stages in folders below `place`; answers the last stage's folder. */
function build(place: string): string {
  for (const { name, instructions } of stages()) {
    const folder = join(place, name)
    mkdirSync(folder)
    for (const { keyword, rest } of instructions) {
      if (keyword === 'COPY') copy(rest, folder, place)
      // Users and system folders are the base image's matter.
      if (keyword === 'RUN' && !rest.includes('/var/lib')) run(rest, folder)
    }
  }
  return join(place, 'final')
}

function copy(rest: string, folder: string, place: string): void {
  const [, from, files = ''] = /^(?:--from=(\w+) )?(.*)$/.exec(rest) ?? []
  const sources = files.split(' ')
  const target = join(folder, sources.pop() ?? '.')
  for (const source of sources) {
    if (from !== undefined) {
      const stageFile = join(place, from, source.slice(WORKDIR.length))
      cpSync(stageFile, target, { recursive: true, verbatimSymlinks: true })
    } else {
      copyTracked(source, target)
    }
  }
}

/** What git has: the ignore file keeps the rest out of the real build. */
function copyTracked(source: string, target: string): void {
  const listed = execFileSync('git', ['ls-files', '--', source], { cwd: ROOT, encoding: 'utf8' })
  const files = listed.split('\n').filter(Boolean)
  assert(files.length > 0, `COPY ${source}: git has no such file`)
  for (const file of files) {
    const inside = source === '.' ? file : file.slice(file.indexOf(source) + source.length)
    // COPY of a file goes into the folder; COPY of a folder copies what is in it.
    const to = inside === '' ? join(target, file) : join(target, inside)
    mkdirSync(dirname(to), { recursive: true })
    // As in the real build: what is built later must look newer.
    cpSync(join(ROOT, file), to, { preserveTimestamps: true })
  }
}

function run(command: string, cwd: string): void {
  const env = { ...process.env, npm_config_prefer_offline: 'true' }
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd,
    env,
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${command}\n${stdout}\n${stderr}`)
}

test('the image runs as an ordinary user, on glibc 2.38 or newer, and says whether it is well', () => {
  const all = stages()
  for (const { from } of all) assert.match(from, /^node:24-trixie-slim$/)
  const last = all.at(-1)?.instructions ?? []
  const of = (keyword: string) => last.filter((instruction) => instruction.keyword === keyword)
  assert.equal(of('USER').at(-1)?.rest, 'node')
  assert.match(of('HEALTHCHECK')[0]?.rest ?? '', /\/healthz/)
  assert.doesNotMatch(
    of('ENV')
      .map(({ rest }) => rest)
      .join(' '),
    /PASSWORD|SECRET|KEY/,
  )
})

test('the build steps and the entry point work in a clean folder', () => {
  const place = mkdtempSync(join(tmpdir(), 'weir-image-'))
  try {
    const final = build(place)
    const last = stages().at(-1)?.instructions ?? []
    const entry = last.find(({ keyword }) => keyword === 'ENTRYPOINT')?.rest ?? '[]'
    const [command = '', ...args]: string[] = JSON.parse(entry)
    const weir = (...more: readonly string[]) =>
      spawnSync(command, [...args, ...more], { cwd: final, encoding: 'utf8' })

    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    assert.equal(weir('--version').stdout, `${version}\n`)
    const help = weir('--help')
    assert.equal(help.status, 0, help.stderr)
    for (const role of ['connectors', 'pipeline', 'api', 'auditor', 'migrate', 'audit']) {
      assert(help.stdout.includes(role))
      // Loads the role with nothing but what the image has.
      const own = weir(role, '--help')
      assert.equal(own.status, 0, own.stderr)
    }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
})
