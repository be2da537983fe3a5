/** Every fault that is known to be worth playing, and why some are not played here. */
import { DATA_FAULTS } from './data-faults.ts'
import { KILL_POINTS } from './kill-points.ts'
import { canFilter, fakeClockLibrary, HAS_NAMESPACES } from './machine.ts'
import { CLOCK_FAULTS, DISK_FAULTS, NETWORK_FAULTS } from './machine-faults.ts'
import { PROCESS_FAULTS } from './process-faults.ts'
import type { Fault } from './round.ts'
import { SERVER_FAULTS } from './server-faults.ts'

/** A fault that the list names and that the rig has no way to play, with the reason. */
export type Unplayed = Readonly<{ name: string; number: string; why: string }>

export const FAULTS: readonly Fault[] = [
  ...KILL_POINTS,
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...NETWORK_FAULTS,
  ...DISK_FAULTS,
  ...CLOCK_FAULTS,
  ...DATA_FAULTS,
]

export const UNPLAYED: readonly Unplayed[] = [
  {
    name: '1 Mbit/s',
    number: '11',
    why: 'this kernel has no sch_netem; delay and loss are played by proxy and iptables',
  },
  {
    name: 'ClickHouse replica lag',
    number: '13',
    why: 'the embedded server has no replication to fall behind',
  },
  {
    name: 'topic epoch v1 to v2',
    number: '24',
    why: 'there is one topic version',
  },
]

/** Undefined when the fault can be played on this machine, in this process. */
export function whyNot(fault: Fault): string | undefined {
  if (NETWORK_FAULTS.includes(fault) && !canFilter()) {
    return HAS_NAMESPACES ? 'iptables does not run here' : 'needs root for a network of its own'
  }
  if (DISK_FAULTS.includes(fault) && !HAS_NAMESPACES) return 'needs root to mount a small disk'
  if (CLOCK_FAULTS.includes(fault) && fakeClockLibrary() === undefined) {
    return 'libfaketime is not installed'
  }
  return undefined
}
