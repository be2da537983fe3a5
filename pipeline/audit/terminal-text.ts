/** Names come from devices and strangers: what a terminal would obey in them is shown, not sent. */

/** C0, DEL and C1 controls, and the marks that turn the direction of text. */
// oxlint-disable-next-line no-control-regex
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** The text with every character that a terminal obeys as `\u` and four hex digits. */
export const terminalText = (text: string): string =>
  text.replace(OBEYED, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
