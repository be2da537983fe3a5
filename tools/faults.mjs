/**
 * `npm run faults`: prepares the checkout and runs test/faults. Where it may (as root, on Linux) it
 * runs with network, mounts and processes of its own: dropped packets and small disks then touch
 * nobody else, and are gone when it ends, however it ends.
 */
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { prepareOrExit } from './prepare.mjs'

/** In a process namespace of its own everything ends with its first process. */
const UNSHARE = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--']
const mayUnshare = spawnSync('unshare', [...UNSHARE, 'true'], { stdio: 'ignore' }).status === 0

if (process.env.WEIR_FAULTS_NAMESPACES === undefined) {
  prepareOrExit()
  if (mayUnshare) await inNamespaces()
}
const { faultsCommand } = await import('../dist/test/faults/main.js')
process.exit(await faultsCommand.run(process.argv.slice(2), process.env))

/** The same program once more, with a loopback of its own. */
async function inNamespaces() {
  const self = [process.execPath, '--enable-source-maps', fileURLToPath(import.meta.url)]
  const inside = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...self]
  const child = spawn('unshare', [...UNSHARE, ...inside, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, WEIR_FAULTS_NAMESPACES: '1' },
  })
  // `unshare` itself takes no notice of them; when it is killed, all inside is.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill('SIGKILL'))
  }
  const code = await new Promise((resolve) => child.once('close', resolve))
  process.exit(code ?? 1)
}
