/** What this machine lets the rig do: found out by trying, in the rig's own namespaces. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'

/** Set by tools/faults.mjs when this process has network and mounts of its own. */
export const HAS_NAMESPACES = process.env['WEIR_FAULTS_NAMESPACES'] === '1'

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'

export function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Whether packets can be dropped without touching anybody else's. */
export function canFilter(): boolean {
  return HAS_NAMESPACES && works('iptables', ['-n', '-L', 'INPUT'])
}

export const fakeClockLibrary = (): string | undefined =>
  existsSync(FAKETIME) ? FAKETIME : undefined

/** An iptables rule on loopback until the returned function takes it away. */
export function dropPackets(match: readonly string[]): () => void {
  execFileSync('iptables', ['-A', 'INPUT', '-i', 'lo', '-p', 'tcp', ...match, '-j', 'DROP'])
  return () => {
    execFileSync('iptables', ['-D', 'INPUT', '-i', 'lo', '-p', 'tcp', ...match, '-j', 'DROP'])
  }
}

/** Mounts a small disk in the rig's own mount namespace; it is gone with the rig. */
export function smallDisk(folder: string, megabytes: number): void {
  mkdirSync(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
}

export function unmount(folder: string): void {
  spawnSync('umount', ['-l', folder], { stdio: 'ignore' })
}
