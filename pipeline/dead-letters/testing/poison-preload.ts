/**
 * Loaded into a pipeline process with --import: a frame that contains the mark ends the process on
 * the spot, as a defect in native code would.
 */
import { TelemetryFrames } from '../../../schemas/telemetry-frames.ts'

const MARK = Buffer.from('kills-the-process')
// oxlint-disable-next-line typescript/unbound-method -- called with its frames below
const { read } = TelemetryFrames.prototype

TelemetryFrames.prototype.read = function (bytes, ...range) {
  if (bytes.subarray(...range).includes(MARK)) process.kill(process.pid, 'SIGKILL')
  return read.call(this, bytes, ...range)
}
