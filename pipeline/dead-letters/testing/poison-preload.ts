/**
 * Loaded into a pipeline process with --import: a frame that contains the mark ends the process on
 * the spot, as a defect in native code would.
 */
const MARK = Buffer.from('kills-the-process')
const FRAME_ID_AT = 1
// oxlint-disable-next-line typescript/unbound-method -- called with its buffer below
const read = Buffer.prototype.readUInt32BE

Buffer.prototype.readUInt32BE = function (this: Buffer, offset = 0) {
  if (offset === FRAME_ID_AT && this.includes(MARK)) process.kill(process.pid, 'SIGKILL')
  return read.call(this, offset)
}
